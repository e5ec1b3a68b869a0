//! What must hold when nothing is under way any more.

use event_store::{EventLog, IntentStore, View};
use events::{OrderId, StreamKey};
use serde_json::Value;
use views::invariants::{has_raw_events, of_lots_at_rest, of_order_at_rest};

use crate::ask::Wants;
use crate::executor::{Micros, SECOND};
use crate::figures::Sometimes;
use crate::ports::at_once;
use crate::reference::{self, Shown};
use crate::world::{Done, PATIENCE, World, is_by_hand};

/// Something that is looked at once; it says what is not as it should be.
type Check = fn(&mut World) -> Result<(), String>;

impl World {
    /// Looks at everything once; `took` is how long it took to come to rest after the storm.
    pub(crate) fn look_at_rest(&mut self, took: Micros) {
        let checks: [Check; 6] = [
            World::nothing_is_under_way,
            World::every_stream_has_ended,
            World::only_forgeries_are_dead_letters,
            World::the_audit_is_clean,
            World::a_replay_rebuilds_every_row,
            World::the_reference_model_agrees,
        ];
        if self.failure.is_none() && took > PATIENCE {
            self.failure = Some(format!("it came to rest only {} s after the storm", took / SECOND));
        }
        for check in checks {
            if self.failure.is_none()
                && let Err(why) = check(self)
            {
                self.failure.get_or_insert(why);
            }
        }
    }

    fn nothing_is_under_way(&mut self) -> Result<(), String> {
        if self.pipeline.is_empty() {
            Ok(())
        } else {
            Err("messages are left that nobody will receive".into())
        }
    }

    fn every_stream_has_ended(&mut self) -> Result<(), String> {
        for pk in std::mem::take(&mut self.streams).iter() {
            let mut found = Vec::new();
            let stream = at_once(self.store.read_stream(pk)).map_err(|cause| cause.to_string())?;
            match StreamKey::parse(pk) {
                Some(StreamKey::Order(order)) => {
                    let intent = at_once(self.store.load(&order)).map_err(|cause| cause.to_string())?.intent;
                    of_order_at_rest(&stream, Some(&intent), &mut found);
                    self.notice_end(&stream);
                }
                Some(StreamKey::Sku(_)) => of_lots_at_rest(&stream, &mut found),
                _ => {}
            }
            if let Some(first) = found.first() {
                return Err(format!("at rest, {first}"));
            }
            self.streams.push(pk.clone());
        }
        Ok(())
    }

    fn notice_end(&self, stream: &[std::sync::Arc<events::RecordedEvent>]) {
        use orders::{Closing, Payment, Reservation, Settlement};
        let facts = orders::fold(stream.iter().map(|item| &**item));
        let mut core = self.sim.core();
        let mut saw = |what, holds: bool| {
            if holds {
                core.figures.saw(what);
            }
        };
        let cancelled = facts.closing.get().filter(|closing| matches!(closing.what, Closing::Cancelled(_)));
        let accepted = facts.payment.get().filter(|payment| matches!(payment.what, Payment::Accepted(_)));
        let raced =
            cancelled.zip(accepted).is_some_and(|(cancel, paid)| cancel.by.event_id < paid.by.event_id);
        saw(Sometimes::PaidAfterCancel, raced);
        saw(Sometimes::Released, matches!(facts.settlement.what(), Some(Settlement::Released(_))));
        saw(Sometimes::Returned, facts.returned.is_settled());
        saw(Sometimes::Refunded, facts.refund.is_settled());
        if let Some(Payment::Rejected(rejected)) = facts.payment.what() {
            saw(Sometimes::Exhausted, rejected.reason == "attempts_exhausted");
            saw(Sometimes::Declined, rejected.reason.starts_with("amount_"));
        }
        saw(Sometimes::Manual, facts.manual_payment.is_settled() && accepted.is_some());
        let shipped_first = facts.closing.get().zip(accepted).is_some_and(|(closing, paid)| {
            matches!(closing.what, Closing::Shipped(_)) && closing.by.event_id < paid.by.event_id
        });
        saw(Sometimes::Held, shipped_first);
        let forged = facts.reservation.by().is_some_and(|by| !by.moved_counters() && by.is_raw())
            && facts.settlement.by().is_some_and(|by| !by.is_raw());
        saw(Sometimes::Forged, forged);
        if let (Some(Reservation::Failed(failed)), Some(placed)) =
            (facts.reservation.what(), facts.placed.what())
        {
            saw(Sometimes::PartlyShort, failed.shortages.len() < placed.items.len());
        }
    }

