//! `sagaline customer`: who may order.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::Session;
use crate::client::path;
use crate::list::{self, Paging};
use crate::output::{Column, field, object};

#[derive(Subcommand)]
pub enum Command {
    /// Registers a customer. Name, email and address never enter the log.
    Add {
        /// The customer's id; one is made if there is none.
        #[arg(long)]
        id: Option<String>,
        /// The name.
        #[arg(long)]
        name: Option<String>,
        /// The email address.
        #[arg(long)]
        email: Option<String>,
        /// The postal address.
        #[arg(long)]
        address: Option<String>,
    },
    /// Shows a customer.
    Get {
        /// The customer.
        customer_id: String,
    },
    /// Erases who a customer is, for good, and whoever could act for them; their orders stay.
    Erase {
        /// The customer.
        customer_id: String,
    },
    /// Lists customers.
    List {
        #[command(flatten)]
        paging: Paging,
    },
}

const CUSTOMERS: [Column; 4] = [
    field("CUSTOMER", "customer_id"),
    field("NAME", "name"),
    field("EMAIL", "email"),
    field("REGISTERED", "created_at"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let customer = match command {
        Command::List { paging } => {
            return list::show(session, "/customers", &[], paging, "customers", &CUSTOMERS).await;
        }
        Command::Get { customer_id } => client.get(&path(&["customers", &customer_id])).await?,
        Command::Erase { customer_id } => client.delete(&path(&["customers", &customer_id])).await?.body,
        Command::Add { id, name, email, address } => {
            let said = [("customer_id", id), ("name", name), ("email", email), ("address", address)];
            client.post("/customers", &given(said)).await?.body
        }
    };
    session.output.show(&customer, object)
}

/// An object of what was said.
pub fn given<const N: usize>(said: [(&str, Option<String>); N]) -> Value {
    let mut object = json!({});
    for (field, value) in said {
        if let Some(value) = value {
            object[field] = value.into();
        }
    }
    object
}
