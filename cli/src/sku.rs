//! `sagaline sku`: what is on the shelf, what comes in, and why it moved.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::Session;
use crate::client::path;
use crate::list::{self, Paging, rows};
use crate::order::Item;
use crate::output::{Column, field, made, object, table};

#[derive(Subcommand)]
pub enum Command {
    /// Lists every SKU that ever had stock.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Shows the stock of one SKU.
    Get {
        /// The SKU.
        sku: String,
    },
    /// Sends a lot of units to the shelf. The same lot again changes nothing.
    Restock {
        /// The SKU.
        sku: String,
        /// How many units.
        #[arg(long)]
        units: u64,
        /// The lot's id.
        #[arg(long)]
        lot: String,
    },
    /// Asks whether an order of these items could be held now, without holding anything.
    Check {
        /// What, and how many: SKU or SKU=QUANTITY.
        #[arg(required = true, value_name = "SKU=QUANTITY")]
        items: Vec<Item>,
    },
    /// Shows each movement of a SKU's counters and the event that explains it.
    Ledger {
        /// The SKU.
        sku: String,
        #[command(flatten)]
        paging: Paging,
    },
}

const SKUS: [Column; 5] = [
    field("SKU", "sku"),
    field("AVAILABLE", "available"),
    field("RESERVED", "reserved"),
    field("SOLD", "sold"),
    field("UPDATED", "updated_at"),
];

const CHECK: [Column; 4] = [
    field("SKU", "sku"),
    field("ASKED", "requested"),
    field("AVAILABLE", "available"),
    made("ENOUGH", |line| if line["enough"] == true { "yes".into() } else { "no".into() }),
];

const LEDGER: [Column; 6] = [
    field("TIME", "occurred_at"),
    field("EVENT", "event_name"),
    field("STREAM", "pk"),
    field("AVAILABLE", "available"),
    field("RESERVED", "reserved"),
    field("SOLD", "sold"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    match command {
        Command::List { paging } => list::show(session, "/inventory/skus", &[], paging, "skus", &SKUS).await,
        Command::Get { sku } => {
            session.output.show(&client.get(&path(&["inventory", "skus", &sku])).await?, object)
        }
        Command::Restock { sku, units, lot } => {
            let lot = json!({ "sku": sku, "units": units, "lot_id": lot });
            session.output.show(&client.post("/inventory/restocks", &lot).await?.body, object)
        }
        Command::Check { items } => {
            let items: Vec<Value> = items.iter().map(Item::line).collect();
            let stock = client.post("/inventory/check", &json!({ "items": items })).await?.body;
            session.output.show(&stock, |stock| table(rows(stock, "items"), &CHECK))
        }
        Command::Ledger { sku, paging } => {
            let route = path(&["inventory", "skus", &sku, "ledger"]);
            list::show(session, &route, &[], paging, "entries", &LEDGER).await
        }
    }
}
