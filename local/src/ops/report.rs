//! The daily report over HTTP: the last one, or a new one now.

use std::sync::Arc;

use apis::problem::Problem;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use workers::LogSweep;

use super::{Answer, Ops, Perhaps, not_found, show, started, store};

/// What the last sweep of the log that came to its end found.
pub(super) async fn last(State(ops): State<Arc<Ops>>) -> Answer {
    let last = ops.sweeps.last().map_err(store)?.filter(|sweep| sweep.has_ended);
    let sweep = last.ok_or_else(|| {
        not_found("report yet; ask for one with `sagaline report --now` (POST /ops/sweeps)")
    })?;
    Ok(Json(shown(&sweep)).into_response())
}

/// A report as it is shown.
pub(crate) fn shown(sweep: &LogSweep) -> Value {
    let mut shown = json!(sweep.report);
    shown["began_at"] = json!(sweep.began_at);
    shown
}

/// Nothing can be said of a sweep.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartSweep {}

/// Does now what the clock does once a day: everything that it does, so orders expire.
pub(super) async fn sweep(
    State(ops): State<Arc<Ops>>,
    Perhaps(StartSweep {}): Perhaps<StartSweep>,
) -> Answer {
    match ops.runs.sweep(&ops.sweeps) {
        Some(id) => Ok(started("sweeps", id)),
        None => {
            let detail = "a sweep is running; wait for its end";
            Err(Problem::new(StatusCode::CONFLICT, "already_running", detail).retry_after(1))
        }
    }
}

pub(super) async fn show_sweep(State(ops): State<Arc<Ops>>, Path(id): Path<String>) -> Answer {
    show(&ops, "sweep", &id)
}
