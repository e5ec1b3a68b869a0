//! Shipping, delivering, cancelling an order, or recording that it was paid by another way.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::{OrderRow, Role};
use events::{
    Event, ManualPaymentRecorded, OrderCancelled, OrderDelivered, OrderId, OrderShipped, Priority,
    RecordedEvent,
};
use orders::{Closing, OrderFacts, Status, fold, status};
use serde_json::{Value, json};
use telemetry::metrics;
use views::project::seen;

use super::pk;
use crate::Api;
use crate::answer::Answer;
use crate::fields::{Bad, Fields, one_of, text};
use crate::openapi::Operation;
use crate::preconditions::IfMatch;
use crate::problem::Problem;
use crate::request::{Caller, Named, Said, Sent, unknown};
use crate::settle::Settled;

/// `PATCH /orders/{id}` {status, reason?, carrier?, tracking?, reference?, by?}.
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
    if_match: IfMatch,
    Sent(change): Sent<Change>,
) -> Result<Answer, Problem> {
    let wanted = Wanted::of(change, &caller)?;
    become_so(&api, &id, &wanted, &if_match, &caller).await.map_err(|problem| problem.about(&id))
}

/// `DELETE /orders/{id}`: cancels it.
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    Named(id): Named<OrderId>,
    caller: Caller,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let wanted = Wanted::Cancelled { reason: String::new(), by: who(&caller).into() };
    become_so(&api, &id, &wanted, &if_match, &caller).await.map_err(|problem| problem.about(&id))
}

pub(crate) fn change_says(says: &mut Operation) {
    says.summary("Ship, deliver, cancel an order, or record that it was paid")
        .detail(
            "A customer may cancel their own order, in their own name; all else is an operator's business. What the order \
             is already stays so: asking twice is asking once, and asking for another parcel or payment is refused.",
        )
        .field("status", "What it is to become.")
        .field("reason", "Why it is cancelled.")
        .field("carrier", "Who carries the parcel; goes with SHIPPED.")
        .field("tracking", "The carrier's number of the parcel; goes with SHIPPED.")
        .field("reference", "Where the payment is to be found; goes with PAID.")
        .field("by", "In whose name it is paid or cancelled; the role of whoever asks, if nothing is said.")
        .example("ship", json!({ "status": "SHIPPED", "carrier": "Parcels & Sons", "tracking": "PS-4711" }))
        .example("deliver", json!({ "status": "DELIVERED" }))
        .example("record a payment", json!({ "status": "PAID", "reference": "bank transfer 4711" }))
        .example("cancel", json!({ "status": "CANCELLED", "reason": "wrong colour" }))
        .answers::<OrderRow>(202, "It is recorded; the payments worker is about to settle it.")
        .refuses(StatusCode::FORBIDDEN, "forbidden", "A customer asks for more than to cancel, or in another name.");
    changed(says);
}

pub(crate) fn cancel_says(says: &mut Operation) {
    says.summary("Cancel an order").detail(
        "As PATCH with status CANCELLED. What was held is released, and what was paid is given back.",
    );
    changed(says);
}

/// What both say.
fn changed(says: &mut Operation) {
    let conflict = StatusCode::CONFLICT;
    let another = "Another payment was recorded by hand, and is about to be settled.";
    let now = "The order is what it is: `current_status` says what, `allowed` what it can become.";
    let otherwise = "It has this status already, by another parcel or another payment than this.";
    says.answers::<OrderRow>(200, "The order, as it is now.")
        .versioned()
        .refuses(conflict, "transition_not_allowed", now)
        .refuses(conflict, "manual_payment_exists", another)
        .refuses(conflict, "stands_otherwise", otherwise)
        .refuses(conflict, "slot_taken", "The decision was settled by an event that cannot be read.");
}

/// A change, as it is asked for.
#[derive(Debug)]
pub(crate) struct Change {
    status: Status,
    reason: Option<String>,
    carrier: Option<String>,
    tracking: Option<String>,
    reference: Option<String>,
    by: Option<String>,
}

/// What a client wants an order to become.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// An operator's word; the payments worker makes it true.
    Paid {
        by: String,
        reference: String,
    },
    Shipped {
        carrier: Option<String>,
        tracking: Option<String>,
    },
    Delivered,
    Cancelled {
        reason: String,
        by: String,
    },
}

/// In whose name it is done, if nothing is said.
fn who(caller: &Caller) -> &'static str {
    if caller.has(Role::Operator).is_ok() { OPERATOR } else { CUSTOMER }
}

const OPERATOR: &str = "operator";
const CUSTOMER: &str = "customer";
/// The longest text of a change, in characters.
const MAX_TEXT: usize = 256;

