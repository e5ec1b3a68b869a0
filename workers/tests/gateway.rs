//! The built-in gateway, as the payments worker sees it: one intent per order, charged at most once.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use event_store_embedded::EmbeddedStore;
use events::{Money, OrderId};
use payments::intent::State;
use workers::{Charged, FakeGateway, Gateway};

fn gateway(failure_share: f64, seed: u64) -> FakeGateway {
    FakeGateway { intents: Arc::new(EmbeddedStore::temporary()), failure_share, seed }
}

fn order(number: u32) -> OrderId {
    OrderId::parse(&format!("order-{number}")).unwrap()
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor).unwrap()
}

#[tokio::test]
async fn a_charge_that_is_repeated_answers_its_first_outcome_and_takes_the_money_once() {
    let gateway = gateway(0.0, 1);
    for _ in 0..2 {
        let charged = gateway.charge(&order(1), money(500)).await.unwrap();
        assert_eq!(charged, Charged::Charged { payment_id: "pay-order-1".to_owned() });
        let declined = gateway.charge(&order(2), money(0)).await.unwrap();
        assert_eq!(declined, Charged::Declined { reason: "amount_is_zero".to_owned() });
        let too_large = gateway.charge(&order(3), money(10_000_000)).await.unwrap();
        assert_eq!(too_large, Charged::Declined { reason: "amount_too_large".to_owned() });
    }
    let intent = gateway.intents.load(&order(1)).await.unwrap().intent;
    assert_eq!((intent.state, intent.calls, intent.charges), (State::Charged, 2, 1));
}

#[tokio::test]
async fn after_a_cancel_no_charge_succeeds_and_the_cancel_says_whether_one_had() {
    let gateway = gateway(0.0, 1);
    assert_eq!(gateway.cancel(&order(1)).await, Ok(None));
    assert_eq!(gateway.charge(&order(1), money(500)).await, Ok(Charged::Refused));
    gateway.charge(&order(2), money(500)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(gateway.cancel(&order(2)).await, Ok(Some("pay-order-2".to_owned())));
    }
}

#[tokio::test]
async fn a_refund_that_is_repeated_gives_back_once_and_the_money_is_not_taken_again() {
    let gateway = gateway(0.0, 1);
    gateway.charge(&order(1), money(500)).await.unwrap();
    for _ in 0..2 {
        gateway.refund(&order(1)).await.unwrap();
        assert_eq!(gateway.intents.load(&order(1)).await.unwrap().intent.state, State::Refunded);
    }
    assert_eq!(gateway.charge(&order(1), money(500)).await, Ok(Charged::Refused));
    assert_eq!(gateway.cancel(&order(1)).await, Ok(None));
}

/// Which of the orders fail at their first charge.
async fn failing(gateway: &FakeGateway, orders: u32) -> Vec<u32> {
    let mut failing = Vec::new();
    for number in 0..orders {
        if gateway.charge(&order(number), money(500)).await.is_err() {
            failing.push(number);
        }
    }
    failing
}

#[tokio::test]
async fn a_share_of_the_charges_fails_and_a_seed_decides_which() {
    let share = failing(&gateway(0.3, 7), 400).await.len();
    assert!((95..145).contains(&share), "{share}");
    let first = failing(&gateway(0.3, 7), 100).await;
    assert_eq!(first, failing(&gateway(0.3, 7), 100).await);
    assert_ne!(first, failing(&gateway(0.3, 8), 100).await);
    assert_eq!(failing(&gateway(0.0, 7), 100).await, [0; 0]);
    assert_eq!(failing(&gateway(1.0, 7), 100).await.len(), 100);
}

#[tokio::test]
async fn a_charge_that_failed_on_the_way_may_succeed_when_it_is_asked_for_again() {
    let gateway = gateway(0.5, 7);
    let first = failing(&gateway, 100).await;
    let second = failing(&gateway, 100).await;
    assert!(second.iter().all(|number| first.contains(number)), "what had succeeded stays so");
    assert!((first.len() / 4..first.len()).contains(&second.len()), "{} of {}", second.len(), first.len());
}
