//! `sagaline seed`: a small shop in a store, so that there is something of everything to look at.
//!
//! Every step is a request that may be repeated, and which steps are left is told by how the order stands. So whoever is
//! broken off begins again, and what is there already, other people's data too, stays as it is.

mod shop;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use events::{OrderId, StreamKey};
use hyper::Method;
use orders::Status;
use serde_json::{Value, json};

use crate::Session;
use crate::client::{Client, path};
use crate::failure::{Failure, Refusal};
use crate::groundwork::{self, Registered};
use crate::list::rows;
use crate::order::{money, status};
use crate::output::{Column, field, made, section, table, text};
use crate::progress::Progress;
use shop::{Change, Hold, Order, Stands};

#[derive(Args)]
pub struct Options {
    /// How long to wait for one thing to settle, in seconds.
    #[arg(long, default_value_t = 60)]
    settle_timeout: u64,
}

const ORDERS: [Column; 5] = [
    field("ORDER", "order_id"),
    made("STATUS", status),
    field("CUSTOMER", "customer_id"),
    made("TOTAL", |order| money(&order["total"], &order["currency"])),
    field("SHOWS", "shows"),
];

const CUSTOMERS: [Column; 3] =
    [field("CUSTOMER", "customer_id"), field("NAME", "name"), field("EMAIL", "email")];

const PRODUCTS: [Column; 6] = [
    field("SKU", "sku"),
    field("NAME", "name"),
    made("PRICE", |product| money(&product["price"], &product["currency"])),
    made("AVAILABLE", |product| product["stock"]["available"].clone()),
    made("RESERVED", |product| product["stock"]["reserved"].clone()),
    made("SOLD", |product| product["stock"]["sold"].clone()),
];

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let seeding =
        Seeding { client: &client, patience: Duration::from_secs(options.settle_timeout), notes: Vec::new() };
    let report =
        seeding.run().await.context("the store is not seeded; the same command goes on where it was")?;
    session.output.show(&report, in_words)
}

fn in_words(report: &Value) -> String {
    let part = |title: &str, list: &str, columns: &[Column]| {
        section(title, rows(report, list), &Value::Null, columns)
    };
    let notes = rows(report, "notes").iter().map(|note| format!("\n\nnote: {}", text(note)));
    format!(
        "{}{}{}{}",
        table(rows(report, "orders"), &ORDERS),
        part("products and their stock", "products", &PRODUCTS),
        part("customers", "customers", &CUSTOMERS),
        notes.collect::<String>(),
    )
}

struct Seeding<'a> {
    client: &'a Client,
    patience: Duration,
    /// What is otherwise than a fresh store would have it.
    notes: Vec<String>,
}

