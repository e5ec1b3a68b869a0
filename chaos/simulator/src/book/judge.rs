//! Whether the log agrees with an answer.

use std::sync::Arc;

use event_store::{CatalogViews, EventLog, Personal};
use events::{CustomerId, Event, LotId, OrderId, ProductId, RecordedEvent, Sku, Slot, StreamKey};
use views::invariants::Invariant;

use super::doors::Admission;
use super::said::{
    code_of, is_change, is_lot_of, is_what_was_asked, is_what_was_said, order_id_of, personal_in,
    shows_others,
};
use super::{Answer, Book, Entry};
use crate::ask::{self, Change, Wants};
use crate::holder::Holder;
use crate::ports::at_once;

/// An answer to a request, and what that request appended itself.
pub(super) struct Case<'a> {
    pub(super) entry: &'a Entry,
    pub(super) answer: &'a Answer,
    pub(super) own: &'a [Arc<RecordedEvent>],
}

/// What is wrong with an answer, if anything is.
pub(super) type Verdict = Option<(Invariant, String)>;

impl Case<'_> {
    /// Nothing, where it holds.
    fn unless(&self, holds: bool, invariant: Invariant, why: &str) -> Verdict {
        (!holds).then(|| (invariant, format!("it was answered {}, {why}", self.answer.status)))
    }

    fn is_acknowledged(&self, holds: bool, why: &str) -> Verdict {
        self.unless(holds, Invariant::Acknowledged, why)
    }

    fn senseless(&self) -> Verdict {
        self.is_acknowledged(false, "which makes no sense")
    }

    /// Who is told that something is not there; it was not there when they asked.
    fn is_missing(&self, why: &str) -> Verdict {
        self.is_acknowledged(!self.entry.then.stood, why)
    }
}

impl Book {
    pub(super) fn judge(&self, case: &Case) -> Verdict {
        if let Some(verdict) = self.before_it_is_read(case) {
            return verdict;
        }
        match &case.entry.ask.wants {
            Wants::Place { order_id, .. } => self.judge_order(case, order_id.as_ref()),
            Wants::CompatPlace { order_id } => self.judge_older_order(case, order_id),
            Wants::Change { order_id, into } => self.judge_change(case, order_id, *into),
            Wants::Restock { sku, units, lot_id } => self.judge_lot(case, sku, *units, lot_id),
            Wants::CompatRestock { sku, units, lot_id } => self.judge_older_lot(case, sku, *units, lot_id),
            Wants::Register { customer_id, personal } => self.judge_registration(case, customer_id, personal),
            Wants::Erase { customer_id } => self.judge_erasure(case, customer_id),
            Wants::List { product_id, sku, minor, name } => {
                self.judge_listing(case, product_id, sku, *minor, name)
            }
            Wants::Reprice { product_id, minor } => self.judge_price(case, product_id, *minor),
            Wants::Withdraw { product_id } => self.judge_withdrawal(case, product_id),
            Wants::MakeKey { customer_id } => self.judge_key(case, customer_id),
            Wants::Revoke { holder } => self.judge_revocation(case, holder),
            Wants::Raw { pk, sk } => self.judge_raw_event(case, pk, sk),
            Wants::ReadOrder { order_id } => {
                let is_shown =
                    case.answer.status == 200 && order_id_of(case.answer).as_ref() == Some(order_id);
                let hidden = case.entry.then.stood || case.answer.status != 404;
                case.is_acknowledged(is_shown || !hidden, &format!("though {order_id} was there"))
            }
            Wants::Read => {
                let status = case.answer.status;
                let is_usual = status == 200 || (status == 404 && !case.entry.then.stood);
                let others = shows_others(case.entry, case.answer);
                if is_usual {
                    case.unless(!others, Invariant::Admitted, "with somebody else's order")
                } else {
                    case.senseless()
                }
            }
        }
    }

    /// What can be said of an answer whatever was asked for: of who was put off or turned away, and of what is answered
    /// again. `None` where it has to be read.
    fn before_it_is_read(&self, case: &Case) -> Option<Verdict> {
        let Case { entry, answer, .. } = case;
        let status = answer.status;
        // The compatibility API knows one word for everything that is broken for now.
        let is_compat = entry.ask.path.starts_with("/api/v1/");
        if status == 503 || (status == 500 && is_compat) {
            // Nothing fails any more, so nobody is put off.
            return Some(case.is_acknowledged(!entry.then.in_peace, "and the storm is over"));
        }
        if status >= 500 {
            let body = String::from_utf8_lossy(&answer.body);
            return Some(Some((Invariant::Acknowledged, format!("it was answered {status}: {body}"))));
        }
        match self.admission(entry, status) {
            Admission::In => {}
            Admission::Out => return Some(None),
            Admission::Wrong(why) => return Some(case.unless(false, Invariant::Admitted, why)),
        }
        let key = entry.under()?;
        match &*code_of(answer) {
            "request_in_progress" => Some(None),
            "idempotency_key_reused" => {
                let others = self.keys.get(&key).is_some_and(|under| under.contents.len() > 1);
                Some(case.unless(others, Invariant::Repeated, "and nothing else was sent under its key"))
            }
            // What was done before it was asked is not refused. A refusal that is given again may have been decided
            // before it was done, by one of two whose clocks differ, or while what did it was still on its way.
            _ if status >= 400 && self.had_appended(entry) => {
                let may_differ = {
                    let swarm = &self.sim.core().swarm;
                    swarm.skew_ms >= apis::LEASE / 2 || swarm.latest() > 0
                };
                let is_sure = !(answer.replayed && may_differ);
                Some(case.unless(!is_sure, Invariant::Refused, "and it was done"))
            }
            // What was refused before may be allowed by now, and stays refused.
            _ if answer.replayed && status >= 400 => Some(None),
            _ => None,
        }
    }

