//! Whether this process lives, and whether it can do its work.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::shape;
use crate::table::Table;

/// Where it is asked whether this lives: as often as whoever watches it likes.
pub(crate) const PATHS: [&str; 2] = ["/livez", "/readyz"];

pub(crate) fn routes(table: Table) -> Table {
    let [live, ready] = PATHS;
    table.get(Needs::Nothing, live, livez, livez_says).get(Needs::Nothing, ready, readyz, readyz_says)
}

async fn livez() -> Answer {
    Answer::ok(&Health { status: "alive" })
}

fn livez_says(says: &mut Operation) {
    says.summary("Ask whether the process lives").answers::<Health>(200, "It lives.");
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

shape! {
    "How the process is.",
    Health as "Health" { status: "`alive`, where it is asked whether the process lives; `ready`, whether it can work." = "ready", }
}

/// Ready means that the log answers; what it answers does not matter.
async fn readyz(State(api): State<Arc<Api>>) -> Result<Answer, Problem> {
    api.log.read_slot("READINESS", "READINESS").await?;
    Ok(Answer::ok(&Health { status: "ready" }))
}

fn readyz_says(says: &mut Operation) {
    says.summary("Ask whether it can do its work").answers::<Health>(200, "The log answers.");
}
