//! What the log says of what somebody asked for.

use std::sync::Arc;

use event_store::{CatalogViews, EventLog, Personal};
use events::{CustomerId, Event, OrderId, ProductId, RecordedEvent, Slot, StreamKey};
use orders::{Closing, Status};

use super::said::is_what_was_asked;
use super::{Answer, Book, Cost, Entry};
use crate::ask::{Ask, Change, Line, Wants};
use crate::figures::Sometimes;
use crate::ports::at_once;

impl Book {
    pub(super) fn slot(&self, stream: StreamKey, slot: Slot) -> Option<Arc<RecordedEvent>> {
        at_once(self.store.read_slot(&stream.pk(), &slot.sk())).expect("memory is always there")
    }

    fn placed(&self, order_id: &OrderId) -> Option<Arc<RecordedEvent>> {
        let stored = self.slot(StreamKey::Order(order_id.clone()), Slot::OrderPlaced)?;
        matches!(stored.event(), Ok(Event::OrderPlaced(_))).then_some(stored)
    }

    /// The version of an order.
    pub(super) fn version(&self, order_id: &OrderId) -> Option<u32> {
        let stream = at_once(self.store.read_stream(&StreamKey::Order(order_id.clone()).pk()));
        views::project::order_rows(&stream.expect("memory is always there")).map(|rows| rows.order.seen)
    }

    /// Whether what a request is about is in the log.
    pub(super) fn stands(&self, ask: &Ask) -> bool {
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
    pub(super) fn is_erased(&self, customer_id: &str) -> bool {
        let id = CustomerId::recorded(customer_id).ok();
        id.is_some_and(|id| self.slot(StreamKey::Customer(id), Slot::CustomerErased).is_some())
    }

    /// Whether somebody asked for the end of what a customer can act by, registered or not.
    pub(super) fn is_forgotten(&self, customer_id: &str) -> bool {
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
    pub(super) fn is_told_otherwise(&self, id: &str, told: &Personal) -> bool {
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
    pub(super) fn is_withdrawn(&self, product_id: &str) -> bool {
        let id = ProductId::recorded(product_id).ok();
        id.is_some_and(|id| self.slot(StreamKey::Product(id), Slot::ProductWithdrawn).is_some())
    }

    /// Whether some other product sells, or sold, a SKU.
    pub(super) fn is_sold(&self, sku: &events::Sku, by_another_than: &str) -> bool {
        self.entries.iter().any(|other| match &other.ask.wants {
            Wants::List { product_id, sku: sold, .. } => {
                sold == sku && product_id != by_another_than && self.listed(product_id)
            }
            _ => false,
        })
    }

    /// Whether somebody may order.
    pub(super) fn is_known(&self, customer_id: &str) -> bool {
        let row = CustomerId::recorded(customer_id).ok().and_then(|id| {
            let row = at_once(self.store.customer(&id));
            row.expect("memory is always there")
        });
        row.is_some_and(|row| !row.erased)
    }

    /// Whether what an order was refused for was so when it was asked for, or is now.
    pub(super) fn is_unknown(&self, entry: &Entry, code: &str) -> bool {
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
    pub(super) fn latest_price(&self, product_id: &str) -> Option<Cost> {
        let id = ProductId::recorded(product_id).ok()?;
        self.prices(&id).into_iter().max_by_key(|cost| cost.revision)
    }

    /// Whether a product cost that when somebody asked for this price, or since; then nothing had to be written. Of
    /// whoever asks again, an earlier request may have written it.
    pub(super) fn costs_since(&self, id: &ProductId, minor: i64, entry: &Entry, answer: &Answer) -> bool {
        let is_keyed = entry.ask.key.is_some();
        let asked_before = answer.replayed || self.has_appended(entry) || (entry.sent > 1 && !is_keyed);
        let then = entry.then.costs.first().and_then(Option::as_ref).filter(|_| !asked_before);
        let since = then.map_or(0, |cost| cost.revision);
        self.prices(id).iter().any(|cost| cost.minor == minor && cost.revision >= since)
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
    pub(super) fn cost(&self, (sku, _): &Line) -> Option<Cost> {
        let row = at_once(self.indexes.product_by_sku(sku)).expect("memory is always there")?;
        let of_now = self.prices(&row.product_id).into_iter().filter(|cost| cost.minor == row.price.minor());
        of_now.min_by_key(|cost| cost.revision)
    }

    /// Why an order costs what it should not, if it does.
    pub(super) fn wrong_price(&self, entry: &Entry, placed: &RecordedEvent) -> Option<String> {
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
    pub(super) fn is_refused(&self, order_id: &OrderId, into: Change) -> bool {
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
                // What was paid in another way is not paid by this.
                Change::Paid => status != Status::Confirmed || facts.manual_payment.is_settled(),
            }
    }

    /// Whether somebody wrote into an order's stream.
    pub(super) fn is_by_hand(&self, order_id: &OrderId) -> bool {
        let stream = at_once(self.store.read_stream(&StreamKey::Order(order_id.clone()).pk()));
        views::invariants::has_raw_events(&stream.expect("memory is always there"))
    }

    /// Whether the log agrees that an order is, or was and now is more, what somebody asked for.
    pub(super) fn is_so(&self, order_id: &OrderId, into: Change) -> bool {
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
                    || matches!(facts.closing.what(), Some(Closing::Cancelled(_)))
            }
        }
    }
}
