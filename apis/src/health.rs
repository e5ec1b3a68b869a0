//! Whether this process lives, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use serde_json::json;

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::problem::Problem;
use crate::table::Table;

/// Where it is asked whether this lives: as often as whoever watches it likes.
pub(crate) const PATHS: [&str; 2] = ["/livez", "/readyz"];

pub(crate) fn routes(table: Table) -> Table {
    let [live, ready] = PATHS;
    table.get(Needs::Nothing, live, livez).get(Needs::Nothing, ready, readyz)
}

async fn livez() -> Answer {
    Answer::ok(&json!({ "status": "alive" }))
}

/// Ready means that the log answers; what it answers does not matter.
async fn readyz(State(api): State<Arc<Api>>) -> Result<Answer, Problem> {
    api.log.read_slot("READINESS", "READINESS").await?;
    Ok(Answer::ok(&json!({ "status": "ready" })))
}
