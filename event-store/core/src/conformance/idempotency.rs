//! What must hold of [`Idempotency`].

use futures_util::future::join_all;

use super::given::{id, second};
use crate::idempotency::{Claim, Claimed, Idempotency, KeptAnswer};

pub async fn a_request_is_carried_out_once_and_answered_ever_after(kept: &dyn Idempotency) {
    assert_eq!(kept.claim("k", claim("a", 1), second(1)).await, Ok(Claimed::Mine(id(1))));
    kept.keep("k", second(31), answer(201)).await.unwrap();
    for n in [2, 40, 900] {
        assert_eq!(kept.claim("k", claim("a", n), second(n)).await, Ok(Claimed::Done(answer(201))));
    }
    assert_eq!(kept.claim("K", claim("a", 3), second(3)).await, Ok(Claimed::Mine(id(3))));
}

pub async fn of_fifty_claims_at_once_exactly_one_is_carried_out(kept: &dyn Idempotency) {
    let claims = join_all((0..50).map(|n| kept.claim("k", claim("a", n), second(0)))).await;
    let mine = |claimed: &&Result<Claimed, _>| matches!(claimed, Ok(Claimed::Mine(_)));
    assert_eq!(claims.iter().filter(mine).count(), 1, "{claims:?}");
    let running = claims.iter().filter(|claimed| **claimed == Ok(Claimed::Running)).count();
    assert_eq!(running, 49, "{claims:?}");
}

pub async fn a_key_that_was_used_for_another_request_says_so(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.claim("k", claim("b", 2), second(2)).await, Ok(Claimed::OfAnother));
    // Also when whoever claimed it died, and when it is done.
    assert_eq!(kept.claim("k", claim("b", 40), second(40)).await, Ok(Claimed::OfAnother));
    kept.keep("k", second(31), answer(200)).await.unwrap();
    assert_eq!(kept.claim("k", claim("b", 41), second(41)).await, Ok(Claimed::OfAnother));
}

pub async fn what_somebody_died_over_is_carried_out_by_another_with_the_same_seed(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 2), second(30)).await, Ok(Claimed::Running));
    assert_eq!(kept.claim("k", claim("a", 40), second(31)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.claim("k", claim("a", 3), second(32)).await, Ok(Claimed::Running));
    // The first one was only slow: its answer comes too late.
    kept.keep("k", second(31), answer(500)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 4), second(33)).await, Ok(Claimed::Running));
    kept.keep("k", second(70), answer(201)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 5), second(34)).await, Ok(Claimed::Done(answer(201))));
}

pub async fn what_is_given_up_may_be_tried_again_at_once_with_the_same_seed(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    kept.give_up("k", second(99)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 2), second(2)).await, Ok(Claimed::Running));
    kept.give_up("k", second(31)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 2), second(2)).await, Ok(Claimed::Mine(id(1))));
    kept.keep("k", second(32), answer(201)).await.unwrap();
    kept.give_up("k", second(32)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 3), second(3)).await, Ok(Claimed::Done(answer(201))));
}

pub async fn what_is_over_is_forgotten(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    kept.keep("k", second(31), answer(201)).await.unwrap();
    assert_eq!(kept.claim("k", claim("b", 2), second(1000)).await, Ok(Claimed::OfAnother));
    assert_eq!(kept.claim("k", claim("b", 1001), second(1001)).await, Ok(Claimed::Mine(id(1001))));
}

/// Made in the n-th second, good for thirty more; remembered for a thousand.
fn claim(fingerprint: &str, n: u64) -> Claim {
    Claim { fingerprint: fingerprint.into(), seed: id(n), until: second(n + 30), forget_at: second(n + 1000) }
}

fn answer(status: u16) -> KeptAnswer {
    let headers = vec![("location".into(), "/orders/ord-1".into()), ("etag".into(), "\"1\"".into())];
    KeptAnswer { status, headers, body: format!(r#"{{"of":"ü","status":{status}}}"#) }
}
