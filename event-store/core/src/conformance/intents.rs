//! What must hold of [`IntentStore`].

use futures_util::future::join_all;
use payments::intent::{Intent, State};

use super::given::{euros, order_id};
use crate::intents::{IntentStore, Versioned};

pub async fn an_intent_that_was_never_saved_is_fresh(intents: &dyn IntentStore) {
    assert_eq!(intents.load(&order_id("o-1")).await, Ok(Versioned::default()));
}

pub async fn an_intent_comes_back_as_it_was_saved(intents: &dyn IntentStore) {
    let states = [State::Open, State::Charged, State::Declined, State::Cancelled, State::Refunded];
    for (version, state) in (1..).zip(states) {
        for (id, amount) in [("o-1", None), ("o 2 'ü", Some(euros(1999)))] {
            let intent = Intent { state, calls: version as u32 * 3, charges: version as u32, amount };
            assert_eq!(intents.save(&order_id(id), intent.clone(), version - 1).await, Ok(true));
            assert_eq!(intents.load(&order_id(id)).await, Ok(Versioned { intent, version }));
        }
    }
}

pub async fn an_intent_is_saved_only_over_the_version_it_was_computed_from(intents: &dyn IntentStore) {
    let order = order_id("o-1");
    assert_eq!(intents.save(&order, called(9), 1).await, Ok(false));
    assert_eq!(intents.load(&order).await, Ok(Versioned::default()));
    assert_eq!(intents.save(&order, called(1), 0).await, Ok(true));
    assert_eq!(intents.save(&order, called(2), 1).await, Ok(true));
    for stale in [0, 1, 3] {
        assert_eq!(intents.save(&order, called(9), stale).await, Ok(false), "{stale}");
    }
    assert_eq!(intents.load(&order).await, Ok(Versioned { intent: called(2), version: 2 }));
}

pub async fn of_fifty_saves_from_one_version_exactly_one_is_kept(intents: &dyn IntentStore) {
    let order = order_id("o-1");
    for version in 0..3 {
        let saves = (0..50).map(|n| intents.save(&order, called(n), version));
        let saved = join_all(saves).await;
        let winners: Vec<u32> = (0..50).filter(|n| saved[*n as usize] == Ok(true)).collect();
        let [winner] = winners[..] else { panic!("{winners:?} were saved from version {version}") };
        let kept = Versioned { intent: called(winner), version: version + 1 };
        assert_eq!(intents.load(&order).await, Ok(kept));
    }
}

pub async fn no_change_is_lost_among_many(intents: &dyn IntentStore) {
    let order = order_id("o-1");
    let call = || async {
        loop {
            let Versioned { intent, version } = intents.load(&order).await.unwrap();
            if intents.save(&order, called(intent.calls + 1), version).await.unwrap() {
                return;
            }
        }
    };
    join_all((0..20).map(|_| call())).await;
    assert_eq!(intents.load(&order).await, Ok(Versioned { intent: called(20), version: 20 }));
}

pub async fn every_order_has_its_own_intent(intents: &dyn IntentStore) {
    let orders = ["o-1", "O-1", "o-10", "o-1 "].map(order_id);
    for (n, order) in (1..).zip(&orders) {
        assert_eq!(intents.save(order, called(n), 0).await, Ok(true), "{order:?}");
    }
    for (n, order) in (1..).zip(&orders) {
        assert_eq!(intents.load(order).await, Ok(Versioned { intent: called(n), version: 1 }), "{order:?}");
    }
}

fn called(calls: u32) -> Intent {
    Intent { calls, ..Intent::default() }
}
