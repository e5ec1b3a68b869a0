//! Who owes an order or a lot something, which slot doing it would settle, and since when.

use std::borrow::Borrow;
use std::fmt::{self, Display, Write};

use events::{Event, RecordedEvent, SkuRestocked, Slot, Timestamp};
use orders::OrderFacts;

/// What each domain owes an order now: the slot that it has to settle next, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owing {
    /// Asking for its stock.
    pub orders: Option<Slot>,
    /// Moving its stock.
    pub inventory: Option<Slot>,
    /// Moving its money.
    pub payments: Option<Slot>,
}

impl Owing {
    /// Asks every domain. `facts` are the folded stream.
    pub fn of<Item: Borrow<RecordedEvent>>(facts: &OrderFacts<'_>, stream: &[Item]) -> Owing {
        let items = || stream.iter().map(Borrow::borrow);
        Owing {
            orders: orders::decide(facts).map(|owed| owed.slot()),
            inventory: inventory::decide(&inventory::fold(items())).map(|owed| owed.slot()),
            payments: payments::decide(&payments::fold(items())).map(|owed| owed.slot()),
        }
    }

    /// Leaves out what nobody can do, because a raw event that settles nothing stands in the slot. Its message
    /// is a dead letter already, and more of them would say nothing new.
    #[must_use]
    pub fn that_can_be_done<Item: Borrow<RecordedEvent>>(self, stream: &[Item]) -> Owing {
        let free = |slot: &Slot| stream.iter().all(|item| !stands_under(item.borrow(), slot));
        let Owing { orders, inventory, payments } = self;
        Owing {
            orders: orders.filter(free),
            inventory: inventory.filter(free),
            payments: payments.filter(free),
        }
    }

    /// Whether nobody owes anything.
    pub fn is_nothing(&self) -> bool {
        self.slots().next().is_none()
    }

    /// The slots that are owed.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        [&self.orders, &self.inventory, &self.payments].into_iter().flatten()
    }
}

/// When an order moved last: when the latest of the events that settle its slots was. Others move nothing, and could be
/// written for ever.
pub fn moved_at(facts: &OrderFacts<'_>) -> Option<Timestamp> {
    facts.settled_by().map(|event| event.occurred_at).max()
}

/// The lots of a SKU's stream that inventory owes to the shelf: sent, and nothing stands in the slot of their being
/// counted.
pub fn uncounted_lots<Item: Borrow<RecordedEvent>>(
    stream: &[Item],
) -> impl Iterator<Item = (&RecordedEvent, &SkuRestocked)> {
    let mut keys: Vec<&str> = stream.iter().map(|item| &*item.borrow().sk).collect();
    keys.sort_unstable();
    stream.iter().map(Borrow::borrow).filter_map(move |item| {
        let Ok(Event::SkuRestocked(lot)) = item.event() else { return None };
        let counted = Slot::StockReceived(lot.lot_id.clone()).sk();
        keys.binary_search(&&*counted).is_err().then_some((item, lot))
    })
}

/// Whether an event stands under the key of a slot. Nothing is allocated to find out.
pub fn stands_under(item: &RecordedEvent, slot: &Slot) -> bool {
    reads(&item.sk, slot)
}

/// Whether a value is displayed as this text.
fn reads(text: &str, value: impl Display) -> bool {
    /// What is still to come of the text.
    struct Rest<'a>(&'a str);

    impl Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut rest = Rest(text);
    write!(rest, "{value}").is_ok() && rest.0.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_as_a_slot_only_if_it_is_its_whole_key() {
        let slot = Slot::PaymentAttempt(12);
        assert!(reads("EVENT#PaymentAttempt#12", &slot));
        for other in ["", "EVENT#PaymentAttempt#1", "EVENT#PaymentAttempt#123", "EVENT#Payment", "event#"] {
            assert!(!reads(other, &slot), "{other}");
        }
    }
}
