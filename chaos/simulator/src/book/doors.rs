//! Who was rightly let in.

use auth::key::ApiKey;
use event_store::{EventLog, Key, Keys};
use events::{CustomerId, StreamKey};

use super::{Answer, Book, Entry};
use crate::ask::{Ask, Wants};
use crate::executor::Micros;
use crate::figures::Sometimes;
use crate::holder::Holder;
use crate::ports::at_once;

/// So long something revoked may still open doors.
const STILL_OPEN: Micros = auth::CACHED as Micros * 1_000;

/// Whether somebody was rightly let in, or rightly not.
pub(super) enum Admission {
    /// What was answered is judged like any answer.
    In,
    /// They were turned away, and that is all.
    Out,
    /// They should not have been let in, or not have been turned away.
    Wrong(&'static str),
}

impl Book {
    /// Whether somebody's key is there, and nobody revoked it.
    pub(super) fn is_good(&self, holder: &Holder) -> bool {
        self.good_key(&holder.key_id()).is_some()
    }

    /// The key of an id, unless somebody revoked it.
    fn good_key(&self, key_id: &str) -> Option<Key> {
        let key = at_once(self.store.key(key_id)).expect("memory is always there");
        key.filter(|key| key.row.revoked_at.is_none())
    }

    /// Whether an answer shows a key that is there, acts for this customer, and opens.
    pub(super) fn is_shown_key(&self, answer: &Answer, customer_id: &str) -> bool {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(shown) = body["api_key"].as_str().and_then(ApiKey::read) else { return false };
        self.good_key(shown.id).is_some_and(|key| {
            let acts_for = key.row.customer_id.as_ref().map(CustomerId::as_str);
            shown.is(&key.secret_hash) && acts_for == Some(customer_id)
        })
    }

    /// Whose key a request makes good for nothing, if it may.
    pub(super) fn closes(&self, ask: &Ask) -> Option<Holder> {
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

    pub(super) fn admission(&self, entry: &Entry, status: u16) -> Admission {
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
}
