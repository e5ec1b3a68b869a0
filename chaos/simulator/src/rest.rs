//! What must hold when nothing is under way any more.

use std::collections::{BTreeMap, BTreeSet};

use event_store::{Copy, EventLog, IntentStore, KeyRow, Keys, ShadowViews, View, ViewRow, Window};
use events::{OrderId, StreamKey};
use serde_json::Value;
use views::invariants::{Invariant, has_raw_events, of_lots_at_rest, of_order_at_rest};

use crate::ask::Wants;
use crate::executor::{Micros, SECOND};
use crate::figures::Sometimes;
use crate::happening::{Delivery, Happening};
use crate::ports::at_once;
use crate::reference::{self, Forged, Shown};
use crate::world::{Done, PATIENCE, World};

/// A world of so many streams is small: what is checked of all of it costs little.
const SMALL: usize = 40;

/// Something that is looked at once; it says what is not as it should be.
type Check = fn(&mut World) -> Result<(), String>;

impl World {
    /// Looks at everything once; `took` is how long it took to come to rest after the storm.
    pub(crate) fn look_at_rest(&mut self, took: Micros) {
        let checks: [Check; 10] = [
            World::nothing_is_under_way,
            World::every_request_was_heard,
            World::every_stream_has_ended,
            World::only_forgeries_are_dead_letters,
            World::a_request_makes_one_key,
            World::nobody_acts_for_the_erased,
            World::the_audit_is_clean,
            World::a_replay_rebuilds_every_row,
            World::the_reference_model_agrees,
            World::what_is_repeated_changes_nothing,
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

    fn every_request_was_heard(&mut self) -> Result<(), String> {
        match self.book.unheard() {
            Some(ask) => Err(format!("{} {} was never answered", ask.method, ask.path)),
            None => Ok(()),
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
        saw(Sometimes::Expired, cancelled.is_some_and(|cancel| &*cancel.by.producer == "oms-log-sweeper"));
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

    fn keys(&self) -> Result<Vec<KeyRow>, String> {
        let window = Window { limit: usize::MAX, ..Window::default() };
        at_once(self.store.keys(&window)).map(|page| page.rows).map_err(|cause| cause.to_string())
    }

    /// However often it was sent; keys are called as the requests that make them.
    fn a_request_makes_one_key(&mut self) -> Result<(), String> {
        let keys = self.keys()?;
        let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        if names.len() == keys.len() {
            Ok(())
        } else {
            Err(format!("{}: a request made two keys: {keys:?}", Invariant::Repeated))
        }
    }

    fn nobody_acts_for_the_erased(&mut self) -> Result<(), String> {
        let keys = self.keys()?;
        let acts = |customer: &str| {
            keys.iter().find(|key| key.customer_id.as_ref().is_some_and(|id| id.as_str() == customer))
        };
        match self.book.erased().find_map(acts) {
            None => Ok(()),
            Some(key) => Err(format!("{}: {key:?} acts for somebody who was erased", Invariant::Admitted)),
        }
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
        // Every one of a small world, one of a large one.
        let is_small = self.streams.len() <= SMALL;
        let views = if is_small { &View::ALL[..] } else { &View::ALL[drawn..=drawn] };
        views.iter().try_for_each(|view| self.a_replay_rebuilds(*view))
    }

    fn a_replay_rebuilds(&mut self, view: View) -> Result<(), String> {
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

    /// Sends every message once more that was ever sent, in any order: whatever it was about is done.
    fn what_is_repeated_changes_nothing(&mut self) -> Result<(), String> {
        let mut messages = self.pipeline.take_sent();
        if self.streams.len() > SMALL {
            return Ok(());
        }
        let before = self.everything();
        self.sim.core().pace.shuffle(&mut messages);
        for (queue, body) in messages {
            let wait = self.sim.core().pace.u64(..600 * SECOND);
            self.sim.after(wait, Happening::Deliver(Delivery { queue, body, tries: 0 }));
        }
        self.drive();
        let after = self.everything();
        let changed = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        match after.iter().find(changed).or_else(|| before.iter().find(|(key, _)| !after.contains_key(*key)))
        {
            None => Ok(()),
            Some((key, now)) => {
                Err(format!("{}: of what was repeated came {key}: {now}", Invariant::Repeated))
            }
        }
    }

    /// The log, the rows and what the gateway knows, each in words. Of an order that somebody wrote into, nothing:
    /// nobody was told to look when the last of it came, so whoever looks later may find what to do.
    fn everything(&self) -> BTreeMap<String, String> {
        let (mut all, mut by_hand) = (BTreeMap::new(), BTreeSet::new());
        for pk in &self.streams {
            let stream = at_once(self.store.read_stream(pk)).expect("memory is always there");
            if has_raw_events(&stream) {
                by_hand.insert(&**pk);
                continue;
            }
            let ids: Vec<String> =
                stream.iter().map(|item| format!("{} {}", item.sk, item.event_id)).collect();
            all.insert(pk.to_string(), ids.join(", "));
            if let Some(StreamKey::Order(order)) = StreamKey::parse(pk) {
                let intent = at_once(self.store.load(&order)).expect("memory is always there").intent;
                all.insert(format!("the intent of {order}"), format!("{intent:?}"));
            }
        }
        for view in View::ALL {
            let rows = at_once(self.store.rows(view, Copy::Live, None, usize::MAX));
            let rows = rows.expect("memory is always there").into_iter();
            let is_told = |row: &ViewRow| row.stream().is_none_or(|of| !by_hand.contains(&*of.pk()));
            for row in rows.filter(is_told) {
                all.insert(format!("{view} {}", row.id()), format!("{row:?}"));
            }
        }
        all
    }

    fn the_reference_model_agrees(&mut self) -> Result<(), String> {
        let forged = Forged::by(&self.book.entries);
        let named = self.book.entries.iter().filter(|entry| entry.sent > 0).filter_map(|entry| {
            let accepted = entry.settled.is_some_and(|status| status < 300);
            match &entry.ask.wants {
                Wants::Place { order_id: Some(id), .. } => accepted.then(|| id.clone()),
                // Accepted whatever stands there, nonsense that somebody forged before included.
                Wants::CompatPlace { order_id: id } => (accepted && !forged.order(id)).then(|| id.clone()),
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
        let registered = self.book.entries.iter().filter_map(|entry| match &entry.ask.wants {
            Wants::Register { customer_id, .. } if entry.settled.is_some_and(|status| status < 300) => {
                Some(customer_id.clone())
            }
            _ => None,
        });
        for id in registered.collect::<BTreeSet<String>>() {
            let customer = self.show(&format!("/customers/{id}"));
            shown.customers.insert(id, customer);
        }
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
        for row in self.list("/inventory/skus", "skus")? {
            shown.stock.insert(row["sku"].as_str().unwrap_or_default().to_owned(), row);
        }
        shown.listed = self.list("/orders", "orders")?;
        reference::compare(&self.book.entries, &shown, &self.store, &forged)
            .map_err(|why| format!("the reference model disagrees: {why}"))
    }

    /// Everything that the API lists under a path.
    fn list(&mut self, path: &str, name: &str) -> Result<Vec<Value>, String> {
        let (mut page, mut rows) = (format!("{path}?limit=200"), Vec::new());
        loop {
            let shown = self.show(&page).ok_or_else(|| format!("{page} is not shown"))?;
            rows.extend(shown[name].as_array().cloned().unwrap_or_default());
            match shown["next_token"].as_str() {
                Some(next) => page = format!("{path}?limit=200&next_token={next}"),
                None => return Ok(rows),
            }
        }
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
