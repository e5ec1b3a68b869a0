//! `ETag`, `If-Match` and `If-None-Match`: a client that says which version of something it decided from.
//!
//! A version is from how many events a row was folded. Source: RFC 9110, sections 8.8.3 and 13.1.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::Response;

use crate::openapi::{Asks, Operation};
use crate::problem::Problem;

/// The `ETag` of a version.
pub(crate) fn etag(seen: u32) -> String {
    format!("\"{seen}\"")
}

/// What a request is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Nothing, or that there is anything at all.
    Any,
    /// One of these versions; of none, where what was sent cannot be read.
    OneOf(Vec<String>),
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let tags = tags(&parts.headers, &IF_MATCH);
        let any = !parts.headers.contains_key(IF_MATCH) || tags.iter().any(|tag| tag == "*");
        Ok(if any { IfMatch::Any } else { IfMatch::OneOf(tags) })
    }
}

impl Asks for IfMatch {
    fn ask(operation: &mut Operation) {
        let when = "It has changed since the version that If-Match names; `current_etag` is what there is.";
        operation.takes_header("If-Match");
        operation.refuses(StatusCode::PRECONDITION_FAILED, "precondition_failed", when);
    }
}

impl IfMatch {
    /// Refuses a change that was decided from another version than this.
    ///
    /// # Errors
    /// 412, with the version that there is.
    pub(crate) fn check(&self, seen: u32) -> Result<(), Problem> {
        let current = etag(seen);
        match self {
            IfMatch::OneOf(tags) if !tags.contains(&current) => {
                let detail = "it has changed since the version that If-Match names; read it again, and decide from \
                    what it is now";
                let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail);
                Err(problem.with("current_etag", current))
            }
            IfMatch::Any | IfMatch::OneOf(_) => Ok(()),
        }
    }
}

/// The versions that a client has already.
pub(crate) struct Known(Vec<String>);

impl Known {
    /// What the client of a request that only reads says it has.
    pub(crate) fn to(request: &Request) -> Known {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        Known(if reads { tags(request.headers(), &IF_NONE_MATCH) } else { Vec::new() })
    }

    /// 304 without a body, where the client has what it would be sent.
    pub(crate) fn spare(&self, mut response: Response) -> Response {
        let current = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let Some(current) = current.filter(|_| response.status() == StatusCode::OK) else { return response };
        // For reading, a weak tag is as good as a strong one.
        if self.0.iter().any(|tag| tag == "*" || tag.trim_start_matches("W/") == current) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(CONTENT_TYPE);
        }
        response
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}