impl Seeding<'_> {
    async fn run(mut self) -> anyhow::Result<Value> {
        for customer in &shop::CUSTOMERS {
            self.register("/customers", customer.id, &customer.request()).await?;
        }
        for product in &shop::PRODUCTS {
            self.register("/products", product.sku, &product.request()).await?;
            self.restock(product).await?;
        }
        let (progress, mut orders) = (Progress::new("orders", shop::ORDERS.len() as u64), Vec::new());
        for order in &shop::ORDERS {
            let row =
                self.order(order).await.with_context(|| format!("failed to seed order {}", order.id))?;
            orders.extend(row);
            progress.one();
        }
        progress.finish();
        let (mut customers, mut products) = (Vec::new(), Vec::new());
        for customer in &shop::CUSTOMERS {
            customers.push(self.client.get(&path(&["customers", customer.id])).await?);
        }
        for shop::Product { sku, .. } in &shop::PRODUCTS {
            let mut product = self.client.get(&path(&["products", sku])).await?;
            product["stock"] = self.client.get(&path(&["inventory", "skus", sku])).await?;
            products.push(product);
        }
        Ok(json!({ "orders": orders, "products": products, "customers": customers, "notes": self.notes }))
    }

    async fn register(&mut self, route: &str, id: &str, body: &Value) -> anyhow::Result<()> {
        match groundwork::register(self.client, route, body).await? {
            Registered::New | Registered::There => {}
            Registered::Other => {
                self.notes.push(format!("{id} was there and says something else, which stands"))
            }
            Registered::Refused(why) => bail!("the server refused {id}: {why}"),
        }
        Ok(())
    }

    /// Sends each lot, and waits until all of them are on the shelf: who orders before would find it empty.
    async fn restock(&mut self, product: &shop::Product) -> anyhow::Result<()> {
        let mut units = 0;
        for (lot, of_lot) in product.lots {
            let body = json!({ "sku": product.sku, "units": of_lot, "lot_id": lot });
            self.register("/inventory/restocks", &format!("lot {lot} of {}", product.sku), &body).await?;
            units += of_lot;
        }
        groundwork::wait_for_units(self.client, product.sku, units, self.patience).await
    }

    /// Places an order and does what is left to be done to it; the row at its end. `None` if this server takes no raw
    /// events and the order needs one.
    async fn order(&mut self, order: &Order) -> anyhow::Result<Option<Value>> {
        if let Some(hold) = order.held
            && let Err(refusal) = self.hold(order, hold).await?
        {
            self.notes.push(format!("{} is left out, it takes a raw event: {refusal}", order.id));
            return Ok(None);
        }
        let placed = match self.client.insist(Method::POST, "/orders", Some(&order.request())).await {
            Ok(answer) => answer.body,
            Err(Failure::Refused(refusal)) if refusal.status == 409 => {
                self.notes.push(format!("{} was there and is another order, which stands", order.id));
                return Ok(Some(self.look(order).await?));
            }
            Err(failure) => return Err(failure.into()),
        };
        let done = order.changes.iter().rposition(|change| is(&placed, change.status()));
        for change in &order.changes[done.map_or(0, |done| done + 1)..] {
            self.at_rest(order, order.held, |_| true).await?;
            if !self.change(order, *change).await? {
                // Somebody has done something else to it since: theirs counts.
                break;
            }
            self.at_rest(order, None, |row| is(row, change.status())).await?;
        }
        let mut row = self.at_rest(order, order.held, |_| true).await?;
        let Stands(expected, reason) = order.stands;
        if !is(&row, expected) || row["status_reason"] != json!(reason) {
            self.notes.push(format!("{} is {}, and was to be {expected}", order.id, text(&status(&row))));
        }
        row["shows"] = order.shows.into();
        Ok(Some(row))
    }

    /// Puts something into the log that stands in a worker's way. A refusal is the server's right: only an admin may, and
    /// only where events may be forged.
    async fn hold(&self, order: &Order, hold: Hold) -> anyhow::Result<Result<(), Refusal>> {
        let stream = StreamKey::Order(OrderId::parse(order.id).context("ids of the shop are ids")?);
        let event = json!({
            "pk": stream.pk(), "sk": hold.slot().sk(), "event_name": "ORDER_PUT_ASIDE_EVENT",
            "data": { "order_id": order.id },
        });
        match self.client.insist(Method::POST, "/chaos/raw-events", Some(&event)).await {
            Ok(_) => Ok(Ok(())),
            Err(Failure::Refused(refusal)) if refusal.status == 403 => Ok(Err(refusal)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Whether the order still could be changed so.
    async fn change(&self, order: &Order, change: Change) -> Result<bool, Failure> {
        let route = path(&["orders", order.id]);
        match self.client.insist(Method::PATCH, &route, Some(&change.request())).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused(refusal)) if refusal.status == 409 => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn look(&self, order: &Order) -> Result<Value, Failure> {
        self.client.get(&path(&["orders", order.id])).await
    }

    /// The order's row as soon as nothing more happens to it: it has ended, or stands where something holds it.
    async fn at_rest(
        &self,
        order: &Order,
        held: Option<Hold>,
        is_right: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let (deadline, mut pause) = (Instant::now() + self.patience, Duration::from_millis(5));
        loop {
            let row = self.look(order).await?;
            let is_held = held.is_some_and(|hold| is(&row, hold.stands()));
            if (is_held || row["open"] == false) && is_right(&row) {
                return Ok(row);
            }
            if Instant::now() > deadline {
                bail!("it still is {} after {} s", text(&status(&row)), self.patience.as_secs());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

fn is(row: &Value, status: Status) -> bool {
    row["status"] == status.as_str()
}
