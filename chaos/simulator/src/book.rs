//! What clients were told, held against the log: a 2xx is in it, a 4xx is not.

use std::sync::Arc;

use auth::key::ApiKey;
use event_store::memory::MemoryStore;
use event_store::{CatalogViews, CustomerRow, EventLog, Key, Keys, Personal};
use events::{CustomerId, Event, OrderId, ProductId, RecordedEvent, Slot, StreamKey};
use orders::{Closing, Status};
use rustc_hash::FxHashMap;
use views::invariants::{Invariant, Violation};

use crate::ask::{self, Ask, Change, Line, Wants};
use crate::executor::Micros;
use crate::figures::Sometimes;
use crate::holder::Holder;
use crate::ports::at_once;
use crate::sim::Sim;

/// What came back for a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether it is an answer that was given before, under the request's key.
    pub replayed: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// The requests of one run.
pub struct Book {
    sim: Arc<Sim>,
    store: Arc<MemoryStore>,
    /// What the indexes over it show, which may be older.
    indexes: Arc<MemoryStore>,
    /// Each with how often it was sent, and its latest answer.
    pub entries: Vec<Entry>,
    /// What each request appended itself.
    appended: FxHashMap<Arc<str>, Vec<Arc<RecordedEvent>>>,
    /// What is known of each registered person, since somebody told.
    people: FxHashMap<CustomerId, Personal>,
    /// What was not as it was answered.
    pub found: Vec<Violation>,
    /// What was asked and answered under each key, by every request that has it.
    keys: FxHashMap<(Option<Holder>, String), UnderKey>,
    /// Keys that are revoked, and since when that is sure.
    shut: FxHashMap<Holder, Micros>,
}

/// So long something revoked may still open doors.
const STILL_OPEN: Micros = auth::CACHED as Micros * 1_000;

/// How often a client asks that hears in peace that its request is still being carried out: for an hour and more, while
/// whoever died over it had it for a minute, by clocks that may be twenty minutes apart.
const PATIENCE_IN_PEACE: u32 = 400;

/// Whether somebody was rightly let in, or rightly not.
enum Admission {
    /// What was answered is judged like any answer.
    In,
    /// They were turned away, and that is all.
    Out,
    /// They should not have been let in, or not have been turned away.
    Wrong(&'static str),
}

/// What became of a key.
#[derive(Default)]
struct UnderKey {
    /// What was sent: headers and bodies.
    contents: Vec<String>,
    /// When its events were appended.
    appended: Vec<Micros>,
    /// The order that a 2xx named, or the API key.
    named: Option<String>,
    /// The answer that was given again: its status, and its body, or the code of a refusal.
    replayed: Option<(u16, String)>,
}

/// One request, sent once or more often.
pub struct Entry {
    /// The request.
    pub ask: Ask,
    /// How often it was sent.
    pub sent: u32,
    /// Whether the client knows what became of it: the status of a 2xx or 4xx.
    pub settled: Option<u16>,
    /// How things stood when it was sent last.
    then: Then,
    /// Whether that was answered, and not with "not now".
    heard: bool,
}

/// How things stood when a request was sent.
#[derive(Default)]
struct Then {
    at: Micros,
    /// Whether the storm was over.
    in_peace: bool,
    /// Whether the order that it is about was in the log.
    stood: bool,
    /// Whether what it wants could be refused.
    refusable: bool,
    /// The version of the order that it is about.
    version: Option<u32>,
    /// What the things that it orders, or the product that it is about, cost, and how often that had changed.
    costs: Vec<Option<Cost>>,
    /// Whether whoever orders was registered.
    known: bool,
}

/// What something cost at some moment, in hundredths.
#[derive(Clone)]
struct Cost {
    product_id: ProductId,
    minor: i64,
    revision: u32,
}

impl Entry {
    /// Keys are of whoever uses them.
    fn under(&self) -> Option<(Option<Holder>, String)> {
        Some((self.ask.holder.clone(), self.ask.key.clone()?))
    }
}

impl Book {
    /// A book without requests.
    pub fn new(sim: Arc<Sim>, store: Arc<MemoryStore>, indexes: Arc<MemoryStore>) -> Self {
        Book {
            sim,
            store,
            indexes,
            entries: Vec::new(),
            appended: FxHashMap::default(),
            people: FxHashMap::default(),
            found: Vec::new(),
            keys: FxHashMap::default(),
            shut: FxHashMap::default(),
        }
    }

    /// A request that will be sent; gives its number.
    pub fn enter(&mut self, ask: Ask) -> usize {
        self.entries.push(Entry { ask, sent: 0, settled: None, then: Then::default(), heard: false });
        self.entries.len() - 1
    }

    /// A request is sent, under an id of its own.
    pub fn send(&mut self, number: usize) -> String {
        let then = self.now(&self.entries[number].ask);
        let entry = &mut self.entries[number];
        if let Some(key) = entry.under() {
            let under = self.keys.entry(key).or_default();
            // What a change presupposes is part of it.
            let said = format!("{:?} {}", entry.ask.header, entry.ask.body);
            if !under.contents.contains(&said) {
                under.contents.push(said);
            }
        }
        entry.sent += 1;
        entry.then = then;
        entry.heard = false;
        format!("ask-{number}-{}", entry.sent)
    }

