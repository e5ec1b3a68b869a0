//! Why a request was refused: RFC 9457 `application/problem+json` with a stable code.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use event_store::StoreError;
use events::OrderId;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::AboutOrder;

/// A refusal, as it goes to the client. Clients may rely on `status` and `code`; the words may change.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    order: Option<OrderId>,
    cause: Option<String>,
    /// After how many seconds it may be worth asking again.
    retry_after: Option<u64>,
}

/// What went wrong inside, for the log alone: travels as an extension of the response.
#[derive(Debug, Clone)]
pub(crate) struct Cause(pub(crate) String);

/// One field or parameter that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Which.
    #[serde(flatten)]
    pub place: Place,
    /// What it must be.
    pub detail: Cow<'static, str>,
    /// What is wrong with it, for programs.
    pub code: &'static str,
}

/// Where in a request something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the body: a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the query string: the parameter's name.
    Parameter(String),
}

/// The most bad fields that one answer lists: a body of 64 KiB could name thousands.
const MAX_LISTED: usize = 256;

impl Problem {
    /// A problem of this status and code; `detail` says what the client can do about it.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extra: Map::new(),
            order: None,
            cause: None,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        }))
    }

    /// 404.
    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422: the body's fields are wrong.
    pub(crate) fn fields(code: &'static str, errors: Vec<FieldError>) -> Self {
        Problem::listing(StatusCode::UNPROCESSABLE_ENTITY, code, "the body", errors)
    }

    /// 400: the query string is wrong.
    pub(crate) fn parameters(errors: Vec<FieldError>) -> Self {
        Problem::listing(StatusCode::BAD_REQUEST, "invalid_parameters", "the query string", errors)
    }

    fn listing(status: StatusCode, code: &'static str, whose: &str, mut errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => format!("one value of {whose} is wrong: see errors"),
            n if n > MAX_LISTED => {
                format!("{n} values of {whose} are wrong; errors lists {MAX_LISTED} of them")
            }
            n => format!("{n} values of {whose} are wrong: see errors"),
        };
        errors.truncate(MAX_LISTED);
        let mut problem = Problem::new(status, code, detail);
        problem.0.errors = errors;
        problem
    }

    /// 500: this program is wrong. The cause is logged, not sent.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "something unexpected happened here; the request id tells an operator where to look";
        let mut problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        problem.0.cause = Some(cause.into());
        problem
    }

    /// 503: time was up before there was an answer. What was asked for may have been done.
    pub fn late() -> Self {
        let detail = "there was no answer in time; repeat the same request, which is safe";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// Adds a member that programs can read.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(member.to_owned(), value.into());
        self
    }

    /// Says after how many seconds it may be worth asking again.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Names the order it is about, for the log.
    pub(crate) fn about(mut self, order: &OrderId) -> Self {
        self.0.order = Some(order.clone());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What went wrong inside, for the log alone.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The answer to a request; `instance` is its id.
    pub(crate) fn response(&self, instance: Option<&str>) -> Response {
        let Parts { status, code, detail, errors, extra, retry_after, .. } = &*self.0;
        let body = Rendered {
            r#type: format!("urn:sagaline:problem:{code}"),
            title: title(code),
            status: status.as_u16(),
            detail,
            code,
            instance,
            errors,
            extra,
        };
        let body = serde_json::to_vec(&body).expect("a problem has only text keys");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = *status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }
}

#[derive(Serialize)]
struct Rendered<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

/// A problem as it was kept, before it was known whom it answers, as it goes to whoever asks again.
pub(crate) fn in_answer_to(kept: String, instance: &str) -> String {
    match serde_json::from_str(&kept) {
        Ok(Value::Object(mut problem)) => {
            problem.insert("instance".to_owned(), instance.into());
            Value::Object(problem).to_string()
        }
        Ok(_) | Err(_) => kept,
    }
}

/// `order_exists` as people write it: `Order exists`.
pub fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

/// The whole answer but for `instance`, which the layer around all routes adds where it knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.response(None);
        if let Some(order) = &self.0.order {
            response.extensions_mut().insert(AboutOrder(order.clone()));
        }
        if let Some(cause) = &self.0.cause {
            response.extensions_mut().insert(Cause(cause.clone()));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(cause) => {
                let detail = "the store does not answer; repeat the same request, which is safe";
                let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
                problem.0.cause = Some(cause.clone());
                return problem;
            }
            StoreError::TooLarge { .. } => "payload_too_large",
            StoreError::TooManyCounters { .. } => "too_many_counters",
        };
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_code_as_people_write_it() {
        assert_eq!(title("order_exists"), "Order exists");
        assert_eq!(title(""), "");
    }

    #[test]
    fn a_broken_store_is_503_and_its_cause_stays_inside() {
        let problem = Problem::from(StoreError::Unavailable("disk /dev/sda".into()));
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "unavailable"));
        assert_eq!(problem.cause(), Some("disk /dev/sda"));
        assert!(!problem.0.detail.contains("sda"));
        assert_eq!(problem.response(None).headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn thousands_of_bad_fields_are_counted_and_some_of_them_listed() {
        let error = FieldError { place: Place::Pointer("/x".into()), detail: "is bad".into(), code: "bad" };
        let problem = Problem::fields("invalid_fields", vec![error; 3000]);
        assert_eq!(problem.0.errors.len(), MAX_LISTED);
        assert!(problem.0.detail.starts_with("3000 values"));
    }
}
