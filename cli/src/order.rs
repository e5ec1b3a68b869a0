//! `sagaline order`: placing orders, looking at them, and what is done to them.

use std::str::FromStr;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::client::{Answer, path};
use crate::list::{self, Paging, rows};
use crate::output::{Column, facts, field, made, section, table};
use crate::watch::{self, Watch};

#[derive(Subcommand)]
pub enum Command {
    /// Places an order. Placing it again under the same --order-id changes nothing.
    Place(Place),
    /// Shows an order and its lines.
    Get {
        /// The order.
        order_id: String,
    },
    /// Lists orders, newest first.
    List {
        /// Of this customer.
        #[arg(long)]
        customer: Option<String>,
        /// In this state, such as PAID.
        #[arg(long)]
        status: Option<String>,
        /// Placed at this time (RFC 3339) or later.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Placed before this time (RFC 3339).
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Cancels an order; stock and money go back.
    Cancel {
        /// The order.
        order_id: String,
        /// Why, in your words.
        #[arg(long)]
        reason: Option<String>,
        /// Who asks.
        #[arg(long)]
        by: Option<String>,
    },
    /// Says that the parcel left.
    Ship {
        /// The order.
        order_id: String,
        /// Who carries it.
        #[arg(long)]
        carrier: Option<String>,
        /// The carrier's number of the parcel.
        #[arg(long)]
        tracking: Option<String>,
    },
    /// Says that the parcel arrived.
    Deliver {
        /// The order.
        order_id: String,
    },
    /// Records that the order was paid by another way than the gateway.
    Pay {
        /// The order.
        order_id: String,
        /// What the payment can be found under: a receipt, a bank reference.
        #[arg(long)]
        reference: Option<String>,
        /// Who records it.
        #[arg(long)]
        by: Option<String>,
    },
    /// Shows every event of an order.
    Events {
        /// The order.
        order_id: String,
    },
    /// Shows the payment of an order.
    Payments {
        /// The order.
        order_id: String,
    },
    /// Shows the delivery of an order.
    Deliveries {
        /// The order.
        order_id: String,
    },
    /// Prints the events of an order as they come, until nothing more is owed. Exits with 4 if the order was cancelled.
    Watch(Watch),
}

#[derive(Args)]
pub struct Place {
    /// Who orders.
    #[arg(long)]
    customer: String,
    /// What, and how many: SKU or SKU=QUANTITY. Once for each SKU.
    #[arg(long = "item", required = true, value_name = "SKU=QUANTITY")]
    items: Vec<Item>,
    /// The order's id. With it, placing may be repeated without placing twice.
    #[arg(long)]
    order_id: Option<String>,
    /// Take the lane that a backlog does not hold up.
    #[arg(long)]
    express: bool,
}

/// A SKU, and how many of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    sku: String,
    quantity: u64,
}

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((sku, quantity)) = text.rsplit_once('=') else {
            return Ok(Item { sku: text.to_owned(), quantity: 1 });
        };
        let quantity = quantity.parse().map_err(|_| format!("{quantity} is not a whole number"))?;
        Ok(Item { sku: sku.to_owned(), quantity })
    }
}

impl Item {
    /// The item as a line of a request.
    pub fn line(&self) -> Value {
        json!({ "sku": self.sku, "quantity": self.quantity })
    }
}

const ORDERS: [Column; 6] = [
    field("ORDER", "order_id"),
    made("STATUS", status),
    field("CUSTOMER", "customer_id"),
    made("LINES", |order| rows(order, "items").len().into()),
    made("TOTAL", |order| money(&order["total"], &order["currency"])),
    field("PLACED", "created_at"),
];

const LINES: [Column; 4] = [
    field("SKU", "sku"),
    field("NAME", "name"),
    field("QUANTITY", "quantity"),
    field("UNIT PRICE", "unit_price"),
];

const EVENTS: [Column; 5] = [
    field("TIME", "occurred_at"),
    field("EVENT", "event_name"),
    field("SLOT", "slot"),
    field("BY", "producer"),
    field("EVENT ID", "event_id"),
];

const ANOMALIES: [Column; 4] =
    [field("EVENT", "event_name"), field("SLOT", "slot"), field("EVENT ID", "event_id"), field("WHY", "why")];

const PAYMENTS: [Column; 7] = [
    field("PAYMENT", "payment_id"),
    field("STATUS", "status"),
    made("AMOUNT", |payment| money(&payment["amount"], &payment["currency"])),
    field("ATTEMPTS", "attempts"),
    field("BY", "by"),
    field("REASON", "reason"),
    field("UPDATED", "updated_at"),
];

