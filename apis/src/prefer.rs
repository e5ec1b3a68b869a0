//! `Prefer: wait=5`: a client that would rather wait for an order to settle than ask again.
//!
//! Source: RFC 7240, section 4.3. A preference that is not understood is passed over, as it says.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use event_store::{OrderRow, StoreError};
use events::OrderId;

use crate::Api;
use crate::openapi::{Asks, Operation};

/// The longest wait, in seconds: behind API Gateway, a function has ten for the whole request.
const MAX_WAIT: u64 = 5;
/// The first pause between two looks; each is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// How many seconds a client would wait; 0 if it does not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Wait(asked(&parts.headers)))
    }
}

impl Asks for Wait {
    fn ask(operation: &mut Operation) {
        operation.takes_header("Prefer").with_header(&[200, 201, 304], "Preference-Applied");
    }
}

fn asked(headers: &HeaderMap) -> u64 {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split([',', ';']));
    let wait = each.find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| seconds.trim().trim_matches('"').parse().ok())?
    });
    wait.map_or(0, |seconds: u64| seconds.min(MAX_WAIT))
}

impl Api {
    /// The order's row, folded from its stream as soon as it has settled or the client would wait no longer; `None`
    /// if it was never placed.
    pub(crate) async fn settled(
        &self,
        id: &OrderId,
        Wait(wait): Wait,
    ) -> Result<Option<OrderRow>, StoreError> {
        let (mut left, mut pause) = (Duration::from_secs(wait), FIRST_PAUSE);
        loop {
            let row = self.rows(id).await?.map(|rows| rows.order);
            match row {
                Some(row) if row.open && !left.is_zero() => {
                    self.pause.pause(pause.min(left)).await;
                    left = left.saturating_sub(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                row => return Ok(row),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(preferences: &[&'static str]) -> u64 {
        let headers = preferences.iter().map(|value| {
            (axum::http::HeaderName::from_static("prefer"), axum::http::HeaderValue::from_static(value))
        });
        asked(&headers.collect())
    }

    #[test]
    fn a_client_says_how_many_seconds_it_would_wait_and_waits_at_most_five() {
        assert_eq!(wait(&["wait=3"]), 3);
        assert_eq!(wait(&["respond-async, Wait=\"4\"; foo"]), 4);
        assert_eq!(wait(&["return=minimal", "wait=600"]), MAX_WAIT);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for preferences in [&[][..], &["wait"], &["wait=0"], &["wait=-1"], &["wait=soon"], &["await=5"]] {
            assert_eq!(wait(preferences), 0, "{preferences:?}");
        }
    }
}
