//! Lists of orders, newest first.

use std::sync::Arc;

use auth::Sees;
use axum::extract::State;
use axum::http::StatusCode;
use event_store::{OrderQuery, OrderRow, Page, Window};
use events::{CustomerId, Timestamp};
use orders::Status;
use serde_json::json;

use crate::Api;
use crate::answer::Answer;
use crate::fields::{Bad, kind, known_id};
use crate::openapi::Operation;
use crate::paging::{self, List, Wanted};
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
    wanted: Wanted<Whose>,
) -> Result<Answer, Problem> {
    let customer_id = match (wanted.filter.customer_id.clone(), caller.principal.sees()) {
        (Some(asked), _) => {
            caller.acts_for(&asked)?;
            Some(asked)
        }
        (None, Sees::Everybody) => None,
        (None, Sees::Only(customer)) => Some(customer.clone()),
        (None, Sees::Nobody) => return Err(Problem::internal("a customer is asking who is none")),
    };
    let (page, list) = page(&api, wanted, customer_id).await?;
    Ok(Answer::ok(&list.page("orders", &page)))
}

pub(crate) fn all_says(says: &mut Operation) {
    says.summary("List orders, newest first")
        .detail("A customer lists their own.")
        .field("customer_id", "Whose orders.")
        .refuses(StatusCode::FORBIDDEN, "not_your_customer", "A customer asks for somebody else's orders.");
    listed(says);
}

/// `GET /customers/{id}/orders`, with the same parameters but `customer_id`.
pub(crate) async fn of_customer(
    State(api): State<Arc<Api>>,
    Named(id): Named<CustomerId>,
    caller: Caller,
    wanted: Wanted<Which>,
) -> Result<Answer, Problem> {
    caller.sees(&id, unknown::<CustomerId>)?;
    let (page, list) = page(&api, wanted, Some(id.clone())).await?;
    if page.rows.is_empty() && !is_known(&api, &id).await? {
        return Err(unknown::<CustomerId>());
    }
    Ok(Answer::ok(&list.page("orders", &page)))
}

pub(crate) fn of_customer_says(says: &mut Operation) {
    says.summary("List a customer's orders, newest first");
    listed(says);
}

/// What both say.
fn listed(says: &mut Operation) {
    says.field("status", "Only orders that are this now.")
        .field("start_date", "Only orders from this moment on, or from this day on (UTC).")
        .field("end_date", "Only orders before this moment, or until the end of this day (UTC).")
        .lists::<OrderRow>("orders", "A page of orders.");
}

/// Orders of whom, and which of them.
#[derive(Debug)]
pub(crate) struct Whose {
    customer_id: Option<CustomerId>,
    which: Which,
}

/// Which orders.
#[derive(Debug)]
pub(crate) struct Which {
    status: Option<Status>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl paging::Filter for Whose {
    fn read(params: &mut Params) -> Self {
        let customer_id = params.read("customer_id", known_id(CustomerId::recorded));
        Whose { customer_id, which: Which::read(params) }
    }
}

impl paging::Filter for Which {
    fn read(params: &mut Params) -> Self {
        let known = Status::ALL.map(Status::as_str);
        let statuses = kind(
            || json!({ "type": "string", "enum": known }),
            |text: &str| {
                Status::parse(text).ok_or_else(|| {
                    Bad("invalid_value", format!("must be one of {}", known.join(", ")).into())
                })
            },
        );
        let status = params.read("status", statuses);
        let from = params.read("start_date", params::from());
        let until = params.read("end_date", params::until());
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            params.refuse("end_date", Bad("out_of_range", "must lie behind start_date".into()));
        }
        Which { status, from, until }
    }
}

impl AsRef<Which> for Whose {
    fn as_ref(&self) -> &Which {
        &self.which
    }
}

impl AsRef<Which> for Which {
    fn as_ref(&self) -> &Which {
        self
    }
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
    wanted: Wanted<impl AsRef<Which>>,
    customer_id: Option<CustomerId>,
) -> Result<(Page<OrderRow>, List), Problem> {
    let &Which { status, from, until } = wanted.filter.as_ref();
    let list = api.list_of(format!("orders {customer_id:?} {status:?} {from:?} {until:?}")).await?;
    let window = list.window(wanted)?;
    let query = OrderQuery { customer_id, status, from, until, open: None, window };
    Ok((api.orders.orders(&query).await?, list))
}
