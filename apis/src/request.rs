//! What a request brings along: who asks in which trace, the body, and the id in its path.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;

use auth::Principal;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use event_store::Stamper;
use events::{Causes, CustomerId, OrderId, Priority, ProductId, RecordedEvent, Sku, Stamp, Ulid};
use http_body_util::LengthLimitError;
use serde_json::Value;
use telemetry::trace;
use tracing::Span;

use crate::fields::{Bad, Fields};
use crate::json::{self, Twice};
use crate::limits::Standing;
use crate::openapi::{Asks, Operation};
use crate::problem::Problem;

/// The largest body that is read, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The request and the trace that an answer and its events belong to.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) request_id: Arc<str>,
    /// Names the span that answers; where nothing is exported, the span of whoever asks.
    traceparent: Arc<str>,
    /// Who asks.
    pub(crate) principal: Principal,
    /// By what the request is known when it is carried out again; of one without an `Idempotency-Key`, nothing.
    pub(crate) again: Option<Again>,
    /// Where the request comes from, as far as that is known.
    pub(crate) origin: Arc<str>,
    /// What is left of the requests that they may send.
    pub(crate) standing: Option<Standing>,
}

/// What is the same however often a request is carried out under its `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    /// Ids are made from it, and what is appended carries it.
    pub(crate) seed: Ulid,
    /// The `Idempotency-Key`, word for word, which nothing keeps.
    pub(crate) key: Arc<str>,
}

impl Caller {
    /// Continues the caller's `X-Request-Id` and `traceparent`; makes what is missing or no good. `span` is the one
    /// that answers; it joins the trace.
    pub(crate) fn of(headers: &HeaderMap, span: &Span, stamper: &dyn Stamper) -> Caller {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = header("x-request-id").filter(|id| is_request_id(id));
        let theirs = header("traceparent").and_then(trace::read).map(|theirs| trace::write(&theirs));
        trace::join(span, theirs.as_deref().unwrap_or_default());
        let traceparent = trace::of(span).or(theirs);
        if let (Some(request_id), Some(traceparent)) = (request_id, &traceparent) {
            return Caller::new(request_id.into(), traceparent.as_str().into());
        }
        // One ULID serves as both: whoever has the request's id finds its trace.
        let made = stamper.stamp(None).event_id;
        let request_id = request_id.map_or_else(|| made.to_string().into(), Arc::from);
        let traceparent = traceparent.unwrap_or_else(|| new_trace(made.0));
        Caller::new(request_id, traceparent.into())
    }

    fn new(request_id: Arc<str>, traceparent: Arc<str>) -> Caller {
        let origin = "somewhere".into();
        let principal = Principal::nobody();
        Caller { request_id, traceparent, principal, again: None, origin, standing: None }
    }

    fn seed(&self) -> Option<Ulid> {
        self.again.as_ref().map(|again| again.seed)
    }

    /// What an id is made from where the client gave none: of a request that is carried out again, the same.
    pub(crate) fn made(&self, stamp: &Stamp) -> Ulid {
        self.seed().unwrap_or(stamp.event_id)
    }

    /// Whether one of these events is this request's: it was carried out before under its `Idempotency-Key`, or somebody
    /// carries it out beside, and its answer may be lost.
    pub(crate) fn has_appended<'a>(&self, items: impl IntoIterator<Item = &'a RecordedEvent>) -> bool {
        let seed = self.seed();
        seed.is_some() && items.into_iter().any(|item| item.request_seed == seed)
    }

    /// The id of the trace.
    pub(crate) fn trace_id(&self) -> &str {
        trace::id(&self.traceparent)
    }

    /// What an event appended for this request carries: no event caused it, the request did.
    pub(crate) fn causes(&self, priority: Priority) -> Causes {
        Causes {
            priority,
            correlation_id: self.request_id.clone(),
            causation_id: None,
            request_seed: self.seed(),
            traceparent: Some(self.traceparent.clone()),
        }
    }
}