    fn judge_order(&self, case: &Case, order_id: Option<&OrderId>) -> Verdict {
        let Case { entry, answer, own } = case;
        let named = order_id.cloned().or_else(|| order_id_of(answer));
        let stored = named.and_then(|id| self.slot(StreamKey::Order(id), Slot::OrderPlaced));
        let same = stored.as_ref().is_some_and(|stored| is_what_was_asked(&entry.ask.wants, stored));
        let dear = own.first().and_then(|placed| self.wrong_price(entry, placed));
        match answer.status {
            201 if dear.is_some() => dear.map(|why| (Invariant::Priced, why)),
            201 => {
                let is_theirs = own.len() == 1 || self.has_appended(entry);
                case.is_acknowledged(same && is_theirs, "and is not in the log")
            }
            200 if self.has_appended(entry) => {
                case.unless(false, Invariant::Repeated, "as if it were new to whoever asked")
            }
            200 => case.is_acknowledged(same, "and something else stands there"),
            409 => {
                let other = stored.is_some() && !same;
                case.unless(other, Invariant::Repeated, "and nothing else stands there")
            }
            // It may have come to stand there while whoever was refused was told so.
            422 if same && entry.then.stood => case.unless(false, Invariant::Repeated, "and it stands there"),
            422 => {
                let is_unknown = self.is_unknown(entry, &code_of(answer));
                case.unless(is_unknown, Invariant::Refused, "though nothing is wrong with it")
            }
            _ => case.senseless(),
        }
    }

    fn judge_older_order(&self, case: &Case, order_id: &OrderId) -> Verdict {
        let taken = self.slot(StreamKey::Order(order_id.clone()), Slot::OrderPlaced).is_some();
        let other = case.own.iter().any(|placed| !is_what_was_said(&case.entry.ask, placed));
        let holds = case.answer.status == 202 && taken && !other;
        case.is_acknowledged(holds, "and the order is not in the log, or another one")
    }

    fn judge_change(&self, case: &Case, order_id: &OrderId, into: Change) -> Verdict {
        let Case { entry, answer, own } = case;
        let tag = entry.ask.tag();
        match answer.status {
            200 | 202 => {
                // What is stored counts, unless somebody forges an event of the same decision in the meantime.
                let is_stored = (!own.is_empty() || self.has_appended(entry)) && self.is_by_hand(order_id);
                let holds = is_stored || self.is_so(order_id, into);
                if let Some(stored) = own.first().filter(|stored| !is_change(&entry.ask, into, stored)) {
                    return case.is_acknowledged(false, &format!("and what is stored is {stored:?}"));
                }
                // Versions only grow.
                let tag = tag.filter(|_| !own.is_empty());
                if tag.is_some_and(|tag| entry.then.version.is_some_and(|then| then > tag)) {
                    return case.is_acknowledged(false, "though its version was gone before");
                }
                case.is_acknowledged(holds, "and the log says no")
            }
            404 => case.is_missing("though the order was there"),
            // It was looked at between the sending and the answer, so one of the two saw what it saw, unless what it wants
            // was refused, allowed and refused again, or nothing could be read there.
            409 => {
                let is_refused = entry.then.refusable || self.is_refused(order_id, into);
                case.is_acknowledged(is_refused, "though nothing stood in its way")
            }
            412 => {
                let versions = [entry.then.version, self.version(order_id)];
                let is_other = tag.is_some_and(|tag| versions != [Some(tag); 2]);
                case.is_acknowledged(is_other, "and what was presupposed was so all the time")
            }
            _ => case.senseless(),
        }
    }

    fn judge_lot(&self, case: &Case, sku: &Sku, units: u32, lot_id: &str) -> Verdict {
        let lot = LotId::recorded(lot_id).ok()?;
        let stored = self.slot(StreamKey::Sku(sku.clone()), Slot::SkuRestocked(lot));
        let same = stored.as_ref().is_some_and(|stored| is_lot_of(stored, units));
        match case.answer.status {
            202 => case.is_acknowledged(same, "and another lot stands there, or none"),
            409 => {
                let other = stored.is_some() && !same;
                case.unless(other, Invariant::Repeated, "and the same lot stands there")
            }
            _ => case.senseless(),
        }
    }