    /// A message that nobody can handle is about a stream into which somebody wrote by hand.
    fn only_forgeries_are_dead_letters(&mut self) -> Result<(), String> {
        for body in self.pipeline.dead_letters() {
            let nudge: workers::Nudge = serde_json::from_str(body).map_err(|cause| cause.to_string())?;
            let stream = at_once(self.store.read_stream(&nudge.pk)).map_err(|cause| cause.to_string())?;
            if !has_raw_events(&stream) {
                return Err(format!("a dead letter is left that nobody forged: {body}"));
            }
        }
        Ok(())
    }

    fn the_audit_is_clean(&mut self) -> Result<(), String> {
        self.audit_at_rest();
        self.drive();
        match self.at_rest.pop() {
            Some(Done::Audited(Ok(report))) if report.is_clean() => Ok(()),
            Some(Done::Audited(Ok(report))) => Err(format!("the audit found {:?}", report.differences)),
            Some(Done::Audited(Err(cause))) => Err(format!("the audit failed: {cause}")),
            _ => Err("the audit did not end".into()),
        }
    }

    fn a_replay_rebuilds_every_row(&mut self) -> Result<(), String> {
        let drawn = self.sim.core().pace.usize(..View::ALL.len());
        let view = View::ALL[drawn];
        self.replay_at_rest(view);
        self.drive();
        match self.at_rest.pop() {
            Some(Done::Replayed(Ok(report))) if report.difference_count == 0 => Ok(()),
            Some(Done::Replayed(Ok(report))) => {
                Err(format!("a replay of {view} differs: {:?}", report.differences))
            }
            Some(Done::Replayed(Err(cause))) => Err(format!("a replay of {view} failed: {cause}")),
            _ => Err(format!("a replay of {view} did not end")),
        }
    }

    fn the_reference_model_agrees(&mut self) -> Result<(), String> {
        let by_hand = is_by_hand(self);
        let named = self.book.entries.iter().filter(|entry| entry.sent > 0).filter_map(|entry| {
            let accepted = entry.settled.is_some_and(|status| status < 300);
            match &entry.ask.wants {
                Wants::Place { order_id: Some(id), .. } => accepted.then(|| id.clone()),
                // Accepted whatever stands there, nonsense that somebody forged before included.
                Wants::CompatPlace { order_id: id } => (accepted && !by_hand).then(|| id.clone()),
                _ => None,
            }
        });
        let mut named: Vec<OrderId> = named.collect();
        named.sort();
        named.dedup();
        // Orders whose ids the system chose, and those whose acknowledgement was lost.
        let is_order = |pk: &std::sync::Arc<str>| match StreamKey::parse(pk) {
            Some(StreamKey::Order(id)) => Some(id),
            _ => None,
        };
        let mut all: Vec<OrderId> = self.streams.iter().filter_map(is_order).collect();
        all.extend(named.iter().cloned());
        all.sort();
        all.dedup();
        let mut shown = Shown::default();
        for id in all {
            let order = self.show(&format!("/orders/{id}"));
            match order {
                Some(order) => drop(shown.orders.insert(id, order)),
                None if named.contains(&id) => {
                    return Err(format!("order {id} was accepted and is not there"));
                }
                None => {}
            }
        }
        let mut page = "/inventory/skus?limit=200".to_owned();
        loop {
            let stock = self.show(&page).ok_or("the stock is not shown")?;
            for row in stock["skus"].as_array().into_iter().flatten() {
                shown.stock.insert(row["sku"].as_str().unwrap_or_default().to_owned(), row.clone());
            }
            match stock["next_token"].as_str() {
                Some(next) => page = format!("/inventory/skus?limit=200&next_token={next}"),
                None => break,
            }
        }
        reference::compare(&self.book.entries, &shown, &self.store, by_hand)
            .map_err(|why| format!("the reference model disagrees: {why}"))
    }

    /// What the API shows under a path, if it is there.
    fn show(&mut self, path: &str) -> Option<Value> {
        self.ask_at_rest(path);
        self.drive();
        match self.at_rest.pop() {
            Some(Done::Answer(answer)) if answer.status == 200 => serde_json::from_slice(&answer.body).ok(),
            _ => None,
        }
    }
}
