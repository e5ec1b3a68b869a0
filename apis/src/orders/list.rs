//! Lists of orders, newest first.

use std::sync::Arc;

use auth::Sees;
use axum::extract::State;
use event_store::{OrderQuery, OrderRow, Page, Window};
use events::CustomerId;
use orders::Status;

use crate::Api;
use crate::answer::Answer;
use crate::fields::Bad;
use crate::paging::List;
use crate::params::{self, Params};
use crate::problem::Problem;
use crate::request::{Caller, Named, unknown};

/// `GET /orders?customer_id&status&start_date&end_date&limit&next_token`.
///
/// `start_date` and `end_date` are moments (RFC 3339; the end is no longer part of the range) or days
/// (UTC; the end is meant whole).
///
/// A customer lists their own.
pub(crate) async fn all(
    State(api): State<Arc<Api>>,
    caller: Caller,
    mut params: Params,
) -> Result<Answer, Problem> {
    let customer_id = params.read("customer_id", |text| {
        CustomerId::recorded(text).map_err(|bad| Bad("invalid_id", bad.to_string().into()))
    });
    let customer_id = match (customer_id, caller.principal.sees()) {
        (Some(asked), _) => {
            caller.acts_for(&asked)?;
            Some(asked)
        }
        (None, Sees::Everybody) => None,
        (None, Sees::Only(customer)) => Some(customer.clone()),
        (None, Sees::Nobody) => return Err(Problem::internal("a customer is asking who is none")),
    };
    let (page, list) = page(&api, params, customer_id).await?;
    Ok(Answer::ok(&list.page("orders", &page)))
}

/// `GET /customers/{id}/orders`, with the same parameters but `customer_id`.
pub(crate) async fn of_customer(
    State(api): State<Arc<Api>>,
    Named(id): Named<CustomerId>,
    caller: Caller,
    params: Params,
) -> Result<Answer, Problem> {
    caller.sees(&id, unknown::<CustomerId>)?;
    let (page, list) = page(&api, params, Some(id.clone())).await?;
    if page.rows.is_empty() && !is_known(&api, &id).await? {
        return Err(unknown::<CustomerId>());
    }
    Ok(Answer::ok(&list.page("orders", &page)))
}

/// The compatibility API takes orders of customers that nobody registered, so a customer is known by an
/// order as well as by a registration.
async fn is_known(api: &Api, id: &CustomerId) -> Result<bool, Problem> {
    if api.customer(id).await?.is_some() {
        return Ok(true);
    }
    let window = Window { limit: 1, ..Window::default() };
    let theirs = OrderQuery { customer_id: Some(id.clone()), window, ..OrderQuery::default() };
    Ok(!api.orders.orders(&theirs).await?.rows.is_empty())
}

async fn page(
    api: &Api,
    mut params: Params,
    customer_id: Option<CustomerId>,
) -> Result<(Page<OrderRow>, List), Problem> {
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
    let list = api.list_of(format!("orders {customer_id:?} {status:?} {from:?} {until:?}")).await?;
    let window = list.window(&mut params);
    params.finish()?;
    let query = OrderQuery { customer_id, status, from, until, open: None, window };
    Ok((api.orders.orders(&query).await?, list))
}
