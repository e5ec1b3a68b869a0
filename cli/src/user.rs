//! `sagaline user`: who logs in.

use clap::Subcommand;

use crate::Session;
use crate::client::path;
use crate::list::{self, Paging};
use crate::output::{Column, field, object};

#[derive(Subcommand)]
pub enum Command {
    /// Lists users, newest first.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Removes a user: nobody logs in under the name any more, and what a login opened is shut within a minute. The customer
    /// who the user was stays; `sagaline customer erase` erases them.
    Remove {
        /// The name that they log in with.
        username: String,
    },
}

const USERS: [Column; 5] = [
    field("USERNAME", "username"),
    field("ROLE", "role"),
    field("CUSTOMER", "customer_id"),
    field("REGISTERED", "created_at"),
    field("USER", "user_id"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    match command {
        Command::List { paging } => list::show(session, "/users", &[], paging, "users", &USERS).await,
        Command::Remove { username } => {
            let removed = session.client().delete(&path(&["users", &username])).await?.body;
            session.output.show(&removed, object)
        }
    }
}