const DELIVERIES: [Column; 4] = [
    field("STATUS", "status"),
    field("CARRIER", "carrier"),
    field("TRACKING", "tracking"),
    field("UPDATED", "updated_at"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    match command {
        Command::Place(place) => changed(session, &client.post("/orders", &request(&place)).await?),
        Command::Get { order_id } => {
            session.output.show(&client.get(&path(&["orders", &order_id])).await?, in_words)
        }
        Command::List { customer, status, from, to, paging } => {
            let filters = [
                ("customer_id", customer.as_deref()),
                ("status", status.as_deref()),
                ("start_date", from.as_deref()),
                ("end_date", to.as_deref()),
            ];
            list::show(session, "/orders", &filters, paging, "orders", &ORDERS).await
        }
        Command::Cancel { order_id, reason: None, by: None } => {
            changed(session, &client.delete(&path(&["orders", &order_id])).await?)
        }
        Command::Cancel { order_id, reason, by } => {
            patch(session, &order_id, "CANCELLED", &[("reason", reason), ("by", by)]).await
        }
        Command::Ship { order_id, carrier, tracking } => {
            patch(session, &order_id, "SHIPPED", &[("carrier", carrier), ("tracking", tracking)]).await
        }
        Command::Deliver { order_id } => patch(session, &order_id, "DELIVERED", &[]).await,
        Command::Pay { order_id, reference, by } => {
            patch(session, &order_id, "PAID", &[("reference", reference), ("by", by)]).await
        }
        Command::Events { order_id } => part(session, &order_id, "events", &EVENTS).await,
        Command::Payments { order_id } => part(session, &order_id, "payments", &PAYMENTS).await,
        Command::Deliveries { order_id } => part(session, &order_id, "deliveries", &DELIVERIES).await,
        Command::Watch(order) => watch::run(order, session).await,
    }
}

fn request(place: &Place) -> Value {
    let mut request = json!({
        "customer_id": place.customer,
        "items": place.items.iter().map(Item::line).collect::<Vec<_>>(),
    });
    if let Some(order_id) = &place.order_id {
        request["order_id"] = order_id.as_str().into();
    }
    if place.express {
        request["priority"] = "express".into();
    }
    request
}

async fn patch(
    session: &Session,
    order_id: &str,
    status: &str,
    said: &[(&str, Option<String>)],
) -> anyhow::Result<()> {
    let mut request = json!({ "status": status });
    for (field, value) in said {
        if let Some(value) = value {
            request[*field] = value.as_str().into();
        }
    }
    changed(session, &session.client().patch(&path(&["orders", order_id]), &request).await?)
}

/// What a change came to: the order's id and state.
fn changed(session: &Session, answer: &Answer) -> anyhow::Result<()> {
    let note = (answer.status == 202).then(|| json!("recorded; it takes effect by itself"));
    session.output.show(&answer.body, |order| {
        facts(&[
            ("order", order["order_id"].clone()),
            ("status", status(order)),
            ("note", note.unwrap_or_default()),
        ])
    })
}

fn in_words(order: &Value) -> String {
    let pending = rows(order, "pending").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let pairs = [
        ("order", order["order_id"].clone()),
        ("status", status(order)),
        ("held until it is paid", if pending.is_empty() { Value::Null } else { pending.into() }),
        ("customer", order["customer_id"].clone()),
        ("total", money(&order["total"], &order["currency"])),
        ("priority", order["priority"].clone()),
        ("placed", order["created_at"].clone()),
        ("updated", order["updated_at"].clone()),
    ];
    format!("{}\n\n{}", facts(&pairs), table(rows(order, "items"), &LINES))
}

/// `/orders/{id}/{part}`.
async fn part(session: &Session, order_id: &str, part: &str, columns: &[Column]) -> anyhow::Result<()> {
    let answer = session.client().get(&path(&["orders", order_id, part])).await?;
    session.output.show(&answer, |answer| {
        let anomalies = rows(answer, "anomalies");
        table(rows(answer, part), columns)
            + &section("anomalies (kept, and passed over)", anomalies, &Value::Null, &ANOMALIES)
    })
}

/// `CANCELLED (reservation_failed: out_of_stock)`.
pub fn status(order: &Value) -> Value {
    let status = order["status"].as_str().unwrap_or("-");
    match (order["status_reason"].as_str(), order["status_detail"].as_str()) {
        (Some(reason), Some(detail)) => format!("{status} ({reason}: {detail})").into(),
        (Some(reason), None) => format!("{status} ({reason})").into(),
        _ => status.into(),
    }
}

/// `19.90 GBP`.
pub fn money(amount: &Value, currency: &Value) -> Value {
    match (amount.as_f64(), currency.as_str()) {
        (Some(amount), Some(currency)) => format!("{amount:.2} {currency}").into(),
        _ => amount.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_a_sku_and_how_many() {
        let item = |sku: &str, quantity| Ok(Item { sku: sku.into(), quantity });
        assert_eq!("lamp-01=3".parse::<Item>(), item("lamp-01", 3));
        assert_eq!("lamp-01".parse::<Item>(), item("lamp-01", 1));
        assert_eq!("a=b=2".parse::<Item>(), item("a=b", 2));
        assert!("lamp-01=three".parse::<Item>().is_err());
        assert!("lamp-01=-1".parse::<Item>().is_err());
    }

    #[test]
    fn a_request_names_only_what_was_said() {
        let mut place = Place {
            customer: "guest".into(),
            items: vec!["lamp-01=3".parse().unwrap()],
            order_id: None,
            express: false,
        };
        let expected = json!({"customer_id": "guest", "items": [{"sku": "lamp-01", "quantity": 3}]});
        assert_eq!(request(&place), expected);
        (place.order_id, place.express) = (Some("o-1".into()), true);
        assert_eq!(request(&place)["order_id"], "o-1");
        assert_eq!(request(&place)["priority"], "express");
    }

    #[test]
    fn a_status_says_why_and_money_has_two_decimals() {
        let order = json!({"status": "CANCELLED", "status_reason": "reservation_failed", "status_detail": "out_of_stock"});
        assert_eq!(status(&order), "CANCELLED (reservation_failed: out_of_stock)");
        assert_eq!(status(&json!({"status": "PAID"})), "PAID");
        assert_eq!(money(&json!(19.9), &json!("GBP")), "19.90 GBP");
    }
}