    fn judge_older_lot(&self, case: &Case, sku: &Sku, units: u32, lot_id: &str) -> Verdict {
        let lot = LotId::recorded(lot_id).ok()?;
        let there = self.slot(StreamKey::Sku(sku.clone()), Slot::SkuRestocked(lot)).is_some();
        let holds =
            case.answer.status == 202 && there && case.own.iter().all(|event| is_lot_of(event, units));
        case.is_acknowledged(holds, "and the lot is not in the log, or another one")
    }

    fn judge_registration(&self, case: &Case, customer_id: &str, told: &Personal) -> Verdict {
        let Case { entry, answer, .. } = case;
        let status = answer.status;
        let id = CustomerId::recorded(customer_id).ok()?;
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
            return case.is_acknowledged(false, "and is not in the log");
        }
        let holds = status >= 400 || erased || (is_known && is_shown);
        case.is_acknowledged(holds, &format!("and what is known of them is {known:?}"))
    }

    fn judge_erasure(&self, case: &Case, customer_id: &str) -> Verdict {
        let id = CustomerId::recorded(customer_id).ok()?;
        let erased = self.slot(StreamKey::Customer(id.clone()), Slot::CustomerErased).is_some();
        let row = at_once(self.store.customer(&id)).expect("memory is always there");
        let is_gone = row.is_some_and(|row| row.erased && row.personal == Personal::default());
        match case.answer.status {
            200 => case.is_acknowledged(erased && is_gone, "and is not erased"),
            404 => case.is_missing("though it was registered"),
            _ => case.senseless(),
        }
    }

    fn judge_listing(&self, case: &Case, product_id: &str, sku: &Sku, minor: i64, name: &str) -> Verdict {
        let id = ProductId::recorded(product_id).ok()?;
        let stored = self.slot(StreamKey::Product(id), Slot::ProductListed);
        let same = stored.as_ref().is_some_and(|stored| {
            matches!(stored.event(), Ok(Event::ProductListed(listed))
                if listed.sku == *sku && listed.price.minor() == minor
                    && listed.name == name && listed.currency.as_str() == ask::CURRENCY)
        });
        match case.answer.status {
            200 | 201 => case.is_acknowledged(same, "and another product stands there, or none"),
            409 => {
                let is_taken = (stored.is_some() && !same)
                    || self.is_withdrawn(product_id)
                    || self.is_sold(sku, product_id);
                case.unless(is_taken, Invariant::Repeated, "and nothing stands in its way")
            }
            _ => case.senseless(),
        }
    }

    fn judge_price(&self, case: &Case, product_id: &str, minor: i64) -> Verdict {
        let id = ProductId::recorded(product_id).ok()?;
        let withdrawn = self.is_withdrawn(product_id);
        let is_it = |event: &Arc<RecordedEvent>| matches!(event.event(), Ok(Event::ProductRepriced(set)) if set.price.minor() == minor);
        let costs_so = if case.own.is_empty() {
            self.costs_since(&id, minor, case.entry, case.answer)
        } else {
            case.own.iter().all(is_it)
        };
        match case.answer.status {
            200 => case.is_acknowledged(costs_so, "and it does not cost that"),
            409 => case.is_acknowledged(withdrawn, "though nothing stood in its way"),
            404 => case.is_missing("though it was listed"),
            _ => case.senseless(),
        }
    }

    fn judge_withdrawal(&self, case: &Case, product_id: &str) -> Verdict {
        let there = self.is_withdrawn(product_id);
        match case.answer.status {
            200 => case.is_acknowledged(there, "and it can still be ordered"),
            404 => case.is_missing("though it was listed"),
            _ => case.senseless(),
        }
    }

    /// Of somebody who is not erased yet when it is asked for; whoever erases them takes it away.
    fn judge_key(&self, case: &Case, customer_id: &str) -> Verdict {
        let Case { entry, answer, .. } = case;
        match answer.status {
            201 => {
                // A repeat is told what an earlier try did.
                let stands = entry.then.stood || answer.replayed;
                let made = answer.replayed || self.is_shown_key(answer, customer_id);
                let holds = stands && (made || self.is_forgotten(customer_id));
                case.unless(holds, Invariant::Admitted, "and the customer is erased, or there is no key")
            }
            409 => {
                let is_erased = self.is_erased(customer_id);
                case.unless(is_erased, Invariant::Refused, "though the customer is not erased")
            }
            _ => case.senseless(),
        }
    }

    fn judge_revocation(&self, case: &Case, holder: &Holder) -> Verdict {
        let revoked = case.answer.status == 200 && !self.is_good(holder);
        case.is_acknowledged(revoked, "and the key is good")
    }

    fn judge_raw_event(&self, case: &Case, pk: &str, sk: &str) -> Verdict {
        let there = at_once(self.store.read_slot(pk, sk)).is_ok_and(|stored| stored.is_some());
        let other = case.own.iter().any(|event| !is_what_was_said(&case.entry.ask, event));
        let holds = case.answer.status == 202 && there && !other;
        case.is_acknowledged(holds, "and is not in the log, or something else")
    }
}
