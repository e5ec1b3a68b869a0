//! The compatibility API: six POST routes in camelCase for clients of an older system.
//!
//! A thin translation onto the same commands and read models. Its rules are looser than those of the
//! other routes: strings are trimmed, 5.0 is a whole number (JavaScript cannot tell it from 5), unknown
//! fields are ignored, a key named twice counts once, any content type is read, and what is wrong is not
//! explained. A price is rounded to the nearest cent, and the echo says to which; it is at most ten million
//! million, and units at most a thousand million, so that no sum can overflow.

mod inventory;
mod orders;
mod payments;
mod testing;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use event_store::{After, Direction, Page, StoreError, Window};
use events::ids::MAX_RECORDED_ID;
use events::{BadId, Quantity};
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::Needs;
use crate::fields::{Bad, Fields, Kind, kind};
use crate::json::{self, Twice};
use crate::openapi::{Asks, Operation};
use crate::problem::{Cause, Problem};
use crate::request::{Said, read_body};
use crate::shape;
use crate::table::{Says, Table};

pub(crate) fn order_routes(table: Table) -> Table {
    table
        .compat(Needs::OPERATOR, "/api/v1/orders/placeOrder", orders::place_order, orders::place_says)
        .compat(Needs::OPERATOR, "/api/v1/orders/listOrders", orders::list_orders, orders::list_says)
        .compat(
            Needs::OPERATOR,
            "/api/v1/payments/listOrderPayments",
            payments::list_order_payments,
            payments::list_says,
        )
}

pub(crate) fn inventory_routes(table: Table) -> Table {
    let (restock, list): (Says, Says) = (inventory::restock_says, inventory::list_says);
    table.compat(Needs::OPERATOR, "/api/v1/inventory/restockSku", inventory::restock_sku, restock).compat(
        Needs::OPERATOR,
        "/api/v1/inventory/listSkus",
        inventory::list_skus,
        list,
    )
}

pub(crate) fn chaos_routes(table: Table) -> Table {
    let path = "/api/v1/testing/simulateRawEvent";
    table.compat(Needs::ADMIN, path, testing::simulate_raw_event, testing::simulate_says)
}

/// Everything that this API says when it does not say yes.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A missing or unparsable body, or a field that breaks its rule.
    BadRequest,
    /// This environment does not do that.
    Forbidden,
    /// Anything unexpected; the cause is logged.
    Unexpected(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match &self {
            Refusal::BadRequest => (StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#),
            Refusal::Forbidden => (StatusCode::FORBIDDEN, r#"{"message":"Forbidden"}"#),
            Refusal::Unexpected(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal Server Error"}"#)
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Refusal::Unexpected(cause) = self {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } | StoreError::TooManyCounters { .. } => Refusal::BadRequest,
            StoreError::Unavailable(cause) => Refusal::Unexpected(cause),
        }
    }
}

/// What a command of the other routes refuses. They are asked here only after everything was checked.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        if problem.status().is_client_error() {
            Refusal::BadRequest
        } else {
            Refusal::Unexpected(problem.cause().unwrap_or(problem.code()).to_owned())
        }
    }
}

/// What a refusal looks like.
#[derive(Serialize)]
struct Message {
    message: &'static str,
}

shape! {
    "Why the compatibility API does not say yes.",
    Message as "Message" { message: "The status, in words." = "Bad Request", }
}

/// What the body of a request says, whatever its content type says.
#[derive(Debug)]
pub(crate) struct Posted<T>(pub(crate) T);

impl<T: Said> Asks for Posted<T> {
    fn ask(operation: &mut Operation) {
        let mut schema = Fields::describe(T::read);
        schema["additionalProperties"] = T::PASSES_OVER.into();
        operation
            .takes(schema)
            .answers::<Message>(400, "There is no JSON object, or a field breaks its rule.")
            .answers::<Message>(500, "Something unexpected happened here, or the store does not answer.");
    }
}

impl<T: Said, S: Send + Sync> FromRequest<S> for Posted<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let text = read_body(&parts.headers, body).await.map_err(|_| Refusal::BadRequest)?;
        match json::parse(&text, Twice::LastCounts) {
            Ok(Value::Object(object)) => {
                let mut fields = Fields::new(object, text);
                let said = T::read(&mut fields);
                let read = if T::PASSES_OVER { fields.finish_with_others(said) } else { fields.finish(said) };
                Ok(Posted(read?))
            }
            Ok(_) | Err(_) => Err(Refusal::BadRequest),
        }
    }
}

