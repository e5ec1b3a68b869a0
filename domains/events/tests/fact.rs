//! One slot of the facts: whatever claims it, in whatever order and however often, the same claim has it.

mod given;

use events::*;
use given::*;

#[test]
fn of_all_claims_the_smallest_id_has_the_slot_and_of_one_id_the_smallest_key_in_any_order() {
    let cancelled = event(EventName::OrderCancelled);
    let claims = [under("b", &cancelled, 5), under("a", &cancelled, 5), under("c", &cancelled, 9)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut fact = Fact::default();
        for index in order.iter().chain(&order) {
            fact.fill(&claims[*index], *index);
        }
        assert_eq!(fact.get(), Some(&Settled { by: &claims[1], what: 1 }), "{order:?}");
        assert_eq!((fact.by(), fact.what(), fact.is_settled()), (Some(&claims[1]), Some(&1), true));
    }
}

#[test]
fn a_slot_that_nobody_claimed_is_empty() {
    let fact: Fact<'_, u32> = Fact::default();
    assert_eq!((fact.get(), fact.by(), fact.what(), fact.is_settled()), (None, None, None, false));
}