/// Whether events may carry it. The pipe's template puts it between quotes, so it has nothing that JSON escapes.
fn is_request_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (1..=128).contains(&text.len()) && text.bytes().all(is_plain)
}

fn new_trace(random: u128) -> String {
    // An id of zeros is not valid; 1 is as good as any other.
    format!("00-{:032x}-{:016x}-01", random.max(1), (random as u64).max(1))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| Problem::internal("a route was served without the layer around it"))
    }
}

/// Why no body could be read.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than [`MAX_BODY`].
    TooLarge,
    /// It did not come to its end in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => {
                let detail = format!("a body has at most {MAX_BODY} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            Unread::TooSlow => {
                let detail = "the body did not come to its end in time";
                Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
            }
            Unread::Broken => {
                let detail = "the body ended before its announced end";
                Problem::new(StatusCode::BAD_REQUEST, "broken_body", detail)
            }
        }
    }
}

/// What a route says that reads a body.
pub fn say_unread(operation: &mut Operation) {
    let when = "The body ended before its announced end.";
    operation.refuses(StatusCode::BAD_REQUEST, "broken_body", when);
    let when = "The body did not come to its end in time.";
    operation.refuses(StatusCode::REQUEST_TIMEOUT, "body_too_slow", when);
    let when = "The body has more than 64 KiB.";
    operation.refuses(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", when);
}

/// The whole body.
///
/// # Errors
/// It is larger than 64 KiB, or does not come to its end.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Unread> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Unread::TooLarge);
    }
    to_bytes(body, MAX_BODY).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() {
            Unread::TooLarge
        } else if is_too_slow(&*error) {
            Unread::TooSlow
        } else {
            Unread::Broken
        }
    })
}

/// Whether something timed out, however deep that is said.
fn is_too_slow(error: &(dyn Error + 'static)) -> bool {
    let timed_out = |cause: &io::Error| cause.kind() == io::ErrorKind::TimedOut;
    error.downcast_ref().is_some_and(timed_out) || error.source().is_some_and(is_too_slow)
}

/// A JSON object in the body.
impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let detail = "send the body as JSON, with content-type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let text = read_body(&parts.headers, body).await?;
        match json::parse(&text, Twice::Refused) {
            Ok(Value::Object(object)) => Ok(Fields::new(object, text)),
            Ok(_) => {
                let mut fields = Fields::new(serde_json::Map::new(), text);
                fields.refuse_at(String::new(), Bad::kind("must be an object"));
                fields.finish(None)
            }
            Err(cause) => {
                let detail = format!("the body is no JSON: {cause}");
                Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail))
            }
        }
    }
}

/// What a body says.
pub(crate) trait Said: Sized {
    /// Whether fields that are not asked for are passed over.
    const PASSES_OVER: bool = false;
    /// Reads it. Every field is asked for, whatever the others are: that is how a body's schema comes to be.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// What the body of a request says, if nothing is wrong with it.
#[derive(Debug)]
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: Said, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut fields = Fields::from_request(request, state).await?;
        let said = T::read(&mut fields);
        fields.finish(said).map(Sent)
    }
}

