//! The catalogue: what can be ordered, and at which price.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use catalog::fold_product;
use event_store::{ProductRow, StoreError};
use events::{
    Currency, Event, Money, Priority, ProductId, ProductListed, ProductRepriced, ProductWithdrawn, Sku, Slot,
    StreamKey,
};
use serde_json::json;

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Fields, currency, id, money, text};
use crate::openapi::Operation;
use crate::paging::Wanted;
use crate::preconditions::IfMatch;
use crate::problem::Problem;
use crate::request::{Caller, LONGEST_NAME, Named, PathText, Said, Sent, unknown};
use crate::settle::Settled;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::OPERATOR, "/products", add, add_says)
        .list(Needs::Nothing, "/products", list, list_says)
        .get(Needs::Nothing, "/products/{id}", product, product_says)
        .patch(Needs::OPERATOR, "/products/{id}", reprice, reprice_says)
        .delete(Needs::OPERATOR, "/products/{id}", withdraw, withdraw_says)
        .get(Needs::Nothing, "/products/name/{name}", by_name, by_name_says)
}

/// `POST /products` {product_id?, sku, name, price, currency?}. It can be ordered as soon as this answers; where products
/// are looked up by an index that lags, as on DynamoDB, one that has an id of its own, a moment later.
async fn add(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(Offer { product_id, sku, name, price, currency }): Sent<Offer>,
) -> Result<Answer, Problem> {
    let product_id = product_id
        .unwrap_or_else(|| ProductId::parse(sku.as_str()).expect("SKUs and product ids have the same rule"));
    if let Some(other) =
        api.catalog.product_by_sku(&sku).await?.filter(|other| other.product_id != product_id)
        && !has_listed(&api, &product_id, &caller).await?
    {
        let detail = format!("this SKU is sold by product {}; withdraw that one first", other.product_id);
        return Err(Problem::conflict("sku_taken", detail));
    }
    let listed = ProductListed { product_id: product_id.clone(), sku, name, price, currency };
    match api.settle(Event::ProductListed(listed.clone()), None, &caller, Priority::Standard).await? {
        Settled::Now(_) | Settled::Again(_) => {
            let row = project(&api, &product_id).await?;
            Ok(Answer::created(&row, format!("/products/{product_id}")).seen(row.seen))
        }
        Settled::Before(stored) => match stored.event() {
            Ok(Event::ProductListed(known)) if *known == listed => {
                let row = project(&api, &product_id).await?;
                if row.withdrawn {
                    return Err(gone());
                }
                Ok(Answer::ok(&row).seen(row.seen))
            }
            _ => {
                let detail = "this product_id was listed with another SKU, name, price or currency; its price can be \
                    changed (PATCH /products/{id}); to sell it otherwise, withdraw it (DELETE /products/{id}) and list \
                    it under another product_id";
                Err(Problem::conflict("product_exists", detail))
            }
        },
    }
}

fn add_says(says: &mut Operation) {
    let exists = "The product_id was listed with another SKU, name, price or currency.";
    let withdrawn = "The product was withdrawn; list it under another product_id.";
    says.summary("List a product")
        .detail(
            "It can be ordered as soon as this answers; on AWS, one that has a `product_id` of its own, a moment later.",
        )
        .field("product_id", "Names the product; the SKU does, if nothing is said.")
        .field("sku", "What is counted when it is sold.")
        .field("name", "What it is called.")
        .field("price", "What one costs.")
        .field("currency", "In which currency: ISO 4217. USD, if nothing is said.")
        .example("a cup", json!({ "sku": "CUP-BLUE", "name": "Blue cup", "price": 7.5 }))
        .answers::<ProductRow>(201, "The product.")
        .with_header(&[201], "Location")
        .answers::<ProductRow>(200, "The product was listed before, and is the same.")
        .versioned()
        .refuses(StatusCode::CONFLICT, "sku_taken", "Another product sells the SKU.")
        .refuses(StatusCode::CONFLICT, "product_exists", exists)
        .refuses(StatusCode::CONFLICT, "product_withdrawn", withdrawn)
        .refuses(
            StatusCode::NOT_FOUND,
            "product_not_found",
            "What stands under the product_id cannot be read.",
        );
}

