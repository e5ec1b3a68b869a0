//! What clients were told, held against the log: a 2xx is in it, a 4xx is not.

mod doors;
mod judge;
mod log;
mod said;

use std::sync::Arc;

use event_store::memory::MemoryStore;
use event_store::{CustomerRow, Personal};
use events::{CustomerId, ProductId, RecordedEvent};
use rustc_hash::FxHashMap;
use views::invariants::{Invariant, Violation};

use crate::ask::{Ask, Wants};
use crate::executor::Micros;
use crate::figures::Sometimes;
use crate::holder::Holder;
use crate::sim::Sim;
use judge::Case;
use said::{code_of, key_id_of, order_id_of};

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

/// How often a client asks that hears in peace that its request is still being carried out: for an hour and more, while
/// whoever died over it had it for a minute, by clocks that may be twenty minutes apart.
const PATIENCE_IN_PEACE: u32 = 400;

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
            answer.and_then(|answer| self.judge(&Case { entry, answer, own }))
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

    /// Whether a request appended something, this time or another that it came under its key.
    fn has_appended(&self, entry: &Entry) -> bool {
        entry.under().and_then(|key| self.keys.get(&key)).is_some_and(|under| !under.appended.is_empty())
    }

    /// Whether it had done so before it was sent the last time.
    fn had_appended(&self, entry: &Entry) -> bool {
        let under = entry.under().and_then(|key| self.keys.get(&key));
        under.is_some_and(|under| under.appended.iter().any(|at| *at < entry.then.at))
    }
}