    /// How things stand for a request.
    fn now(&self, ask: &Ask) -> Then {
        let mut now = Then {
            at: self.sim.now(),
            in_peace: self.sim.core().peace,
            stood: self.stands(ask),
            ..Then::default()
        };
        match &ask.wants {
            Wants::Place { customer_id, lines, .. } => {
                now.known = self.is_known(customer_id);
                now.costs = lines.iter().map(|line| self.cost(line)).collect();
            }
            Wants::Change { order_id, into } => {
                now.refusable = self.is_refused(order_id, *into);
                now.version = ask.tag().and_then(|_| self.version(order_id));
            }
            Wants::Reprice { product_id, .. } => now.costs = vec![self.latest_price(product_id)],
            _ => {}
        }
        now
    }

    /// A customer's row was written. What is known of a person is what was told first, until they are erased.
    pub fn known(&mut self, row: &CustomerRow) {
        if row.erased || row.personal == Personal::default() {
            return;
        }
        let known = self.people.entry(row.customer_id.clone()).or_insert_with(|| row.personal.clone());
        if *known != row.personal {
            let detail = format!("{} was {known:?}, and is {:?}", row.customer_id, row.personal);
            self.found.push(Violation { invariant: Invariant::Acknowledged, detail });
        }
    }

    /// An event was stored; one without a cause was appended by a request.
    pub fn appended(&mut self, event: &Arc<RecordedEvent>) {
        if event.causation_id.is_none() {
            self.appended.entry(event.correlation_id.clone()).or_default().push(event.clone());
            self.appended_under_a_key(event);
        }
    }

    /// However often a request comes under its key, it leaves one event.
    fn appended_under_a_key(&mut self, event: &RecordedEvent) {
        let asked = event.correlation_id.strip_prefix("ask-").and_then(|rest| rest.split_once('-'));
        let number = asked.and_then(|(number, _)| number.parse::<usize>().ok());
        let Some(key) = number.and_then(|number| self.entries.get(number)?.under()) else { return };
        let under = self.keys.entry(key.clone()).or_default();
        under.appended.push(self.sim.now());
        if under.appended.len() > 1 {
            let detail = format!("under {} a second event was appended: {event:?}", key.1);
            self.found.push(Violation { invariant: Invariant::Repeated, detail });
        }
    }

    /// Under one key everybody is told of one order, and what is answered again is one answer.
    fn told_under_a_key(&mut self, number: usize, answer: &Answer) {
        let entry = &self.entries[number];
        let Some(key) = entry.under() else { return };
        let under = self.keys.entry(key.clone()).or_default();
        if answer.replayed {
            // A problem names the request that it answers.
            let is_refused = answer.status >= 400;
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let told = (answer.status, if is_refused { code_of(answer) } else { body });
            let known = under.replayed.get_or_insert_with(|| told.clone());
            // Of two whose clocks differ, one may refuse what the other is doing; once it is done, that is the answer.
            if known.0 >= 400 && !is_refused && self.sim.core().swarm.skew_ms >= apis::LEASE / 2 {
                known.clone_from(&told);
            }
            if *known != told {
                let detail =
                    format!("under {} the answer {known:?} was given again, and {told:?} was", key.1);
                self.found.push(Violation { invariant: Invariant::Repeated, detail });
            }
        }
        let told = match entry.ask.wants {
            Wants::Place { .. } => order_id_of(answer).map(|id| id.to_string()),
            Wants::MakeKey { .. } => key_id_of(answer),
            _ => None,
        };
        let Some(told) = told.filter(|_| (200..300).contains(&answer.status)) else { return };
        let known = under.named.get_or_insert_with(|| told.clone());
        if *known != told {
            let detail = format!("under {} one was told of {known} and another of {told}", key.1);
            self.found.push(Violation { invariant: Invariant::Repeated, detail });
        }
    }

    fn slot(&self, stream: StreamKey, slot: Slot) -> Option<Arc<RecordedEvent>> {
        at_once(self.store.read_slot(&stream.pk(), &slot.sk())).expect("memory is always there")
    }

    fn placed(&self, order_id: &OrderId) -> Option<Arc<RecordedEvent>> {
        let stored = self.slot(StreamKey::Order(order_id.clone()), Slot::OrderPlaced)?;
        matches!(stored.event(), Ok(Event::OrderPlaced(_))).then_some(stored)
    }

