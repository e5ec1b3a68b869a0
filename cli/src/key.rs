//! `sagaline key`: who may ask.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use event_store::Role;

use crate::Session;
use crate::account::{OfStacks, Task};
use crate::client::path;
use crate::customer::given;
use crate::list::{self, Paging};
use crate::offline;
use crate::output::{Column, field, object};

#[derive(Subcommand)]
pub enum Command {
    /// Makes a key and shows it once: only its hash is kept.
    Create {
        /// What it is for.
        name: String,
        /// What it may ask for.
        #[arg(long, value_parser = role(), default_value_t = Role::Operator)]
        role: Role,
        /// Whose orders it may see and place; for the role customer.
        #[arg(
            long,
            value_name = "CUSTOMER_ID",
            required_if_eq("role", "customer"),
            conflicts_with = "stacks"
        )]
        customer: Option<String>,
        /// Makes it in a store that no server has open, as who has lost every key must.
        #[arg(long, value_name = "FOLDER", conflicts_with = "stacks")]
        data: Option<PathBuf>,
        #[command(flatten)]
        of: OfStacks,
    },
    /// Lists keys; none of them is shown whole.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Revokes a key for good. Whoever has just seen it takes it for at most a minute more.
    Revoke {
        /// The key's id.
        key_id: String,
    },
}

const KEYS: [Column; 6] = [
    field("KEY", "key_id"),
    field("NAME", "name"),
    field("ROLE", "role"),
    field("CUSTOMER", "customer_id"),
    field("MADE", "created_at"),
    field("REVOKED", "revoked_at"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let key = match command {
        Command::List { paging } => {
            return list::show(session, "/keys", &[], paging, "keys", &KEYS).await;
        }
        Command::Revoke { key_id } => client.delete(&path(&["keys", &key_id])).await?.body,
        Command::Create { name, role, of, .. } if of.are_named() => {
            Task::CreateKey { of: &of, name: &name, role }.run().await?
        }
        Command::Create { name, role, customer, data: Some(data), .. } => {
            offline::create_key(&data, &name, role, customer.as_deref()).await?
        }
        Command::Create { name, role, customer, data: None, .. } => {
            let role = role.as_str().to_owned();
            let said = [("name", Some(name)), ("role", Some(role)), ("customer_id", customer)];
            client.post("/keys", &given(said)).await?.body
        }
    };
    session.output.show(&key, object)
}

/// A role by its name.
fn role() -> impl TypedValueParser<Value = Role> {
    let names = PossibleValuesParser::new(Role::ALL.map(Role::as_str));
    names.try_map(|name| Role::parse(&name).ok_or("there is no such role"))
}
