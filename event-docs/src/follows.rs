//! What follows from an event: asked of the domains, over every history that the slots of an order allow.
//!
//! A worker owes something because of an event if it owes it with the event and did not owe it without. Which other
//! events that depends on is what all histories have in common in which it is so.

use std::collections::{BTreeMap, BTreeSet};

use events::{Event, EventName, RecordedEvent, Slot};
use payments::MAX_ATTEMPTS;
use workers::Worker;

use crate::sample::{self, Golden};

/// Something that a worker does because of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Follows {
    /// Who.
    pub worker: Worker,
    /// What it appends: the first of these, or one of them.
    pub answers: &'static [EventName],
    /// When: any of these is enough. One of nothing is always so.
    pub when: Vec<Condition>,
}

/// Which other events must be there, and which must not.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// These are there.
    pub with: Vec<Feature>,
    /// These are not.
    pub without: Vec<Feature>,
}

/// Something that can be true of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// This event is in it.
    Has(EventName),
    /// As many payments were attempted as ever are.
    AllAttempts,
}

/// What each event of an order is followed by.
pub fn of_orders(golden: &Golden) -> BTreeMap<EventName, Vec<Follows>> {
    let world = Histories::new(golden);
    let names: Vec<EventName> =
        world.slots.iter().flatten().map(Event::name).collect::<BTreeSet<_>>().into_iter().collect();
    names.into_iter().map(|name| (name, world.follows(name))).collect()
}

/// The number of choices that stand in each slot: 0 for none. Attempts are one slot, of which the n-th choice is that
/// there are n.
type History = Vec<usize>;

struct Histories {
    slots: Vec<Vec<Event>>,
    items: Vec<Vec<RecordedEvent>>,
    owed: BTreeMap<History, Vec<Owed>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Owed {
    worker: Worker,
    slot: Slot,
    answers: &'static [EventName],
}

impl Histories {
    fn new(golden: &Golden) -> Histories {
        let mut slots: Vec<Vec<Event>> = Vec::new();
        for name in EventName::ALL {
            let event = golden.event(*name);
            if !sample::is_of_an_order(event) {
                continue;
            }
            if let Event::PaymentAttempted(claim) = event {
                slots.push((1..=MAX_ATTEMPTS).map(|n| payments::attempted(&claim.order_id, n)).collect());
                continue;
            }
            match slots.iter_mut().find(|slot| slot[0].slot() == event.slot()) {
                Some(slot) => slot.push(event.clone()),
                None => slots.push(vec![event.clone()]),
            }
        }
        let mut number = 0;
        let mut item = |event: &Event| {
            number += 1;
            sample::item(event.clone(), number, "anybody")
        };
        let items = slots.iter().map(|slot| slot.iter().map(&mut item).collect()).collect();
        let mut world = Histories { slots, items, owed: BTreeMap::new() };
        let mut histories: Vec<History> = vec![Vec::new()];
        for slot in &world.slots {
            let with = |history: &History| {
                let history = history.clone();
                (0..=slot.len()).map(move |choice| [history.as_slice(), &[choice]].concat())
            };
            histories = histories.iter().flat_map(with).collect();
        }
        world.owed =
            histories.into_iter().map(|history| (history.clone(), world.owed_after(&history))).collect();
        world
    }

    fn owed_after(&self, history: &History) -> Vec<Owed> {
        let items = || self.items_of(history);
        let orders = orders::fold(items());
        let orders = orders::decide(&orders).map(|owed| (Worker::Orders, owed.slot(), owed.answers()));
        let inventory = inventory::fold(items());
        let inventory =
            inventory::decide(&inventory).map(|owed| (Worker::Inventory, owed.slot(), owed.answers()));
        let payments = payments::fold(items());
        let payments =
            payments::decide(&payments).map(|owed| (Worker::Payments, owed.slot(), owed.answers()));
        let owed = [orders, inventory, payments].into_iter().flatten();
        owed.map(|(worker, slot, answers)| Owed { worker, slot, answers }).collect()
    }

    fn items_of(&self, history: &History) -> impl Iterator<Item = &RecordedEvent> {
        history.iter().enumerate().flat_map(|(slot, choice)| {
            let last = *choice;
            let first = if self.is_of_attempts(slot) { 0 } else { last.saturating_sub(1) };
            &self.items[slot][first..last]
        })
    }

    fn is_of_attempts(&self, slot: usize) -> bool {
        matches!(self.slots[slot][0], Event::PaymentAttempted(_))
    }

    /// The history with one more event, if its slot is free.
    fn with(&self, history: &History, name: EventName) -> Option<History> {
        let slot = self.slots.iter().position(|slot| slot.iter().any(|event| event.name() == name))?;
        let mut with = history.clone();
        with[slot] = if self.is_of_attempts(slot) && history[slot] < self.slots[slot].len() {
            history[slot] + 1
        } else if history[slot] == 0 {
            1 + self.slots[slot].iter().position(|event| event.name() == name)?
        } else {
            return None;
        };
        Some(with)
    }

