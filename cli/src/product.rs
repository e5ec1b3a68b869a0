//! `sagaline product`: what can be ordered, and what it costs.

use clap::Subcommand;
use events::Money;
use serde_json::json;

use crate::Session;
use crate::client::path;
use crate::customer::given;
use crate::list::{self, Paging};
use crate::order::money;
use crate::output::{Column, field, made, object};

#[derive(Subcommand)]
pub enum Command {
    /// Lists a product. The same id with other content is refused.
    Add {
        /// What is counted when it is sold.
        #[arg(long)]
        sku: String,
        /// What it is called.
        #[arg(long)]
        name: String,
        /// What one costs, with at most two decimals.
        #[arg(long, value_parser = price)]
        price: Money,
        /// The currency's ISO 4217 code.
        #[arg(long)]
        currency: Option<String>,
        /// The product's id; one is made if there is none.
        #[arg(long)]
        id: Option<String>,
    },
    /// Shows a product.
    Get {
        /// The product.
        product_id: String,
    },
    /// Lists the products.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Changes what a product costs from now on; orders that stand keep their price.
    Reprice {
        /// The product.
        product_id: String,
        /// What one costs now, with at most two decimals.
        #[arg(value_parser = price)]
        price: Money,
        /// The currency's ISO 4217 code; as before if nothing is said.
        #[arg(long)]
        currency: Option<String>,
    },
    /// Takes a product out of the catalogue: it can no longer be ordered.
    Withdraw {
        /// The product.
        product_id: String,
    },
}

const PRODUCTS: [Column; 5] = [
    field("PRODUCT", "product_id"),
    field("SKU", "sku"),
    field("NAME", "name"),
    made("PRICE", |product| money(&product["price"], &product["currency"])),
    made("WITHDRAWN", |product| if product["withdrawn"] == true { json!("yes") } else { json!("") }),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let product = match command {
        Command::List { paging } => {
            return list::show(session, "/products", &[], paging, "products", &PRODUCTS).await;
        }
        Command::Get { product_id } => client.get(&path(&["products", &product_id])).await?,
        Command::Withdraw { product_id } => client.delete(&path(&["products", &product_id])).await?.body,
        Command::Reprice { product_id, price, currency } => {
            let mut request = given([("currency", currency)]);
            request["price"] = json!(price);
            client.patch(&path(&["products", &product_id]), &request).await?.body
        }
        Command::Add { sku, name, price, currency, id } => {
            let mut request = json!({ "sku": sku, "name": name, "price": price });
            for (field, value) in [("currency", currency), ("product_id", id)] {
                if let Some(value) = value {
                    request[field] = value.into();
                }
            }
            client.post("/products", &request).await?.body
        }
    };
    // An answer may have no body: 204.
    session
        .output
        .show(&product, |product| if product.is_null() { "done".to_owned() } else { object(product) })
}

fn price(text: &str) -> Result<Money, String> {
    serde_json::from_str(text)
        .map_err(|_| "must be an amount with at most two decimals, such as 19.90".to_owned())
}
