//! `sagaline key`: who may ask.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::Session;
use crate::client::path;
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
        #[arg(long, value_enum, default_value_t = Role::Operator)]
        role: Role,
        /// Whose orders it may see and place; for the role customer.
        #[arg(long, value_name = "CUSTOMER_ID", required_if_eq("role", "customer"))]
        customer: Option<String>,
        /// Makes it in a store that no server has open, as who has lost every key must.
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
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

/// What a key may ask for; each may what those before it may.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// Orders of one customer.
    Customer,
    /// Everybody's orders, stock, queues.
    Operator,
    /// Users, keys, raw events.
    Admin,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
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
        Command::Create { name, role, customer, data: Some(data) } => {
            offline::create_key(&data, &name, role.as_str(), customer.as_deref()).await?
        }
        Command::Create { name, role, customer, data: None } => {
            client.post("/keys", &wanted(&name, role, customer)).await?.body
        }
    };
    session.output.show(&key, object)
}

fn wanted(name: &str, role: Role, customer: Option<String>) -> Value {
    let mut wanted = json!({ "name": name, "role": role.as_str() });
    if let Some(customer) = customer {
        wanted["customer_id"] = customer.into();
    }
    wanted
}
