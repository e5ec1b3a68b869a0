//! Placing an order: read everything, price it from the catalogue, and append it straight away.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::{OrderRow, ProductRow, StoreError};
use events::{
    Currency, CustomerId, Event, Money, OrderId, OrderLine, OrderPlaced, Priority, ProductId, RecordedEvent,
    Sku, Slot,
};
use futures_util::future::{try_join, try_join_all};
use serde_json::json;

use super::pk;
use crate::Api;
use crate::answer::Answer;
use crate::fields::{Bad, Fields, id, one_of};
use crate::lines::{Line, items};
use crate::openapi::Operation;
use crate::prefer::Wait;
use crate::problem::{FieldError, Place, Problem};
use crate::request::{Caller, Said, Sent, unknown};
use crate::settle::Settled;

/// `POST /orders` {customer_id, items[{sku, quantity}], order_id?, priority?}; with `Prefer: wait=5`, as soon as it has
/// settled.
pub(crate) async fn place(
    State(api): State<Arc<Api>>,
    caller: Caller,
    wait: Wait,
    Sent(asked): Sent<Asked>,
) -> Result<Answer, Problem> {
    caller.acts_for(&asked.customer_id)?;
    let stamp = api.stamper.stamp(None);
    let order_id = asked.order_id.clone().unwrap_or_else(|| {
        let id = format!("ord-{}", caller.made(&stamp).to_string().to_ascii_lowercase());
        OrderId::parse(&id).expect("a ULID has only letters and digits")
    });
    let settled = match price(&api, &asked).await {
        Ok(priced) => {
            let event = Event::OrderPlaced(OrderPlaced {
                order_id: order_id.clone(),
                customer_id: asked.customer_id.clone(),
                items: priced.items,
                total: priced.total,
                currency: priced.currency,
                priority: asked.priority,
            });
            let causes = caller.causes(asked.priority);
            api.append(RecordedEvent::new(event, Vec::new(), stamp, causes), &caller).await?
        }
        // An order that stands is answered as it stands, whatever the catalogue says today.
        Err(refusal) => {
            let may_stand = asked.order_id.is_some() || caller.again.is_some();
            if !may_stand || !refusal.status().is_client_error() {
                return Err(refusal);
            }
            let placed = api.log.read_slot(&pk(&order_id), &Slot::OrderPlaced.sk()).await?;
            let placed = placed.ok_or_else(|| match &asked.order_id {
                Some(id) => refusal.about(id),
                None => refusal,
            })?;
            if caller.has_appended([&*placed]) { Settled::Again(placed) } else { Settled::Before(placed) }
        }
    };
    match settled {
        Settled::Now(placed) if wait == Wait(0) => created(&order_id, &placed, None),
        Settled::Now(placed) => {
            let later = api.settled(&order_id, wait).await.ok().flatten();
            created(&order_id, &placed, later).map(|answer| answer.waited(wait))
        }
        // What has become of it since is shown, and what is shown is kept.
        Settled::Again(placed) => {
            let later = api.settled(&order_id, wait).await?;
            created(&order_id, &placed, later).map(|answer| answer.waited(wait))
        }
        Settled::Before(stored) => stands(&api, &asked, &order_id, &stored, wait).await,
    }
}

pub(crate) fn place_says(says: &mut Operation) {
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    says.summary("Place an order")
        .detail(
            "Names and prices are the catalogue's. It is placed as soon as this answers, and settles by itself within \
             milliseconds; `Prefer: wait=5` waits for that. With an `order_id` of your own, placing it twice is placing it \
             once, and the second answer shows the order as it is then.",
        )
        .field("customer_id", "Who orders: a registered customer. A customer orders in their own name.")
        .field("items", "What is ordered: at most 90 different SKUs. Lines of one SKU are added up.")
        .field("items/sku", "What: sold by a listed product.")
        .field("items/quantity", "How many.")
        .field("order_id", "Names the order. One is made where none is given.")
        .field("priority", "Express orders are not held up by a backlog of standard ones; standard if nothing is said.")
        .example("two teapots", json!({
            "order_id": "order-0002", "customer_id": "anna-1", "items": [{ "sku": "TEAPOT-RED", "quantity": 2 }],
        }))
        .example("in a hurry", json!({
            "customer_id": "anna-1", "items": [{ "sku": "TEAPOT-RED", "quantity": 1 }], "priority": "express",
        }))
        .answers::<OrderRow>(201, "The order, as it was placed or has settled.")
        .with_header(&[201], "Location")
        .answers::<OrderRow>(200, "It was placed before; this is what has become of it.")
        .versioned()
        .refuses(StatusCode::FORBIDDEN, "not_your_customer", "A customer orders in somebody else's name.")
        .refuses(StatusCode::CONFLICT, "order_exists", "An order with this order_id stands, and says something else.")
        .refuses(StatusCode::NOT_FOUND, "order_not_found", "What stands under this order_id cannot be read.")
        .refuses(refused, "unknown_customer", "The customer is not registered, or was erased.")
        .refuses(refused, "unknown_sku", "No listed product sells one of the SKUs.")
        .refuses(refused, "mixed_currencies", "The products are sold in several currencies.")
        .refuses(refused, "total_too_large", "It costs more than an order can.");
}

/// The order as it was waited for, else as it was placed: it is in the log, whatever became of the waiting.
fn created(id: &OrderId, placed: &RecordedEvent, later: Option<OrderRow>) -> Result<Answer, Problem> {
    let row = later.or_else(|| views::project::order_rows(&[placed]).map(|rows| rows.order));
    let row = row.ok_or_else(|| Problem::internal("an order that was just placed has no row"))?;
    Ok(Answer::created(&row, format!("/orders/{id}")).seen(row.seen).about(id))
}