/// An id or key of at least four characters, trimmed. It becomes part of an event's key, which the pipe of `template-oms.yaml`
/// puts between quotes: so it has nothing that JSON escapes.
fn name<T>(read: fn(&str) -> Result<T, BadId>) -> impl Kind<Value, T> {
    let inside = r#"[^"\\\x00-\x1f\x7f-\x9f]{2,}"#;
    let end = r#"[^\s"\\\x00-\x1f\x7f-\x9f]"#;
    let pattern = format!(r"^\s*{end}{inside}{end}\s*$");
    let schema = move || json!({ "type": "string", "maxLength": MAX_RECORDED_ID, "pattern": pattern });
    kind(schema, move |value: &Value| {
        let text = value.as_str().ok_or(bad())?.trim();
        let is_plain = text.chars().count() >= 4 && !text.contains(['"', '\\']);
        if is_plain { read(text).map_err(|_| bad()) } else { Err(bad()) }
    })
}

/// A number of units.
fn units() -> impl Kind<Value, Quantity> {
    let schema = || json!({ "type": "integer", "minimum": 1, "maximum": Quantity::MAX });
    kind(schema, |value: &Value| Quantity::new(integer(value)?).map_err(|_| bad()))
}

/// A whole number, also one that is written with a point.
fn integer(value: &Value) -> Result<u64, Bad> {
    /// Up to here every whole number is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) => Ok(whole),
        (None, Some(number)) if number.fract() == 0.0 && (0.0..=EXACT).contains(&number) => Ok(number as u64),
        (None, _) => Err(bad()),
    }
}

/// What is wrong does not matter here: every answer is the same.
fn bad() -> Bad {
    Bad::kind("breaks its rule")
}

/// Which part of a list is asked for: `limit` 1–1000 (50), `sortDirection` `asc` or `desc` (`asc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    limit: usize,
    direction: Direction,
}

impl Part {
    fn read(body: &mut Fields) -> Part {
        let rows = || json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 50 });
        let rows = kind(rows, |value: &Value| match integer(value)? {
            limit @ 1..=1_000 => Ok(limit as usize),
            _ => Err(bad()),
        });
        let directions = || json!({ "type": "string", "pattern": r"^\s*(asc|desc)\s*$", "default": "asc" });
        let directions = kind(directions, |value: &Value| match value.as_str().map(str::trim) {
            Some("asc") => Ok(Direction::Ascending),
            Some("desc") => Ok(Direction::Descending),
            _ => Err(bad()),
        });
        let limit = body.optional("limit", rows);
        let direction = body.optional("sortDirection", directions);
        Part { limit: limit.unwrap_or(50), direction: direction.unwrap_or(Direction::Ascending) }
    }

    /// An empty list of as many rows.
    fn gather<Row>(self) -> Gathered<Row> {
        Gathered { part: self, rows: Vec::new(), after: None, ended: false }
    }
}

/// What is said of the fields of [`Part`].
fn say_part(says: &mut Operation) {
    says.field("limit", "How many rows there are at most; 50, if nothing is said.")
        .field("sortDirection", "`asc`, oldest first, or `desc`; `asc`, if nothing is said.")
        .example("all", json!({ "limit": 10, "sortDirection": "desc" }));
}

/// Rows, gathered page after page until there are enough of them: a store may give fewer than asked for.
struct Gathered<Row> {
    part: Part,
    rows: Vec<Row>,
    after: Option<After>,
    ended: bool,
}

impl<Row> Gathered<Row> {
    /// What is still to be asked for.
    fn missing(&mut self) -> Option<Window> {
        let limit = self.part.limit - self.rows.len();
        let window = Window { limit, after: self.after.take(), direction: self.part.direction };
        (limit > 0 && !self.ended).then_some(window)
    }

    fn add(&mut self, page: Page<Row>) {
        self.rows.extend(page.rows);
        self.rows.truncate(self.part.limit);
        self.ended = page.next.is_none();
        self.after = page.next;
    }
}