impl Said for Change {
    fn read(body: &mut Fields) -> Option<Self> {
        let words = [Status::Paid, Status::Shipped, Status::Delivered, Status::Cancelled]
            .map(|status| (status.as_str(), status));
        let wanted = body.required("status", one_of(&words));
        // A field that this change has no use for would be lost, so it is refused.
        let mut only = |name: &'static str, used_by: &[Status]| {
            let sent = body.optional(name, text(MAX_TEXT));
            let is_lost = sent.is_some() && wanted.is_some_and(|wanted| !used_by.contains(&wanted));
            if is_lost {
                let used_by: Vec<_> = used_by.iter().map(|status| status.as_str()).collect();
                let detail = format!("goes only with status {}", used_by.join(" or "));
                body.refuse(name, Bad("not_applicable", detail.into()));
            }
            sent
        };
        let reason = only("reason", &[Status::Cancelled]);
        let carrier = only("carrier", &[Status::Shipped]);
        let tracking = only("tracking", &[Status::Shipped]);
        let reference = only("reference", &[Status::Paid]);
        let by = only("by", &[Status::Paid, Status::Cancelled]);
        Some(Change { status: wanted?, reason, carrier, tracking, reference, by })
    }
}

impl Wanted {
    fn of(change: Change, caller: &Caller) -> Result<Self, Problem> {
        let Change { status: wanted, reason, carrier, tracking, reference, by } = change;
        // A customer may change their mind, in their own name; all else is an operator's business.
        let in_own_name = by.as_ref().is_none_or(|by| by == CUSTOMER);
        if wanted != Status::Cancelled || !in_own_name {
            caller.has(Role::Operator)?;
        }
        let by = by.unwrap_or_else(|| who(caller).into());
        Ok(match wanted {
            Status::Paid => Wanted::Paid { by, reference: reference.unwrap_or_default() },
            Status::Shipped => Wanted::Shipped { carrier, tracking },
            Status::Delivered => Wanted::Delivered,
            Status::Cancelled => Wanted::Cancelled { reason: reason.unwrap_or_default(), by },
            Status::PendingInventory | Status::Confirmed => {
                return Err(Problem::internal("a status was read that nobody can ask for"));
            }
        })
    }

