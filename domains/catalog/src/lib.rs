//! The catalogue and its customers: what can be ordered, at which price, and by whom.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CustomerErased, CustomerRegistered, Event, Fact, ProductListed, ProductRepriced, RecordedEvent, Slot,
};

/// The filled slots of one product's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductFacts<'a> {
    /// It was listed.
    pub listed: Fact<'a, &'a ProductListed>,
    /// Its changes of price by revision. The highest revision counts, whenever it arrives.
    pub repriced: BTreeMap<u32, Fact<'a, &'a ProductRepriced>>,
    /// It was withdrawn.
    pub withdrawn: Fact<'a, ()>,
}

/// The filled slots of one customer's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CustomerFacts<'a> {
    /// The customer exists.
    pub registered: Fact<'a, &'a CustomerRegistered>,
    /// The personal data is gone.
    pub erased: Fact<'a, &'a CustomerErased>,
}

/// The facts of a product's whole stream.
pub fn fold_product<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> ProductFacts<'a> {
    let mut facts = ProductFacts::default();
    for item in stream {
        match item.event() {
            Ok(Event::ProductListed(e)) => facts.listed.fill(item, e),
            Ok(Event::ProductRepriced(e)) => facts.repriced.entry(e.revision).or_default().fill(item, e),
            Ok(Event::ProductWithdrawn(_)) => facts.withdrawn.fill(item, ()),
            Ok(_) | Err(_) => {}
        }
    }
    facts
}

/// The facts of a customer's whole stream.
pub fn fold_customer<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> CustomerFacts<'a> {
    let mut facts = CustomerFacts::default();
    for item in stream {
        match item.event() {
            Ok(Event::CustomerRegistered(e)) => facts.registered.fill(item, e),
            Ok(Event::CustomerErased(e)) => facts.erased.fill(item, e),
            Ok(_) | Err(_) => {}
        }
    }
    facts
}

impl<'a> ProductFacts<'a> {
    /// The latest change of price, if there was one.
    pub fn latest_price(&self) -> Option<&'a ProductRepriced> {
        self.repriced.values().next_back().and_then(Fact::what).copied()
    }

    /// The revision of the next change of price: above every one that was made, and above those whose slots hold
    /// something that nobody can read. `None` if there is no higher number.
    pub fn next_revision<'b>(&self, stream: impl IntoIterator<Item = &'b RecordedEvent>) -> Option<u32> {
        let taken: BTreeSet<String> = stream.into_iter().map(|item| item.sk.to_string()).collect();
        let first = self.repriced.keys().next_back().map_or(Some(1), |revision| revision.checked_add(1))?;
        (first..=u32::MAX).find(|revision| !taken.contains(&Slot::ProductRepriced(*revision).sk()))
    }

    /// The events the facts were folded from.
    pub fn settled_by(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        [self.listed.by(), self.withdrawn.by()]
            .into_iter()
            .flatten()
            .chain(self.repriced.values().filter_map(Fact::by))
    }
}

impl<'a> CustomerFacts<'a> {
    /// The events the facts were folded from.
    pub fn settled_by(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        [self.registered.by(), self.erased.by()].into_iter().flatten()
    }
}