/// A product to be listed.
#[derive(Debug)]
struct Offer {
    product_id: Option<ProductId>,
    sku: Sku,
    name: String,
    price: Money,
    currency: Currency,
}

impl Said for Offer {
    fn read(body: &mut Fields) -> Option<Self> {
        let product_id = body.optional("product_id", id(ProductId::parse));
        let sku = body.required("sku", id(Sku::parse));
        let name = body.required("name", text(LONGEST_NAME));
        let price = body.required("price", money());
        let currency = body.optional("currency", currency()).unwrap_or_default();
        Some(Offer { product_id, sku: sku?, name: name?, price: price?, currency })
    }
}

/// So often a change of price looks again whether somebody else was faster.
const LOOKS: u32 = 16;

/// `PATCH /products/{id}` {price, currency?}: what it costs from now on. Orders that stand keep the price at which they
/// were placed. Of two who change it at once both succeed, one after the other, unless they say by `If-Match` from which
/// price they decided.
async fn reprice(
    State(api): State<Arc<Api>>,
    Named(id): Named<ProductId>,
    caller: Caller,
    if_match: IfMatch,
    Sent(Price { price, currency: wanted }): Sent<Price>,
) -> Result<Answer, Problem> {
    for _ in 0..LOOKS {
        let stream = api.log.read_stream(&StreamKey::Product(id.clone()).pk()).await?;
        let row = views::project::product_row(&stream).ok_or_else(unknown::<ProductId>)?;
        let currency = wanted.clone().unwrap_or_else(|| row.currency.clone());
        // What somebody else has changed since stays as they changed it.
        if caller.has_appended(stream.iter().map(|item| &**item)) {
            return as_it_is(&api, &id).await;
        }
        if row.withdrawn {
            return Err(gone());
        }
        if (row.price, &row.currency) == (price, &currency) {
            return as_it_is(&api, &id).await;
        }
        if_match.check(row.seen)?;
        let items = || stream.iter().map(|item| &**item);
        let revision = fold_product(items()).next_revision(items()).ok_or_else(|| {
            Problem::conflict(
                "slot_taken",
                "an event that somebody forged has the last revision that there is",
            )
        })?;
        let latest = items().map(|item| item.event_id).max();
        let event =
            Event::ProductRepriced(ProductRepriced { product_id: id.clone(), revision, price, currency });
        if let Settled::Now(_) = api.settle(event, latest, &caller, Priority::Standard).await? {
            return as_it_is(&api, &id).await;
        }
    }
    Err(StoreError::Unavailable("somebody else was faster each time".into()).into())
}

fn reprice_says(says: &mut Operation) {
    says.summary("Change a price")
        .detail(
            "What the product costs from now on. Orders that stand keep the price at which they were placed.",
        )
        .field("price", "What one costs now.")
        .field("currency", "In which currency: ISO 4217. As before, if nothing is said.")
        .example("dearer", json!({ "price": 8.5 }))
        .answers::<ProductRow>(200, "The product, at the new price.")
        .versioned()
        .refuses(StatusCode::CONFLICT, "product_withdrawn", "The product was withdrawn.")
        .refuses(StatusCode::CONFLICT, "slot_taken", "A forged event has the last revision that there is.");
}

/// Another price.
#[derive(Debug)]
struct Price {
    price: Money,
    currency: Option<Currency>,
}

impl Said for Price {
    fn read(body: &mut Fields) -> Option<Self> {
        let price = body.required("price", money());
        let currency = body.optional("currency", currency());
        Some(Price { price: price?, currency })
    }
}

fn gone() -> Problem {
    Problem::conflict("product_withdrawn", "this product was withdrawn; list it under another product_id")
}