impl<T: Said> Asks for Sent<T> {
    fn ask(operation: &mut Operation) {
        let kind = "The content-type is not application/json.";
        let json = "The body is no JSON, or an object in it names a key twice.";
        let wrong = "A field is wrong, missing, or unknown: `errors` says which.";
        say_unread(operation);
        operation
            .takes(Fields::describe(T::read))
            .refuses(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", kind)
            .refuses(StatusCode::BAD_REQUEST, "malformed_json", json)
            .refuses(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", wrong);
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(announced)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = announced.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The id in the path. One that nothing can have is as unknown as one that nothing has: 404.
#[derive(Debug, Clone)]
pub(crate) struct Named<Id>(pub(crate) Id);

/// An id that stands in paths.
pub(crate) trait PathId: Sized {
    /// The code of the 404.
    const NOT_FOUND: &'static str;
    /// What it names.
    const WHAT: &'static str;
    /// One of them.
    const EXAMPLE: &'static str;
    /// Reads it; looser than for new ids, because older events and the compatibility API name things too.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! path_id {
    ($id:ident, $what:literal, $code:literal, $example:literal) => {
        impl PathId for $id {
            const NOT_FOUND: &'static str = $code;
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = $example;
            fn read(text: &str) -> Option<Self> {
                $id::recorded(text).ok()
            }
        }
    };
}

path_id!(OrderId, "order", "order_not_found", "order-0001");
path_id!(CustomerId, "customer", "customer_not_found", "anna-1");
path_id!(ProductId, "product", "product_not_found", "teapot");
path_id!(Sku, "SKU", "sku_not_found", "TEAPOT-RED");

/// 404 for the thing with this id.
pub(crate) fn unknown<Id: PathId>() -> Problem {
    Problem::not_found(Id::NOT_FOUND, format!("there is no {} with this id", Id::WHAT))
}

impl<Id: PathId, S: Send + Sync> FromRequestParts<S> for Named<Id> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.ok().and_then(|Path(text)| Id::read(&text)).map(Named).ok_or_else(unknown::<Id>)
    }
}

impl<Id: PathId> Asks for Named<Id> {
    fn ask(operation: &mut Operation) {
        for name in operation.names() {
            operation.in_path(name, &format!("Names the {}.", Id::WHAT), Id::EXAMPLE);
        }
        let when = format!("There is no {} with this id, or it is somebody else's.", Id::WHAT);
        operation.refuses(StatusCode::NOT_FOUND, Id::NOT_FOUND, &when);
    }
}

/// The longest name that anything has, in characters.
pub(crate) const LONGEST_NAME: usize = 200;

/// The name in the path; `None` if it is no text, or longer than any name: no store is asked for that, because some
/// cannot be.
#[derive(Debug, Clone)]
pub(crate) struct PathText(pub(crate) Option<String>);

/// What it is, the handler's description says.
impl Asks for PathText {
    fn ask(_: &mut Operation) {}
}

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::from_request_parts(parts, state).await.ok().map(|Path(text)| text);
        Ok(PathText(text.filter(|text: &String| text.chars().count() <= LONGEST_NAME)))
    }
}

#[cfg(test)]
mod tests {
    use event_store::SystemStamper;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn caller(headers: &[(&'static str, &str)]) -> Caller {
        let headers = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap()));
        Caller::of(&headers.collect(), &Span::none(), &SystemStamper::new("test"))
    }

    #[test]
    fn a_valid_request_id_and_trace_are_continued() {
        let caller = caller(&[("x-request-id", "r-1"), ("traceparent", TRACE)]);
        assert_eq!((&*caller.request_id, &*caller.traceparent), ("r-1", TRACE));
    }

    #[test]
    fn a_request_id_that_is_no_good_is_replaced_by_a_ulid() {
        for bad in ["", "two words", &"x".repeat(129), "ünicode"] {
            assert_eq!(caller(&[("x-request-id", bad)]).request_id.len(), 26, "{bad}");
        }
    }

    #[test]
    fn a_trace_that_is_missing_or_no_good_is_replaced_by_a_valid_one() {
        for bad in ["", "00-0-0-00", &TRACE.to_uppercase()] {
            let made = caller(&[("traceparent", bad)]).traceparent;
            assert!(trace::read(&made).is_some() && *made != *TRACE, "{made}");
        }
        for random in [0, 1, u128::MAX, 1 << 64] {
            assert!(trace::read(&new_trace(random)).is_some(), "{random}");
        }
    }

    #[test]
    fn json_has_several_names() {
        let is = |text: &'static str| is_json(&[(CONTENT_TYPE, text.parse().unwrap())].into_iter().collect());
        assert!(
            is("application/json; charset=utf-8")
                && is("Application/JSON")
                && is("application/merge-patch+json")
        );
        assert!(!is("text/plain") && !is("application/jsonp") && !is("") && !is_json(&HeaderMap::new()));
    }
}