    fn status(&self) -> Status {
        match self {
            Wanted::Paid { .. } => Status::Paid,
            Wanted::Shipped { .. } => Status::Shipped,
            Wanted::Delivered => Status::Delivered,
            Wanted::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Why an order that has this status already is not what is wanted: what is said of it now would be lost. Why it was
    /// cancelled is what whoever cancelled it said.
    fn otherwise(&self, facts: &OrderFacts<'_>) -> Option<&'static str> {
        let differs = |told: &Option<String>, stands: &Option<String>| told.is_some() && told != stands;
        match self {
            Wanted::Shipped { carrier, tracking } => match facts.closing.what() {
                Some(Closing::Shipped(shipped))
                    if differs(carrier, &shipped.carrier) || differs(tracking, &shipped.tracking) =>
                {
                    Some("the order was shipped before, with another carrier or tracking number")
                }
                _ => None,
            },
            Wanted::Paid { reference, .. } => {
                let is_known = facts.manual_payment.what().is_some_and(|paid| paid.reference == *reference);
                let detail = "the order is paid, and not by this payment; give back what was paid twice";
                (!reference.is_empty() && !is_known).then_some(detail)
            }
            Wanted::Delivered | Wanted::Cancelled { .. } => None,
        }
    }

    /// The event that makes it so.
    fn event(&self, id: &OrderId) -> Event {
        let order_id = id.clone();
        match self.clone() {
            Wanted::Paid { by, reference } => {
                Event::ManualPaymentRecorded(ManualPaymentRecorded { order_id, by, reference })
            }
            Wanted::Shipped { carrier, tracking } => {
                Event::OrderShipped(OrderShipped { order_id, carrier, tracking })
            }
            Wanted::Delivered => Event::OrderDelivered(OrderDelivered { order_id }),
            Wanted::Cancelled { reason, by } => {
                Event::OrderCancelled(OrderCancelled { order_id, reason, by })
            }
        }
    }
}

/// How often an order is read again because somebody else settled the slot first.
const MAX_ROUNDS: usize = 4;

async fn become_so(
    api: &Api,
    id: &OrderId,
    wanted: &Wanted,
    if_match: &IfMatch,
    caller: &Caller,
) -> Result<Answer, Problem> {
    let mut lost_to = None;
    for _ in 0..MAX_ROUNDS {
        let mut stream = api.log.read_stream(&pk(id)).await?;
        let facts = fold(stream.iter().map(|item| &**item));
        if let Some(placed) = facts.placed.what() {
            caller.sees(&placed.customer_id, unknown::<OrderId>)?;
        }
        // What was stored is done, also where somebody forged since what it counts less than.
        let is_done = caller.has_appended(stream.iter().map(|item| &**item));
        let verdict = if is_done { Ok(Verdict::Stands) } else { decide(&facts, wanted) };
        // Of a repeat whose first answer was lost, the version has changed by what it asks for.
        if let Ok(Verdict::Stands) = verdict {
            return Ok(answer(row(&stream)?, id));
        }
        if facts.placed.is_settled() {
            if_match.check(seen(&stream))?;
        }
        verdict?;
        let priority = facts.placed.by().map_or(Priority::Standard, |placed| placed.priority);
        let latest = stream.iter().map(|item| item.event_id).max();
        match api.settle(wanted.event(id), latest, caller, priority).await? {
            Settled::Now(stored) => {
                let event_id = stored.event_id;
                stream.push(stored);
                if metrics::wanted()
                    && let Some(millis) = orders::took(&stream, event_id)
                {
                    metrics::order_settled(millis);
                }
                show(api, &stream).await;
                return Ok(answer(row(&stream)?, id));
            }
            // Its own of before is found when the stream is read again.
            Settled::Again(stored) | Settled::Before(stored) => lost_to = Some(stored),
        }
    }
    // Only an event that says nothing to this code can hold a slot and leave the facts as they were.
    let settled_by =
        lost_to.map_or_else(String::new, |event| format!(" by {} {}", event.event_name, event.event_id));
    let detail = format!("this decision is already settled{settled_by}, which cannot be read");
    Err(Problem::conflict("slot_taken", detail))
}

/// Writes the order's rows at once, so that whoever reads it next reads this change. The orders worker
/// writes them too; if it fails here, the change is stored all the same.
async fn show(api: &Api, stream: &[Arc<RecordedEvent>]) {
    if let Some(rows) = views::project::order_rows(stream)
        && let Err(error) = api.orders.put(rows).await
    {
        tracing::warn!(%error, "failed to show a change at once; the orders worker will");
    }
}

fn row(stream: &[Arc<RecordedEvent>]) -> Result<OrderRow, Problem> {
    views::project::order_rows(stream).map(|rows| rows.order).ok_or_else(unknown::<OrderId>)
}

/// 202 while the payments worker has yet to settle what an operator recorded.
fn answer(row: OrderRow, id: &OrderId) -> Answer {
    let is_owed = matches!(row.status, Status::PendingInventory | Status::Confirmed);
    let answer = if is_owed { Answer::accepted(&row) } else { Answer::ok(&row) };
    answer.seen(row.seen).about(id)
}

/// What a wish comes to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is so already; nothing is appended.
    Stands,
    /// Its event is to be appended.
    Append,
}

fn decide(facts: &OrderFacts<'_>, wanted: &Wanted) -> Result<Verdict, Problem> {
    let Some(now) = status(facts) else { return Err(unknown::<OrderId>()) };
    if now == wanted.status() {
        let Some(detail) = wanted.otherwise(facts) else { return Ok(Verdict::Stands) };
        return Err(Problem::conflict("stands_otherwise", detail).with("current_status", now.as_str()));
    }
    if let (Wanted::Paid { by, reference }, Some(recorded), Status::Confirmed) =
        (wanted, facts.manual_payment.what(), now)
    {
        if (by, reference) == (&recorded.by, &recorded.reference) {
            return Ok(Verdict::Stands);
        }
        let detail =
            "a payment by another operator or with another reference is recorded and about to be settled";
        return Err(Problem::conflict("manual_payment_exists", detail).with("current_status", now.as_str()));
    }
    let allowed = allowed(facts, now);
    if allowed.contains(&wanted.status()) {
        return Ok(Verdict::Append);
    }
    let allowed: Vec<&str> = allowed.into_iter().map(Status::as_str).collect();
    let detail = match &allowed[..] {
        [] => format!("the order is {now} and stays so"),
        allowed => format!("the order is {now}; it can become {}", allowed.join(" or ")),
    };
    let problem = Problem::conflict("transition_not_allowed", detail);
    Err(problem.with("current_status", now.as_str()).with("allowed", Value::from(allowed)))
}

/// What an order in this state can be asked to become. A shipment that waits for its payment has taken
/// the decision that a cancellation would need.
fn allowed(facts: &OrderFacts<'_>, now: Status) -> Vec<Status> {
    let next = match now {
        Status::Confirmed if !facts.manual_payment.is_settled() => Some(Status::Paid),
        Status::Paid => Some(Status::Shipped),
        Status::Shipped => Some(Status::Delivered),
        Status::PendingInventory | Status::Confirmed | Status::Delivered | Status::Cancelled => None,
    };
    let cancel = (now != Status::Cancelled && !facts.is_shipped()).then_some(Status::Cancelled);
    next.into_iter().chain(cancel).collect()
}
