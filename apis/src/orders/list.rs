//! Lists of orders, newest first.

use std::sync::Arc;

use axum::extract::State;
use event_store::{OrderQuery, Window};
use events::CustomerId;
use orders::Status;

use crate::Api;
use crate::answer::Answer;
use crate::fields::Bad;
use crate::paging::{self, Listing, fingerprint};
use crate::params::{self, Params};
use crate::problem::Problem;
use crate::request::{Named, unknown};

/// `GET /orders?customer_id&status&start_date&end_date&limit&next_token`.
///
/// `start_date` and `end_date` are moments (RFC 3339; the end is no longer part of the range) or days
/// (UTC; the end is meant whole).
pub(crate) async fn all(State(api): State<Arc<Api>>, mut params: Params) -> Result<Answer, Problem> {
    let customer_id = params.read("customer_id", |text| {
        CustomerId::recorded(text).map_err(|bad| Bad("invalid_id", bad.to_string().into()))
    });
    list(&api, params, customer_id).await
}

/// `GET /customers/{id}/orders`, with the same parameters but `customer_id`.
pub(crate) async fn of_customer(
    State(api): State<Arc<Api>>,
    Named(id): Named<CustomerId>,
    params: Params,
) -> Result<Answer, Problem> {
    let answer = list(&api, params, Some(id.clone())).await?;
    // The compatibility API takes orders of customers that nobody registered, so a customer is known
    // by an order as well as by a registration.
    let theirs = OrderQuery { customer_id: Some(id.clone()), window: window(1), ..OrderQuery::default() };
    if api.orders.orders(&theirs).await?.rows.is_empty() && api.customer(&id).await?.is_none() {
        return Err(unknown::<CustomerId>());
    }
    Ok(answer)
}

fn window(limit: usize) -> Window {
    Window { limit, ..Window::default() }
}

async fn list(api: &Api, mut params: Params, customer_id: Option<CustomerId>) -> Result<Answer, Problem> {
    let status = params.read("status", |text| {
        Status::parse(text).ok_or_else(|| {
            let known = Status::ALL.map(Status::as_str).join(", ");
            Bad("invalid_value", format!("must be one of {known}").into())
        })
    });
    let from = params.read("start_date", params::from);
    let until = params.read("end_date", params::until);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        params.refuse("end_date", Bad("out_of_range", "must not lie before start_date".into()));
    }
    let fingerprint = fingerprint(format_args!("orders {customer_id:?} {status:?} {from:?} {until:?}"));
    let window = paging::window(&mut params, &fingerprint);
    params.finish()?;
    let query = OrderQuery { customer_id, status, from, until, open: None, window };
    let page = api.orders.orders(&query).await?;
    Ok(Answer::ok(&Listing::of("orders", &page, &fingerprint)))
}