    /// A request was answered. Says whether the client will ask again.
    pub fn answered(&mut self, number: usize, request_id: &str, answer: Option<&Answer>) -> bool {
        if let Some(answer) = answer {
            self.told_under_a_key(number, answer);
        }
        let entry = &self.entries[number];
        let status = answer.map_or(0, |answer| answer.status);
        // Only under a key can somebody else be at it, so few answers have to be read for that.
        let is_keyed = entry.ask.key.is_some() && status == 409;
        let is_running = answer.is_some_and(|answer| is_keyed && code_of(answer) == "request_in_progress");
        let own = self.appended.get(request_id).map_or(&[][..], Vec::as_slice);
        let refused = (400..500).contains(&status);
        let wrong = if refused && !own.is_empty() {
            Some((Invariant::Refused, format!("it was answered {status}, and {own:?} is in the log")))
        } else if own.len() > 1 {
            Some((Invariant::Acknowledged, format!("it left more than one event: {own:?}")))
        } else {
            answer.and_then(|answer| self.judge(entry, answer, own))
        };
        if let Some((invariant, detail)) = wrong {
            let Ask { method, path, body, .. } = &entry.ask;
            let detail = format!("{request_id} {method} {path} {body}: {detail}");
            self.found.push(Violation { invariant, detail });
        }
        if status == 409 && !is_running {
            self.sim.saw(Sometimes::Collided);
        }
        if (200..300).contains(&status) && entry.sent > 1 && own.is_empty() && entry.ask.method != "GET" {
            self.sim.saw(Sometimes::RetryFoundOwn);
        }
        if (200..300).contains(&status)
            && let Some(closed) = self.closes(&self.entries[number].ask)
        {
            self.shut.entry(closed).or_insert(self.sim.now());
        }
        let entry = &mut self.entries[number];
        entry.heard = (200..500).contains(&status) && !is_running;
        // Whoever is turned away who asked before does not learn what became of that.
        let is_shut_out = status == 401 && entry.sent > 1;
        if (200..500).contains(&status) && !is_running && !is_shut_out {
            entry.settled = Some(status);
        }
        let patience = if entry.then.in_peace { PATIENCE_IN_PEACE } else { entry.ask.patience };
        entry.settled.is_none() && !is_shut_out && entry.sent < patience
    }

    /// A request that was put off to the end, although the storm was over when it was sent last.
    pub fn unheard(&self) -> Option<&Ask> {
        let unheard = self.entries.iter().find(|entry| entry.then.in_peace && !entry.heard);
        unheard.map(|entry| &entry.ask)
    }

