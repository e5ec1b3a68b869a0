//! What a client gets when nothing is wrong: JSON, and headers that say how new it is.

use auth::hex;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use events::OrderId;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::idempotency::KeptBody;
use crate::preconditions::etag;
use crate::prefer::Wait;

pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// An answer with a JSON body.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    etag: Option<String>,
    location: Option<String>,
    waited: u64,
    order: Option<OrderId>,
    kept: Option<Vec<u8>>,
}

/// The order that an answer is about, for the log: travels as an extension of the response.
#[derive(Debug, Clone)]
pub(crate) struct AboutOrder(pub(crate) OrderId);

impl Answer {
    /// 200 with this body.
    pub fn ok(body: &impl Serialize) -> Self {
        Answer {
            status: StatusCode::OK,
            body: json(body),
            etag: None,
            location: None,
            waited: 0,
            order: None,
            kept: None,
        }
    }

    /// 201 with this body, to be found under `location`.
    pub fn created(body: &impl Serialize, location: String) -> Self {
        Answer { status: StatusCode::CREATED, location: Some(location), ..Answer::ok(body) }
    }

    /// 202 with this body.
    pub fn accepted(body: &impl Serialize) -> Self {
        Answer { status: StatusCode::ACCEPTED, ..Answer::ok(body) }
    }

    /// The `ETag`: from how many events the body was folded.
    pub fn seen(self, seen: u32) -> Self {
        Answer { etag: Some(etag(seen)), ..self }
    }

    /// The `ETag` of what no number of events tells apart: the beginning of the body's SHA-256.
    pub fn digested(self) -> Self {
        let digest = hex(&Sha256::digest(&self.body)[..16]);
        Answer { etag: Some(format!("\"{digest}\"")), ..self }
    }

    /// Says that it was waited for, up to so many seconds, as the client preferred.
    pub(crate) fn waited(self, Wait(waited): Wait) -> Self {
        Answer { waited, ..self }
    }

    /// What whoever asks again under the same `Idempotency-Key` is shown in place of a body that is shown once.
    pub(crate) fn kept_as(self, body: &impl Serialize) -> Self {
        Answer { kept: Some(json(body)), ..self }
    }

    /// Names the order it is about, for the log.
    pub(crate) fn about(self, order: &OrderId) -> Self {
        Answer { order: Some(order.clone()), ..self }
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("rows have only text keys and finite numbers")
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(etag) = self.etag {
            headers.insert(ETAG, HeaderValue::try_from(etag).expect("digits in quotes"));
        }
        if self.waited > 0 {
            let applied = HeaderValue::try_from(format!("wait={}", self.waited)).expect("a name and digits");
            headers.insert(PREFERENCE_APPLIED, applied);
        }
        if let Some(Ok(location)) = self.location.map(HeaderValue::try_from) {
            headers.insert(LOCATION, location);
        }
        if let Some(order) = self.order {
            response.extensions_mut().insert(AboutOrder(order));
        }
        if let Some(kept) = self.kept {
            response.extensions_mut().insert(KeptBody(kept));
        }
        response
    }
}
