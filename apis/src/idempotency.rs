//! `Idempotency-Key`: a request that comes again is carried out once, and gets the answer that it got.
//!
//! Source of header and status codes: draft-ietf-httpapi-idempotency-key-header-07.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use event_store::{Claim, Claimed, Held, KeptAnswer};
use events::Timestamp;
use sha2::{Digest, Sha256};

use crate::Api;
use crate::answer::PREFERENCE_APPLIED;
use crate::openapi::Operation;
use crate::problem::{self, Problem};
use crate::request::{Again, Caller, read_body, say_unread};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// So long an answer is kept, in milliseconds: a day.
const KEPT: i64 = 24 * 60 * 60 * 1_000;
/// So long whoever carries a request out has for it, in milliseconds; then it is taken for dead. Longer than any request
/// may take, a wait that the client prefers included.
pub const LEASE: i64 = 60 * 1_000;
/// The longest key, in bytes.
const LONGEST: usize = 255;
/// Headers that are part of an answer.
const HEADERS: [HeaderName; 4] = [CONTENT_TYPE, LOCATION, ETAG, PREFERENCE_APPLIED];

/// A request that is to be carried out once, however often it comes.
pub(crate) struct Once {
    /// Of whom, for what, under which key; hashed, for a client may write anything into a key.
    key: String,
    /// The key as the client wrote it. It is never stored: who reads what is stored, and does not know the key, cannot
    /// try out what the request may have said.
    text: String,
    /// What the key is used for, but for the body.
    asked: String,
}

/// What is kept of an answer in place of its body, because the body is shown once.
#[derive(Debug, Clone)]
pub(crate) struct KeptBody(pub(crate) Vec<u8>);

/// What a route says whose answers are kept.
pub(crate) fn say(operation: &mut Operation) {
    let key = "The Idempotency-Key is not one of 1 to 255 visible ASCII characters.";
    let running = "The first request with this Idempotency-Key is still being carried out.";
    let another = "This Idempotency-Key was used for a request with other content.";
    say_unread(operation);
    operation
        .takes_header("Idempotency-Key")
        .refuses(StatusCode::BAD_REQUEST, "invalid_idempotency_key", key)
        .refuses(StatusCode::CONFLICT, "request_in_progress", running)
        .refuses(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", another)
        .with_header(&[409], "Retry-After")
        .with_header(&[200, 201, 202, 404, 409, 410, 412], "Idempotent-Replayed");
}

impl Once {
    /// What a request that changes something says of itself; `None` if it brings no key.
    ///
    /// # Errors
    /// 400: a key that is none.
    pub(crate) fn of(request: &Request, caller: &Caller) -> Result<Option<Once>, Problem> {
        let changes = matches!(*request.method(), Method::POST | Method::PATCH | Method::DELETE);
        let mut keys = request.headers().get_all(IDEMPOTENCY_KEY).iter().filter(|_| changes);
        let (Some(key), more) = (keys.next(), keys.next()) else { return Ok(None) };
        let is_text = |key: &&str| {
            (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let Some(key) = key.to_str().ok().filter(is_text).filter(|_| more.is_none()) else {
            let detail = format!(
                "send one Idempotency-Key of 1 to {LONGEST} visible ASCII characters, such as a UUID"
            );
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail));
        };
        let uri = request.uri();
        let scope = [&caller.principal.id, request.method().as_str(), uri.path(), key];
        let condition = request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok());
        let asked = [uri.query(), condition].map(Option::unwrap_or_default).join("\n");
        Ok(Some(Once { key: digest(&scope.map(str::as_bytes)), text: key.to_owned(), asked }))
    }

    /// The answer that the request got, or gets now.
    ///
    /// # Errors
    /// 409 while it is being carried out, 422 where the key was used for another request, 503.
    pub(crate) async fn answer(
        &self,
        api: &Api,
        caller: &mut Caller,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body).await?;
        let stamp = api.stamper.stamp(None);
        let now = stamp.occurred_at;
        let claim = Claim {
            fingerprint: digest(&[self.text.as_bytes(), self.asked.as_bytes(), &body]),
            seed: stamp.event_id,
            until: later(now, LEASE),
            forget_at: later(now, KEPT),
        };
        let until = claim.until;
        match api.kept.claim(&self.key, claim, now).await? {
            Claimed::Mine(seed) => {
                caller.again = Some(Again { seed, key: self.text.as_str().into() });
                parts.extensions.insert(caller.clone());
                let response = next.run(Request::from_parts(parts, Body::from(body))).await;
                self.keep(api, Held { seed, until }, response).await
            }
            Claimed::Done(answer) => again(answer, caller),
            Claimed::Running => Err(running()),
            Claimed::OfAnother => {
                let detail =
                    "this Idempotency-Key was used for a request with other content; choose another one";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail))
            }
        }
    }

    /// Keeps an answer that decided something. What was refused before anything was decided, or could not be decided
    /// now, may be asked again. Whatever goes wrong here, the answer is what it is: asked again, the request makes the
    /// same ids, and so finds what it did. Only a refusal by whoever was so slow that another took the request over is
    /// worth nothing: the other may have done it.
    async fn keep(&self, api: &Api, held: Held, response: Response) -> Result<Response, Problem> {
        let (parts, body) = response.into_parts();
        let body = match to_bytes(body, usize::MAX).await {
            Ok(body) => body,
            Err(_) => Bytes::new(),
        };
        // What may be asked again in a while is not decided.
        let kept = if is_decision(parts.status) && !parts.headers.contains_key(RETRY_AFTER) {
            let shown = parts.extensions.get::<KeptBody>().map_or(&*body, |KeptBody(kept)| kept);
            let header = |name: &HeaderName| {
                let value = parts.headers.get(name)?.to_str().ok()?;
                Some((name.as_str().to_owned(), value.to_owned()))
            };
            let answer = KeptAnswer {
                status: parts.status.as_u16(),
                headers: HEADERS.iter().filter_map(header).collect(),
                body: String::from_utf8_lossy(shown).into_owned(),
            };
            api.kept.keep(&self.key, held, answer).await
        } else {
            api.kept.give_up(&self.key, held).await
        };
        match kept {
            Ok(false) if parts.status.is_client_error() => return Err(running()),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to keep the answer to a request with an Idempotency-Key");
            }
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

fn running() -> Problem {
    let detail = "the first request with this Idempotency-Key is still being carried out; ask again";
    Problem::conflict("request_in_progress", detail).retry_after(1)
}

/// Whether an answer of this status decided what was asked: it was done, or what is there does not allow it.
fn is_decision(status: StatusCode) -> bool {
    let refused =
        [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::GONE, StatusCode::PRECONDITION_FAILED];
    status.is_success() || refused.contains(&status)
}

fn again(answer: KeptAnswer, caller: &Caller) -> Result<Response, Problem> {
    let KeptAnswer { status, headers, body } = answer;
    let body = if StatusCode::from_u16(status).is_ok_and(|status| status.is_success()) {
        body
    } else {
        problem::in_answer_to(body, &caller.request_id)
    };
    let mut response = Response::builder().status(status).header(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from(body))
        .map_err(|error| Problem::internal(format!("a kept answer is none: {error}")))
}

fn later(now: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(millis))
}

/// SHA-256 over parts, each behind its length, so that no two lists of parts are one text.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    auth::hex(&hash.finalize())
}