    /// Whether the log agrees with an answer.
    fn judge(
        &self,
        entry: &Entry,
        answer: &Answer,
        own: &[Arc<RecordedEvent>],
    ) -> Option<(Invariant, String)> {
        let status = answer.status;
        let unless = |holds: bool, invariant, why: &str| {
            (!holds).then(|| (invariant, format!("it was answered {status}, {why}")))
        };
        // The compatibility API knows one word for everything that is broken for now.
        let is_compat = entry.ask.path.starts_with("/api/v1/");
        if status == 503 || (status == 500 && is_compat) {
            // Nothing fails any more, so nobody is put off.
            return unless(!entry.then.in_peace, Invariant::Acknowledged, "and the storm is over");
        }
        if status >= 500 {
            let body = String::from_utf8_lossy(&answer.body);
            return Some((Invariant::Acknowledged, format!("it was answered {status}: {body}")));
        }
        match self.admission(entry, status) {
            Admission::In => {}
            Admission::Out => return None,
            Admission::Wrong(why) => return unless(false, Invariant::Admitted, why),
        }
        if let Some(key) = &entry.under() {
            match &*code_of(answer) {
                "request_in_progress" => return None,
                "idempotency_key_reused" => {
                    let others = self.keys.get(key).is_some_and(|under| under.contents.len() > 1);
                    return unless(others, Invariant::Repeated, "and nothing else was sent under its key");
                }
                // What was done before it was asked is not refused. A refusal that is given again may have been decided
                // before it was done, by one of two whose clocks differ, or while what did it was still on its way.
                _ if status >= 400 && self.had_appended(entry) => {
                    let may_differ = {
                        let swarm = &self.sim.core().swarm;
                        swarm.skew_ms >= apis::LEASE / 2 || swarm.latest() > 0
                    };
                    let is_sure = !(answer.replayed && may_differ);
                    return unless(!is_sure, Invariant::Refused, "and it was done");
                }
                // What was refused before may be allowed by now, and stays refused.
                _ if answer.replayed && status >= 400 => return None,
                _ => {}
            }
        }
        match &entry.ask.wants {
            Wants::Place { order_id, .. } => {
                let named = order_id.clone().or_else(|| order_id_of(answer));
                let stored = named.as_ref().and_then(|id| {
                    let stream = StreamKey::Order(id.clone());
                    self.slot(stream, Slot::OrderPlaced)
                });
                let same = stored.as_ref().is_some_and(|stored| is_what_was_asked(&entry.ask.wants, stored));
                let dear = own.first().and_then(|placed| self.wrong_price(entry, placed));
                match status {
                    201 if dear.is_some() => dear.map(|why| (Invariant::Priced, why)),
                    201 => unless(
                        same && (own.len() == 1 || self.has_appended(entry)),
                        Invariant::Acknowledged,
                        "and is not in the log",
                    ),
                    200 if self.has_appended(entry) => {
                        unless(false, Invariant::Repeated, "as if it were new to whoever asked")
                    }
                    200 => unless(same, Invariant::Acknowledged, "and something else stands there"),
                    409 => unless(
                        stored.is_some() && !same,
                        Invariant::Repeated,
                        "and nothing else stands there",
                    ),
                    // It may have come to stand there while whoever was refused was told so.
                    422 if same && entry.then.stood => {
                        unless(false, Invariant::Repeated, "and it stands there")
                    }
                    422 => unless(
                        self.is_unknown(entry, &code_of(answer)),
                        Invariant::Refused,
                        "though nothing is wrong with it",
                    ),
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            Wants::CompatPlace { order_id } => {
                let stream = StreamKey::Order(order_id.clone());
                let taken = self.slot(stream, Slot::OrderPlaced).is_some();
                let other = own.iter().any(|placed| !is_what_was_said(&entry.ask, placed));
                unless(
                    status == 202 && taken && !other,
                    Invariant::Acknowledged,
                    "and the order is not in the log, or another one",
                )
            }
            Wants::Change { order_id, into } => match status {
                200 | 202 => {
                    // What is stored counts, unless somebody forges an event of the same decision in the meantime.
                    let is_stored =
                        (!own.is_empty() || self.has_appended(entry)) && self.is_by_hand(order_id);
                    let holds = is_stored || self.is_so(order_id, *into);
                    if let Some(stored) = own.first().filter(|stored| !is_change(&entry.ask, *into, stored)) {
                        return unless(
                            false,
                            Invariant::Acknowledged,
                            &format!("and what is stored is {stored:?}"),
                        );
                    }
                    // Versions only grow.
                    let tag = entry.ask.tag().filter(|_| !own.is_empty());
                    if tag.is_some_and(|tag| entry.then.version.is_some_and(|then| then > tag)) {
                        return unless(false, Invariant::Acknowledged, "though its version was gone before");
                    }
                    unless(holds, Invariant::Acknowledged, "and the log says no")
                }
                404 => unless(!entry.then.stood, Invariant::Acknowledged, "though the order was there"),
                // It was looked at between the sending and the answer, so one of the two saw what it saw, unless what
                // it wants was refused, allowed and refused again, or nothing could be read there.
                409 => unless(
                    entry.then.refusable || self.is_refused(order_id, *into),
                    Invariant::Acknowledged,
                    "though nothing stood in its way",
                ),
                412 => {
                    let versions = [entry.then.version, self.version(order_id)];
                    let is_other = entry.ask.tag().is_some_and(|tag| versions != [Some(tag); 2]);
                    unless(is_other, Invariant::Acknowledged, "and what was presupposed was so all the time")
                }
                _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
            },
            Wants::CompatRestock { sku, units, lot_id } => {
                let lot = events::LotId::recorded(lot_id).ok()?;
                let there = self.slot(StreamKey::Sku(sku.clone()), Slot::SkuRestocked(lot)).is_some();
                unless(
                    status == 202 && there && own.iter().all(|event| is_lot_of(event, *units)),
                    Invariant::Acknowledged,
                    "and the lot is not in the log, or another one",
                )
            }
            Wants::Restock { sku, units, lot_id } => {
                let lot = events::LotId::recorded(lot_id).ok()?;
                let stored = self.slot(StreamKey::Sku(sku.clone()), Slot::SkuRestocked(lot));
                let same = stored.as_ref().is_some_and(|stored| is_lot_of(stored, *units));
                match status {
                    202 => unless(same, Invariant::Acknowledged, "and another lot stands there, or none"),
                    409 => unless(
                        stored.is_some() && !same,
                        Invariant::Repeated,
                        "and the same lot stands there",
                    ),
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            Wants::Register { customer_id, personal: told } => {
                let id = events::CustomerId::recorded(customer_id).ok()?;
                let stream = StreamKey::Customer(id.clone());
                let there = self.slot(stream.clone(), Slot::CustomerRegistered).is_some();
                let erased = self.slot(stream, Slot::CustomerErased).is_some();
                // Whoever told first is believed; whoever registered them is shown what was told.
                let otherwise = self.is_told_otherwise(customer_id, told);
                let is_usual = match &*code_of(answer) {
                    "customer_exists" => otherwise,
                    "customer_erased" => erased,
                    _ => status == 201 || (status == 200 && !self.has_appended(entry)),
                };
                let row = at_once(self.store.customer(&id)).expect("memory is always there");
                let known = row.map(|row| row.personal).unwrap_or_default();
                let says_nothing = *told == Personal::default();
                let may_differ = otherwise && known != Personal::default() && (status == 201 || says_nothing);
                let is_known = known == *told || may_differ;
                // An answer that is kept does not say who somebody is.
                let shown = Some(personal_in(answer)).filter(|_| status < 300 && !answer.replayed);
                // Who says nothing of a person is not shown what others say meanwhile.
                let is_shown = shown.is_none_or(|shown| shown == known || (says_nothing && shown == *told));
                if !is_usual || !there {
                    return unless(false, Invariant::Acknowledged, "and is not in the log");
                }
                let holds = status >= 400 || erased || (is_known && is_shown);
                unless(holds, Invariant::Acknowledged, &format!("and what is known of them is {known:?}"))
            }
            Wants::Erase { customer_id } => {
                let id = events::CustomerId::recorded(customer_id).ok()?;
                let erased = self.slot(StreamKey::Customer(id.clone()), Slot::CustomerErased).is_some();
                let row = at_once(self.store.customer(&id)).expect("memory is always there");
                let is_gone = row.is_some_and(|row| row.erased && row.personal == Personal::default());
                match status {
                    200 => unless(erased && is_gone, Invariant::Acknowledged, "and is not erased"),
                    404 => unless(!entry.then.stood, Invariant::Acknowledged, "though it was registered"),
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            Wants::List { product_id, sku, minor, name } => {
                let id = events::ProductId::recorded(product_id).ok()?;
                let stored = self.slot(StreamKey::Product(id), Slot::ProductListed);
                let same = stored.as_ref().is_some_and(|stored| {
                    matches!(stored.event(), Ok(Event::ProductListed(listed))
                        if listed.sku == *sku && listed.price.minor() == *minor
                            && listed.name == *name && listed.currency.as_str() == ask::CURRENCY)
                });
                match status {
                    200 | 201 => {
                        unless(same, Invariant::Acknowledged, "and another product stands there, or none")
                    }
                    409 => {
                        let is_taken = (stored.is_some() && !same)
                            || self.is_withdrawn(product_id)
                            || self.is_sold(sku, product_id);
                        unless(is_taken, Invariant::Repeated, "and nothing stands in its way")
                    }
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            Wants::Reprice { product_id, minor } => {
                let id = events::ProductId::recorded(product_id).ok()?;
                let withdrawn = self.is_withdrawn(product_id);
                let is_it = |event: &Arc<RecordedEvent>| matches!(event.event(), Ok(Event::ProductRepriced(set)) if set.price.minor() == *minor);
                let costs_so = if own.is_empty() {
                    self.costs_since(&id, *minor, entry, answer)
                } else {
                    own.iter().all(is_it)
                };
                match status {
                    200 => unless(costs_so, Invariant::Acknowledged, "and it does not cost that"),
                    409 => unless(withdrawn, Invariant::Acknowledged, "though nothing stood in its way"),
                    404 => unless(!entry.then.stood, Invariant::Acknowledged, "though it was listed"),
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            // Of somebody who is not erased yet when it is asked for; whoever erases them takes it away.
            Wants::MakeKey { customer_id } => match status {
                201 => {
                    // A repeat is told what an earlier try did.
                    let stands = entry.then.stood || answer.replayed;
                    let made = answer.replayed || self.is_shown_key(answer, customer_id);
                    let holds = stands && (made || self.is_forgotten(customer_id));
                    unless(holds, Invariant::Admitted, "and the customer is erased, or there is no key")
                }
                409 => {
                    let why = "though the customer is not erased";
                    unless(self.is_erased(customer_id), Invariant::Refused, why)
                }
                _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
            },
            Wants::Revoke { holder } => {
                let revoked = status == 200 && !self.is_good(holder);
                unless(revoked, Invariant::Acknowledged, "and the key is good")
            }
            Wants::Withdraw { product_id } => {
                let there = self.is_withdrawn(product_id);
                match status {
                    200 => unless(there, Invariant::Acknowledged, "and it can still be ordered"),
                    404 => unless(!entry.then.stood, Invariant::Acknowledged, "though it was listed"),
                    _ => unless(false, Invariant::Acknowledged, "which makes no sense"),
                }
            }
            Wants::Raw { pk, sk } => {
                let there = at_once(self.store.read_slot(pk, sk)).is_ok_and(|stored| stored.is_some());
                let other = own.iter().any(|event| !is_what_was_said(&entry.ask, event));
                unless(
                    status == 202 && there && !other,
                    Invariant::Acknowledged,
                    "and is not in the log, or something else",
                )
            }
            Wants::ReadOrder { order_id } => {
                let is_shown = status == 200 && order_id_of(answer).as_ref() == Some(order_id);
                let hidden = entry.then.stood || status != 404;
                unless(is_shown || !hidden, Invariant::Acknowledged, &format!("though {order_id} was there"))
            }
            Wants::Read => {
                let is_usual = status == 200 || (status == 404 && !entry.then.stood);
                unless(is_usual, Invariant::Acknowledged, "which makes no sense").or_else(|| {
                    let why = "with somebody else's order";
                    unless(!shows_others(entry, answer), Invariant::Admitted, why)
                })
            }
        }
    }

    /// Whether a request appended something, this time or another that it came under its key.
    fn has_appended(&self, entry: &Entry) -> bool {
        entry.under().and_then(|key| self.keys.get(&key)).is_some_and(|under| !under.appended.is_empty())
    }

    /// Whether it had done so before it was sent the last time.
    fn had_appended(&self, entry: &Entry) -> bool {
        let under = entry.under().and_then(|key| self.keys.get(&key));
        under.is_some_and(|under| under.appended.iter().any(|at| *at < entry.then.at))
    }

    /// The version of an order.
    fn version(&self, order_id: &OrderId) -> Option<u32> {
        let stream = at_once(self.store.read_stream(&StreamKey::Order(order_id.clone()).pk()));
        views::project::order_rows(&stream.expect("memory is always there")).map(|rows| rows.order.seen)
    }

    /// Whether what a request is about is in the log.
    fn stands(&self, ask: &Ask) -> bool {
        let is_placed = || ask.order().is_some_and(|order_id| self.placed(&order_id).is_some());
        match &ask.wants {
            Wants::ReadOrder { .. } | Wants::Change { .. } => is_placed(),
            // What is shown of an order, and of somebody; a payment and a delivery come to be later.
            Wants::Read => match ask.path.split('/').collect::<Vec<_>>()[..] {
                ["", "orders", _, "events"] => is_placed(),
                ["", "customers", id] => self.is_known(id),
                _ => false,
            },
            Wants::Reprice { product_id, .. } | Wants::Withdraw { product_id } => self.listed(product_id),
            Wants::Erase { customer_id } => CustomerId::recorded(customer_id)
                .is_ok_and(|id| self.slot(StreamKey::Customer(id), Slot::CustomerRegistered).is_some()),
            Wants::MakeKey { customer_id } => !self.is_erased(customer_id),
            Wants::Place { order_id: Some(id), .. } => {
                self.placed(id).is_some_and(|placed| is_what_was_asked(&ask.wants, &placed))
            }
            _ => false,
        }
    }

    /// Whether the log says that somebody was erased.
    fn is_erased(&self, customer_id: &str) -> bool {
        let id = CustomerId::recorded(customer_id).ok();
        id.is_some_and(|id| self.slot(StreamKey::Customer(id), Slot::CustomerErased).is_some())
    }

    /// Whether somebody asked for the end of what a customer can act by, registered or not.
    fn is_forgotten(&self, customer_id: &str) -> bool {
        self.entries.iter().filter(|other| other.sent > 0).any(
            |other| matches!(&other.ask.wants, Wants::Erase { customer_id: whose } if whose == customer_id),
        )
    }

    /// Customers who were erased, and whoever asked for it was told so.
    pub fn erased(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.settled == Some(200)).filter_map(|entry| {
            match &entry.ask.wants {
                Wants::Erase { customer_id } => Some(customer_id.as_str()),
                _ => None,
            }
        })
    }

    /// Whether somebody else told something else of the same customer.
    fn is_told_otherwise(&self, id: &str, told: &Personal) -> bool {
        self.entries.iter().filter(|other| other.sent > 0).any(|other| {
            matches!(&other.ask.wants, Wants::Register { customer_id, personal }
                if customer_id == id && personal != told && *personal != Personal::default())
        })
    }

    /// Whether somebody can have listed a product under this id.
    fn listed(&self, product_id: &str) -> bool {
        let id = ProductId::recorded(product_id).ok();
        id.is_some_and(|id| self.slot(StreamKey::Product(id), Slot::ProductListed).is_some())
    }

    /// Whether a product is off the list.
    fn is_withdrawn(&self, product_id: &str) -> bool {
        let id = ProductId::recorded(product_id).ok();
        id.is_some_and(|id| self.slot(StreamKey::Product(id), Slot::ProductWithdrawn).is_some())
    }

    /// Whether some other product sells, or sold, a SKU.
    fn is_sold(&self, sku: &events::Sku, by_another_than: &str) -> bool {
        self.entries.iter().any(|other| match &other.ask.wants {
            Wants::List { product_id, sku: sold, .. } => {
                sold == sku && product_id != by_another_than && self.listed(product_id)
            }
            _ => false,
        })
    }

    /// Whether somebody may order.
    fn is_known(&self, customer_id: &str) -> bool {
        let row = CustomerId::recorded(customer_id).ok().and_then(|id| {
            let row = at_once(self.store.customer(&id));
            row.expect("memory is always there")
        });
        row.is_some_and(|row| !row.erased)
    }

    /// Whether what an order was refused for was so when it was asked for, or is now.
    fn is_unknown(&self, entry: &Entry, code: &str) -> bool {
        let Wants::Place { customer_id, lines, .. } = &entry.ask.wants else { return false };
        let nobody = !entry.then.known || !self.is_known(customer_id);
        let nothing = entry.then.costs.iter().any(Option::is_none)
            || lines.iter().any(|line| self.cost(line).is_none());
        // What is withdrawn may have been shown before, and be sold by another product since.
        let withdrawn = || {
            let is_one = |other: &Entry| {
                matches!(&other.ask.wants, Wants::List { product_id, sku, .. }
                if lines.iter().any(|(of, _)| of == sku) && self.is_withdrawn(product_id))
            };
            self.entries.iter().any(is_one)
        };
        match code {
            "unknown_customer" => nobody,
            "unknown_sku" => nothing || withdrawn(),
            _ => false,
        }
    }

    /// What a product costs now.
    fn latest_price(&self, product_id: &str) -> Option<Cost> {
        let id = ProductId::recorded(product_id).ok()?;
        self.prices(&id).into_iter().max_by_key(|cost| cost.revision)
    }

    /// Whether a product cost that when somebody asked for this price, or since; then nothing had to be written. Of
    /// whoever asks again, an earlier request may have written it.
    fn costs_since(&self, id: &ProductId, minor: i64, entry: &Entry, answer: &Answer) -> bool {
        let is_keyed = entry.ask.key.is_some();
        let asked_before = answer.replayed || self.has_appended(entry) || (entry.sent > 1 && !is_keyed);
        let then = entry.then.costs.first().and_then(Option::as_ref).filter(|_| !asked_before);
        let since = then.map_or(0, |cost| cost.revision);
        self.prices(id).iter().any(|cost| cost.minor == minor && cost.revision >= since)
    }

    /// Whether somebody's key is there, and nobody revoked it.
    fn is_good(&self, holder: &Holder) -> bool {
        self.good_key(&holder.key_id()).is_some()
    }

    /// The key of an id, unless somebody revoked it.
    fn good_key(&self, key_id: &str) -> Option<Key> {
        let key = at_once(self.store.key(key_id)).expect("memory is always there");
        key.filter(|key| key.row.revoked_at.is_none())
    }

    /// Whether an answer shows a key that is there, acts for this customer, and opens.
    fn is_shown_key(&self, answer: &Answer, customer_id: &str) -> bool {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(shown) = body["api_key"].as_str().and_then(ApiKey::read) else { return false };
        self.good_key(shown.id).is_some_and(|key| {
            let acts_for = key.row.customer_id.as_ref().map(CustomerId::as_str);
            shown.is(&key.secret_hash) && acts_for == Some(customer_id)
        })
    }

    /// Whose key a request makes good for nothing, if it may.
    fn closes(&self, ask: &Ask) -> Option<Holder> {
        let closed = match &ask.wants {
            Wants::Revoke { holder } => holder.clone(),
            Wants::Erase { customer_id } => Holder::Customer(customer_id.clone()),
            _ => return None,
        };
        self.may(ask)?.then_some(closed)
    }

    /// Whether whoever asks may; `None` where that cannot be said.
    fn may(&self, ask: &Ask) -> Option<bool> {
        let holder = ask.holder.as_ref()?;
        let Some(order_id) = ask.order() else { return holder.may(ask, |_| false) };
        let pk = StreamKey::Order(order_id).pk();
        let stream = at_once(self.store.read_stream(&pk)).expect("memory is always there");
        // Whose it is may be what somebody forged.
        if views::invariants::has_raw_events(&stream) {
            return None;
        }
        let facts = orders::fold(stream.iter().map(|item| &**item));
        let whose = facts.placed.what().map(|placed| placed.customer_id.as_str());
        holder.may(ask, |own| whose == Some(own))
    }

    fn admission(&self, entry: &Entry, status: u16) -> Admission {
        let Some(holder) = &entry.ask.holder else { return Admission::In };
        let may = self.may(&entry.ask);
        if matches!(status, 401 | 403) {
            // Whoever tried to make it good for nothing may have failed.
            let is_good = self.is_good(holder);
            if !is_good && status == 401 {
                self.sim.saw(Sometimes::TurnedAway);
            }
            let is_out = may != Some(true) || !is_good;
            return if is_out { Admission::Out } else { Admission::Wrong("though its key is good") };
        }
        // There is a catalogue that everybody may read.
        if let (Some(shut), Some(_)) = (self.shut.get(holder), may) {
            if entry.then.at >= shut + STILL_OPEN {
                return Admission::Wrong("though its key was revoked more than a minute before");
            }
            if entry.then.at > *shut {
                self.sim.saw(Sometimes::StillOpen);
            }
        }
        match may {
            Some(false) if status < 300 => Admission::Wrong("though it was not theirs to ask"),
            Some(false) => Admission::Out,
            // Perhaps it is not theirs: what is not is as if it were not there.
            None if status == 404 => Admission::Out,
            Some(true) | None => Admission::In,
        }
    }

    /// What a product has cost so far.
    fn prices(&self, id: &ProductId) -> Vec<Cost> {
        let stream = at_once(self.store.read_stream(&StreamKey::Product(id.clone()).pk()));
        let stream = stream.expect("memory is always there");
        let cost = |item: &Arc<RecordedEvent>| {
            let (price, revision) = match item.event() {
                Ok(Event::ProductListed(listed)) => (listed.price, 0),
                Ok(Event::ProductRepriced(set)) => (set.price, set.revision),
                _ => return None,
            };
            Some(Cost { product_id: id.clone(), minor: price.minor(), revision })
        };
        stream.iter().filter_map(cost).collect()
    }

    /// What somebody who orders now is asked for one of these; the earliest price that it can be. Indexes only move on, so
    /// it is no earlier than the one that they show.
    fn cost(&self, (sku, _): &Line) -> Option<Cost> {
        let row = at_once(self.indexes.product_by_sku(sku)).expect("memory is always there")?;
        let of_now = self.prices(&row.product_id).into_iter().filter(|cost| cost.minor == row.price.minor());
        of_now.min_by_key(|cost| cost.revision)
    }

    /// Why an order costs what it should not, if it does.
    fn wrong_price(&self, entry: &Entry, placed: &RecordedEvent) -> Option<String> {
        let (Ok(Event::OrderPlaced(placed)), Wants::Place { lines, .. }) = (placed.event(), &entry.ask.wants)
        else {
            return None;
        };
        lines.iter().zip(&entry.then.costs).find_map(|((sku, _), then)| {
            let then = then.as_ref()?;
            let asked = placed.items.iter().find(|line| line.sku == *sku)?.unit_price?.minor();
            let since = self.prices(&then.product_id).into_iter();
            let since = since.filter(|cost| cost.revision > then.revision).map(|cost| cost.minor);
            // Of a product that took its place, every price.
            let others = self.entries.iter().filter_map(|other| match &other.ask.wants {
                Wants::List { product_id, sku: of, .. } if of == sku => ProductId::recorded(product_id).ok(),
                _ => None,
            });
            let others =
                others.filter(|id| *id != then.product_id && self.is_withdrawn(then.product_id.as_str()));
            let others = others.flat_map(|id| self.prices(&id)).map(|cost| cost.minor);
            let mut fair = since.chain([then.minor]).chain(others);
            if then.revision > 0 {
                self.sim.saw(Sometimes::Repriced);
            }
            let cheated = fair.all(|minor| minor != asked);
            cheated.then(|| {
                format!("{sku} was sold for {asked} when it cost {} or what it cost later", then.minor)
            })
        })
    }

    /// Whether an order's facts, as they are now, refuse what somebody asks of it: it has another end, or is not
    /// there yet. What is so already is no reason to refuse.
    fn is_refused(&self, order_id: &OrderId, into: Change) -> bool {
        let pk = StreamKey::Order(order_id.clone()).pk();
        let stream = at_once(self.store.read_stream(&pk)).expect("memory is always there");
        let facts = orders::fold(stream.iter().map(|item| &**item));
        let by_hand = views::invariants::has_raw_events(&stream);
        let Some(status) = orders::status(&facts) else { return true };
        by_hand
            || match into {
                Change::Cancelled => facts.is_shipped() || status == Status::Delivered,
                Change::Shipped => !matches!(status, Status::Paid | Status::Shipped),
                Change::Delivered => !matches!(status, Status::Shipped | Status::Delivered),
                Change::Paid => {
                    !matches!(status, Status::Confirmed | Status::Paid) || facts.manual_payment.is_settled()
                }
            }
    }

    /// Whether somebody wrote into an order's stream.
    fn is_by_hand(&self, order_id: &OrderId) -> bool {
        let stream = at_once(self.store.read_stream(&StreamKey::Order(order_id.clone()).pk()));
        views::invariants::has_raw_events(&stream.expect("memory is always there"))
    }

    /// Whether the log agrees that an order is, or was and now is more, what somebody asked for.
    fn is_so(&self, order_id: &OrderId, into: Change) -> bool {
        let pk = StreamKey::Order(order_id.clone()).pk();
        let stream = at_once(self.store.read_stream(&pk)).expect("memory is always there");
        let facts = orders::fold(stream.iter().map(|item| &**item));
        let status = orders::status(&facts);
        match into {
            Change::Cancelled => status == Some(Status::Cancelled),
            Change::Shipped => facts.is_shipped(),
            Change::Delivered => facts.delivery.is_settled(),
            Change::Paid => {
                facts.manual_payment.is_settled()
                    || facts.is_paid()
                    || matches!(facts.closing.what(), Some(Closing::Cancelled(_)))
            }
        }
    }
}

/// Whether a customer is shown orders that are not theirs.
fn shows_others(entry: &Entry, answer: &Answer) -> bool {
    let Some(Holder::Customer(own)) = &entry.ask.holder else { return false };
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let orders = body["orders"].as_array().into_iter().flatten();
    orders.filter_map(|order| order["customer_id"].as_str()).any(|customer| customer != own)
}

/// Whether an event that was stored for an older system's client, or for somebody who writes by hand, says what they
/// said.
fn is_what_was_said(ask: &Ask, stored: &RecordedEvent) -> bool {
    let said: serde_json::Value = serde_json::from_str(&ask.body).unwrap_or_default();
    if let Wants::Raw { pk, sk } = &ask.wants {
        let data = match &said["data"] {
            serde_json::Value::String(text) => *text == *stored.data,
            // The next version says more.
            data => serde_json::from_str::<serde_json::Value>(&stored.data).is_ok_and(|kept| {
                let fields = data.as_object().into_iter().flatten();
                fields.into_iter().all(|(name, value)| kept[name] == *value)
            }),
        };
        return (&*stored.pk, &*stored.sk) == (pk, sk) && said["event_name"] == *stored.event_name && data;
    }
    let Ok(Event::OrderPlaced(placed)) = stored.event() else { return false };
    let [line] = &placed.items[..] else { return false };
    let cost = said["price"].as_f64().map(|price| (price * 100.0).round() as i64);
    said["sku"] == line.sku.as_str()
        && said["units"] == line.quantity.get()
        && said["userId"] == placed.customer_id.as_str()
        && cost == Some(placed.total.minor())
}

/// Whether an event is the change that a request asks for, with everything that it says of it.
fn is_change(ask: &Ask, into: Change, stored: &RecordedEvent) -> bool {
    let is_it = matches!(
        (into, stored.event()),
        (Change::Paid, Ok(Event::ManualPaymentRecorded(_)))
            | (Change::Shipped, Ok(Event::OrderShipped(_)))
            | (Change::Delivered, Ok(Event::OrderDelivered(_)))
            | (Change::Cancelled, Ok(Event::OrderCancelled(_)))
    );
    let said: serde_json::Value = serde_json::from_str(&ask.body).unwrap_or_default();
    let kept: serde_json::Value = serde_json::from_str(&stored.data).unwrap_or_default();
    let told = ["reference", "carrier", "tracking", "reason"];
    is_it && told.into_iter().all(|field| said[field].is_null() || said[field] == kept[field])
}

/// Whether an event announces a lot of so many units.
fn is_lot_of(event: &RecordedEvent, units: u32) -> bool {
    matches!(event.event(), Ok(Event::SkuRestocked(lot)) if lot.units.get() == units)
}

/// Who somebody is, by an answer.
fn personal_in(answer: &Answer) -> Personal {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = |field: &str| body[field].as_str().map(str::to_owned);
    Personal { name: said("name"), email: said("email"), address: said("address") }
}

fn code_of(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

fn key_id_of(answer: &Answer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    body["key_id"].as_str().map(str::to_owned)
}

fn order_id_of(answer: &Answer) -> Option<OrderId> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    OrderId::recorded(body["order_id"].as_str()?).ok()
}

/// Whether a stored event is the order that was asked for.
pub(crate) fn is_what_was_asked(wants: &Wants, stored: &RecordedEvent) -> bool {
    let (Wants::Place { customer_id, lines, express, .. }, Ok(Event::OrderPlaced(placed))) =
        (wants, stored.event())
    else {
        return false;
    };
    let lane = if *express { events::Priority::Express } else { events::Priority::Standard };
    // Lines have no order.
    let said = |(sku, units): &(events::Sku, u32)| {
        placed.items.iter().any(|line| line.sku == *sku && line.quantity.get() == *units)
    };
    placed.customer_id.as_str() == customer_id
        && placed.priority == lane
        && placed.items.len() == lines.len()
        && lines.iter().all(said)
}