    fn follows(&self, name: EventName) -> Vec<Follows> {
        let steps: Vec<(&History, History)> =
            self.owed.keys().filter_map(|before| Some((before, self.with(before, name)?))).collect();
        let is_new = |before: &History, owed: &Owed| {
            self.owed[before].iter().all(|known| (known.worker, &known.slot) != (owed.worker, &owed.slot))
        };
        let all = steps.iter().flat_map(|(before, after)| {
            self.owed[after]
                .iter()
                .filter(|owed| is_new(before, owed))
                .map(|owed| (owed.worker, owed.answers))
        });
        let effects: BTreeSet<(Worker, &'static [EventName])> = all.collect();
        let features = self.features(name);
        let condition = |(worker, answers): (Worker, &'static [EventName])| {
            let (mut on, mut off) = (BTreeSet::new(), BTreeSet::new());
            for (before, after) in &steps {
                let is_so = |owed: &&Owed| (owed.worker, owed.answers) == (worker, answers);
                let point = self.point(after, &features);
                match self.owed[after].iter().find(is_so) {
                    Some(owed) if is_new(before, owed) => drop(on.insert(point)),
                    // It was owed without the event.
                    Some(_) => {}
                    // What is settled already is owed by nobody, which goes without saying.
                    None if answers.iter().any(|answer| self.is_settled(after, *answer, name)) => {}
                    None => drop(off.insert(point)),
                }
            }
            Follows { worker, answers, when: conditions(&features, &on, &off) }
        };
        effects.into_iter().map(condition).collect()
    }

    /// Whether the decision that an answer settles has been settled. Of attempts there may always be another.
    fn is_settled(&self, history: &History, answer: EventName, because_of: EventName) -> bool {
        let slot = self.slots.iter().position(|slot| slot.iter().any(|event| event.name() == answer));
        slot.is_some_and(|slot| !self.is_of_attempts(slot) && history[slot] > 0 && answer != because_of)
    }

    /// What histories may differ in, apart from the event itself.
    fn features(&self, name: EventName) -> Vec<Feature> {
        let names: BTreeSet<EventName> = self.slots.iter().flatten().map(Event::name).collect();
        let others = names.into_iter().filter(|other| *other != name).map(Feature::Has);
        others.chain([Feature::AllAttempts]).collect()
    }

    /// A history as one bit for each feature.
    fn point(&self, history: &History, features: &[Feature]) -> u32 {
        let names: BTreeSet<EventName> =
            self.items_of(history).filter_map(|item| Some(item.event().ok()?.name())).collect();
        let attempts = (0..history.len()).find(|slot| self.is_of_attempts(*slot)).map(|slot| history[slot]);
        let is_so = |feature: &Feature| match feature {
            Feature::Has(name) => names.contains(name),
            Feature::AllAttempts => attempts == Some(MAX_ATTEMPTS as usize),
        };
        features.iter().enumerate().map(|(n, feature)| u32::from(is_so(feature)) << n).sum()
    }
}

/// The shortest conditions that hold at every point of `on` and at none of `off`.
fn conditions(features: &[Feature], on: &BTreeSet<u32>, off: &BTreeSet<u32>) -> Vec<Condition> {
    let all = (1u32 << features.len()) - 1;
    let mut points: Vec<u32> = on.iter().copied().collect();
    points.sort_by_key(|point| (point.count_ones(), *point));
    let mut cubes: Vec<(u32, u32)> = Vec::new();
    for point in points {
        if cubes.iter().any(|(mask, value)| point & mask == *value) {
            continue;
        }
        let mut mask = all;
        // What is not there is the first to be found not to matter.
        let (absent, present): (Vec<u32>, Vec<u32>) =
            (0..features.len() as u32).map(|n| 1 << n).partition(|bit| point & bit == 0);
        for bit in absent.into_iter().chain(present) {
            let without = mask & !bit;
            if !off.iter().any(|other| other & without == point & without) {
                mask = without;
            }
        }
        cubes.push((mask, point & mask));
    }
    let named = |bits: u32| -> Vec<Feature> {
        features.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1).map(|(_, feature)| *feature).collect()
    };
    cubes
        .into_iter()
        .map(|(mask, value)| Condition { with: named(value), without: named(mask & !value) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_what_matters_and_nothing_else() {
        let features = [
            Feature::Has(EventName::InventoryReserved),
            Feature::Has(EventName::OrderCancelled),
            Feature::AllAttempts,
        ];
        let found =
            conditions(&features, &[0b001, 0b101].into(), &[0b000, 0b010, 0b011, 0b100, 0b111].into());
        let with = vec![Feature::Has(EventName::InventoryReserved)];
        assert_eq!(found, [Condition { with, without: vec![Feature::Has(EventName::OrderCancelled)] }]);
        assert_eq!(conditions(&features, &[0b001].into(), &BTreeSet::new()), [Condition::default()]);
    }
}