/// The answer where the order's first slot is taken: a repeat finds the order as it is now.
async fn stands(
    api: &Api,
    asked: &Asked,
    id: &OrderId,
    stored: &RecordedEvent,
    wait: Wait,
) -> Result<Answer, Problem> {
    match stored.event() {
        Ok(Event::OrderPlaced(placed)) if asked.is_what_was(placed) => {
            let row = api.settled(id, wait).await?.ok_or_else(unknown::<OrderId>)?;
            Ok(Answer::ok(&row).seen(row.seen).waited(wait).about(id))
        }
        _ => {
            let detail = "an order with this order_id stands, with another customer, other items or another priority; \
                choose another order_id";
            Err(Problem::conflict("order_exists", detail).about(id))
        }
    }
}

/// `POST /orders/process-queue` would hide an order of this name.
const TAKEN: &str = "process-queue";

/// What a request asks for, before the catalogue is looked at.
#[derive(Debug)]
pub(crate) struct Asked {
    customer_id: CustomerId,
    lines: Vec<Line>,
    order_id: Option<OrderId>,
    priority: Priority,
}

impl Said for Asked {
    fn read(body: &mut Fields) -> Option<Self> {
        let customer_id = body.required("customer_id", id(CustomerId::parse));
        let lines = items(body);
        let order_id = body.optional("order_id", id(OrderId::parse));
        if order_id.as_ref().is_some_and(|id| id.as_str() == TAKEN) {
            body.refuse("order_id", Bad("invalid_value", "is the name of a route; choose another".into()));
        }
        let words = [Priority::Standard, Priority::Express].map(|priority| (priority.as_str(), priority));
        let priority = body.optional("priority", one_of(&words)).unwrap_or_default();
        Some(Asked { customer_id: customer_id?, lines: lines?, order_id, priority })
    }
}

impl Asked {
    /// Whether the placed order is what this request asks for. Prices are not compared: a repeat after
    /// a change of price is still a repeat.
    fn is_what_was(&self, placed: &OrderPlaced) -> bool {
        let mut units: BTreeMap<&Sku, u64> = BTreeMap::new();
        for line in &placed.items {
            *units.entry(&line.sku).or_default() += u64::from(line.quantity);
        }
        let asked = |line: &Line| units.get(&line.sku) == Some(&u64::from(line.quantity));
        self.customer_id == placed.customer_id
            && self.priority == placed.priority
            && self.lines.len() == units.len()
            && self.lines.iter().all(asked)
    }
}

/// What the catalogue makes of an order.
struct Priced {
    items: Vec<OrderLine>,
    total: Money,
    currency: Currency,
}

async fn price(api: &Api, asked: &Asked) -> Result<Priced, Problem> {
    let products = try_join_all(
        asked.lines.iter().map(|line| async { sold_as(api, &line.sku).await.map_err(Problem::from) }),
    );
    let (customer, products) = try_join(api.customer(&asked.customer_id), products).await?;

    let mut errors = Vec::new();
    if customer.is_none_or(|customer| customer.erased) {
        errors.push(wrong("/customer_id".into(), "unknown_customer", "must be a registered customer"));
    }
    let mut sold: Vec<(&Line, ProductRow)> = Vec::with_capacity(products.len());
    for (line, product) in asked.lines.iter().zip(products) {
        match product {
            Some(product) => sold.push((line, product)),
            None => errors.push(wrong(line.pointer(), "unknown_sku", "must be sold by a listed product")),
        }
    }
    if let Some(first) = errors.first() {
        return Err(Problem::fields(first.code, errors));
    }
    total(sold)
}

/// The product that sells a SKU. Where the look-up by SKU lags behind, one that was listed under its SKU, as most are, is
/// found all the same.
async fn sold_as(api: &Api, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
    if let Some(product) = api.catalog.product_by_sku(sku).await? {
        return Ok(Some(product));
    }
    let Ok(id) = ProductId::parse(sku.as_str()) else { return Ok(None) };
    Ok(api.catalog.product(&id).await?.filter(|product| product.sku == *sku && !product.withdrawn))
}

fn total(sold: Vec<(&Line, ProductRow)>) -> Result<Priced, Problem> {
    let Some(currency) = sold.first().map(|(_, product)| product.currency.clone()) else {
        return Err(Problem::internal("an order without lines was read"));
    };
    let (mut items, mut sum) = (Vec::with_capacity(sold.len()), Some(Money::ZERO));
    for (line, product) in sold {
        if product.currency != currency {
            let detail = "must be sold in the currency of the other items; place one order per currency";
            let errors = vec![wrong(line.pointer(), "mixed_currencies", detail)];
            return Err(Problem::fields("mixed_currencies", errors));
        }
        sum = sum.and_then(|sum| sum.plus(product.price.times(line.quantity.get())?));
        items.push(OrderLine {
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: Some(product.price),
            name: Some(product.name),
        });
    }
    let Some(total) = sum else {
        let detail = "cost more than an order can; split the order";
        return Err(Problem::fields(
            "total_too_large",
            vec![wrong("/items".into(), "total_too_large", detail)],
        ));
    };
    Ok(Priced { items, total, currency })
}

fn wrong(pointer: String, code: &'static str, detail: &'static str) -> FieldError {
    FieldError { place: Place::Pointer(pointer), detail: detail.into(), code }
}
