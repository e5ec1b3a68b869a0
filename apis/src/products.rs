//! The catalogue: what can be ordered, and at which price.

use std::sync::Arc;

use axum::extract::State;
use catalog::fold_product;
use event_store::{ProductRow, StoreError};
use events::{Event, Priority, ProductId, ProductListed, ProductRepriced, ProductWithdrawn, Sku, StreamKey};

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Fields, currency, id, money, text};
use crate::params::Params;
use crate::preconditions::IfMatch;
use crate::problem::Problem;
use crate::request::{Caller, Named, PathText, unknown};
use crate::settle::Settled;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::OPERATOR, "/products", add)
        .list(Needs::Nothing, "/products", list)
        .get(Needs::Nothing, "/products/{id}", product)
        .patch(Needs::OPERATOR, "/products/{id}", reprice)
        .delete(Needs::OPERATOR, "/products/{id}", withdraw)
        .get(Needs::Nothing, "/products/name/{name}", by_name)
}

/// `POST /products` {product_id?, sku, name, price, currency?}. It can be ordered as soon as this answers.
async fn add(State(api): State<Arc<Api>>, caller: Caller, mut body: Fields) -> Result<Answer, Problem> {
    let product_id = body.optional("product_id", id(ProductId::parse));
    let sku = body.required("sku", id(Sku::parse));
    let name = body.required("name", text(200));
    let price = body.required("price", money);
    let currency = body.optional("currency", currency).unwrap_or_default();
    let ((sku, name), price) = body.finish(sku.zip(name).zip(price))?;
    let product_id = product_id
        .unwrap_or_else(|| ProductId::parse(sku.as_str()).expect("SKUs and product ids have the same rule"));
    if let Some(other) =
        api.catalog.product_by_sku(&sku).await?.filter(|other| other.product_id != product_id)
    {
        let detail = format!("this SKU is sold by product {}; withdraw that one first", other.product_id);
        return Err(Problem::conflict("sku_taken", detail));
    }
    let listed = ProductListed { product_id: product_id.clone(), sku, name, price, currency };
    match api.settle(Event::ProductListed(listed.clone()), None, &caller, Priority::Standard).await? {
        Settled::Now(_) => {
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
    mut body: Fields,
) -> Result<Answer, Problem> {
    let price = body.required("price", money);
    let wanted = body.optional("currency", currency);
    let price = body.finish(price)?;
    for _ in 0..LOOKS {
        let stream = api.log.read_stream(&StreamKey::Product(id.clone()).pk()).await?;
        let row = views::project::product_row(&stream).ok_or_else(unknown::<ProductId>)?;
        let currency = wanted.clone().unwrap_or_else(|| row.currency.clone());
        if row.withdrawn {
            return Err(gone());
        }
        if (row.price, &row.currency) == (price, &currency) {
            let row = project(&api, &id).await?;
            return Ok(Answer::ok(&row).seen(row.seen));
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
            let row = project(&api, &id).await?;
            return Ok(Answer::ok(&row).seen(row.seen));
        }
    }
    Err(StoreError::Unavailable("somebody else was faster each time".into()).into())
}

fn gone() -> Problem {
    Problem::conflict("product_withdrawn", "this product was withdrawn; list it under another product_id")
}

/// `DELETE /products/{id}`: it can no longer be ordered. Orders that stand are not touched.
async fn withdraw(
    State(api): State<Arc<Api>>,
    Named(id): Named<ProductId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    let stream = api.log.read_stream(&StreamKey::Product(id.clone()).pk()).await?;
    let row = views::project::product_row(&stream).ok_or_else(unknown::<ProductId>)?;
    if !row.withdrawn {
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

/// The row of the product's stream, written down so that orders see it at once.
async fn project(api: &Api, id: &ProductId) -> Result<ProductRow, Problem> {
    let row = folded(api, id).await?.ok_or_else(unknown::<ProductId>)?;
    api.catalog.put_product(row.clone()).await?;
    Ok(row)
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

/// `GET /products/name/{name}`: the product of exactly this name that can be ordered.
async fn by_name(State(api): State<Arc<Api>>, PathText(name): PathText) -> Result<Answer, Problem> {
    let name = name.filter(|name| !name.contains(char::is_control)).ok_or_else(unnamed)?;
    let row = api.catalog.product_by_name(&name).await?.ok_or_else(unnamed)?;
    Ok(Answer::ok(&row).seen(row.seen))
}

fn unnamed() -> Problem {
    Problem::not_found("product_not_found", "no product of this name can be ordered")
}

async fn list(State(api): State<Arc<Api>>, mut params: Params) -> Result<Answer, Problem> {
    let list = api.list_of("products").await?;
    let window = list.window(&mut params);
    params.finish()?;
    let page = api.catalog.products(&window).await?;
    Ok(Answer::ok(&list.page("products", &page)))
}