/// `DELETE /products/{id}`: it can no longer be ordered. Orders that stand are not touched.
async fn withdraw(
    State(api): State<Arc<Api>>,
    Named(id): Named<ProductId>,
    caller: Caller,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let stream = api.log.read_stream(&StreamKey::Product(id.clone()).pk()).await?;
    let row = views::project::product_row(&stream).ok_or_else(unknown::<ProductId>)?;
    if !row.withdrawn {
        if_match.check(row.seen)?;
        let latest = stream.iter().map(|item| item.event_id).max();
        let event = Event::ProductWithdrawn(ProductWithdrawn { product_id: id.clone() });
        api.settle(event, latest, &caller, Priority::Standard).await?;
    }
    let row = project(&api, &id).await?;
    if !row.withdrawn {
        let detail = "the decision to withdraw this product is settled by an event that cannot be read";
        return Err(Problem::conflict("slot_taken", detail));
    }
    Ok(Answer::ok(&row).seen(row.seen))
}

fn withdraw_says(says: &mut Operation) {
    let unreadable = "The decision was settled by an event that cannot be read.";
    says.summary("Withdraw a product")
        .detail("It can no longer be ordered. Orders that stand are not touched.")
        .answers::<ProductRow>(200, "The product, withdrawn.")
        .versioned()
        .refuses(StatusCode::CONFLICT, "slot_taken", unreadable);
}

/// The product as it is now, whatever made it so.
async fn as_it_is(api: &Api, id: &ProductId) -> Result<Answer, Problem> {
    let row = project(api, id).await?;
    Ok(Answer::ok(&row).seen(row.seen))
}

/// The row of the product's stream, written down so that orders see it at once.
async fn project(api: &Api, id: &ProductId) -> Result<ProductRow, Problem> {
    let row = folded(api, id).await?.ok_or_else(unknown::<ProductId>)?;
    api.catalog.put_product(row.clone()).await?;
    Ok(row)
}

/// Whether this request, when it came before, listed the product.
async fn has_listed(api: &Api, id: &ProductId, caller: &Caller) -> Result<bool, StoreError> {
    let listed = api.log.read_slot(&StreamKey::Product(id.clone()).pk(), &Slot::ProductListed.sk()).await?;
    Ok(caller.has_appended(listed.as_deref()))
}

async fn folded(api: &Api, id: &ProductId) -> Result<Option<ProductRow>, Problem> {
    let stream = api.log.read_stream(&StreamKey::Product(id.clone()).pk()).await?;
    Ok(views::project::product_row(&stream))
}

async fn product(State(api): State<Arc<Api>>, Named(id): Named<ProductId>) -> Result<Answer, Problem> {
    let row = match api.catalog.product(&id).await? {
        Some(row) => row,
        None => folded(&api, &id).await?.ok_or_else(unknown::<ProductId>)?,
    };
    Ok(Answer::ok(&row).seen(row.seen))
}

fn product_says(says: &mut Operation) {
    says.summary("Show a product").answers::<ProductRow>(200, "The product.").spares();
}

/// `GET /products/name/{name}`: the product of exactly this name that can be ordered.
async fn by_name(State(api): State<Arc<Api>>, PathText(name): PathText) -> Result<Answer, Problem> {
    let name = name.filter(|name| !name.contains(char::is_control)).ok_or_else(unnamed)?;
    let row = api.catalog.product_by_name(&name).await?.ok_or_else(unnamed)?;
    // Another product may have the name tomorrow.
    Ok(Answer::ok(&row).digested())
}

fn unnamed() -> Problem {
    Problem::not_found("product_not_found", "no product of this name can be ordered")
}

fn by_name_says(says: &mut Operation) {
    says.summary("Find a product by its name")
        .in_path("name", "What the product is called, letter by letter.", "Red teapot")
        .answers::<ProductRow>(200, "The product of this name that can be ordered.")
        .spares()
        .refuses(StatusCode::NOT_FOUND, "product_not_found", "No product of this name can be ordered.");
}

fn list_says(says: &mut Operation) {
    says.summary("List products, newest first").lists::<ProductRow>("products", "A page of the catalogue.");
}

async fn list(State(api): State<Arc<Api>>, wanted: Wanted) -> Result<Answer, Problem> {
    let list = api.list_of("products").await?;
    let window = list.window(wanted)?;
    let page = api.catalog.products(&window).await?;
    Ok(Answer::ok(&list.page("products", &page)))
}
