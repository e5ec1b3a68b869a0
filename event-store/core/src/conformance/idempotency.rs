//! What must hold of [`Idempotency`].

use futures_util::future::join_all;

use super::given::{id, second};
use crate::idempotency::{Claim, Claimed, Held, Idempotency, KeptAnswer};

pub async fn a_request_is_carried_out_once_and_answered_ever_after(kept: &dyn Idempotency) {
    assert_eq!(kept.claim("k", claim("a", 1), second(1)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.keep("k", held(1, 31), answer(201)).await, Ok(true));
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
    assert_eq!(kept.keep("k", held(1, 31), answer(200)).await, Ok(true));
    assert_eq!(kept.claim("k", claim("b", 41), second(41)).await, Ok(Claimed::OfAnother));
}

pub async fn what_somebody_died_over_is_carried_out_by_another_with_the_same_seed(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.claim("k", claim("a", 2), second(30)).await, Ok(Claimed::Running));
    assert_eq!(kept.claim("k", claim("a", 40), second(31)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.claim("k", claim("a", 3), second(32)).await, Ok(Claimed::Running));
    // The first one was only slow: its answer comes too late.
    assert_eq!(kept.keep("k", held(1, 31), answer(409)).await, Ok(false));
    assert_eq!(kept.claim("k", claim("a", 4), second(33)).await, Ok(Claimed::Running));
    assert_eq!(kept.keep("k", held(1, 70), answer(201)).await, Ok(true));
    assert_eq!(kept.claim("k", claim("a", 5), second(34)).await, Ok(Claimed::Done(answer(201))));
}

pub async fn what_is_given_up_may_be_tried_again_at_once_with_the_same_seed(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.give_up("k", held(1, 99)).await, Ok(false));
    assert_eq!(kept.claim("k", claim("a", 2), second(2)).await, Ok(Claimed::Running));
    assert_eq!(kept.give_up("k", held(1, 31)).await, Ok(true));
    assert_eq!(kept.claim("k", claim("a", 2), second(2)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.keep("k", held(1, 32), answer(201)).await, Ok(true));
    assert_eq!(kept.give_up("k", held(1, 32)).await, Ok(false));
    assert_eq!(kept.claim("k", claim("a", 3), second(3)).await, Ok(Claimed::Done(answer(201))));
}

pub async fn what_is_over_is_forgotten(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.keep("k", held(1, 31), answer(201)).await, Ok(true));
    assert_eq!(kept.claim("k", claim("b", 2), second(1000)).await, Ok(Claimed::OfAnother));
    assert_eq!(kept.claim("k", claim("b", 1001), second(1001)).await, Ok(Claimed::Mine(id(1001))));
}

pub async fn what_was_done_is_kept_whoever_has_the_request_by_now_and_over_a_refusal(kept: &dyn Idempotency) {
    kept.claim("k", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.keep("k", held(2, 31), answer(201)).await, Ok(false), "it is of another claim");
    assert_eq!(kept.claim("k", claim("a", 40), second(31)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.keep("k", held(1, 70), answer(409)).await, Ok(true));
    assert_eq!(kept.claim("k", claim("a", 41), second(41)).await, Ok(Claimed::Done(answer(409))));
    // The first one was only slow, and did it.
    assert_eq!(kept.keep("k", held(1, 31), answer(201)).await, Ok(true));
    for late in [200, 409] {
        assert_eq!(kept.keep("k", held(1, 70), answer(late)).await, Ok(false));
    }
    assert_eq!(kept.claim("k", claim("a", 42), second(42)).await, Ok(Claimed::Done(answer(201))));

    kept.claim("l", claim("a", 1), second(1)).await.unwrap();
    assert_eq!(kept.claim("l", claim("a", 40), second(31)).await, Ok(Claimed::Mine(id(1))));
    assert_eq!(kept.keep("l", held(1, 31), answer(201)).await, Ok(true));
    assert_eq!(kept.give_up("l", held(1, 70)).await, Ok(false));
    assert_eq!(kept.claim("l", claim("a", 42), second(42)).await, Ok(Claimed::Done(answer(201))));
}

/// The claim of the n-th second, good until another one.
fn held(n: u64, until: u64) -> Held {
    Held { seed: id(n), until: second(until) }
}

/// Made in the n-th second, good for thirty more; remembered for a thousand.
fn claim(fingerprint: &str, n: u64) -> Claim {
    Claim { fingerprint: fingerprint.into(), seed: id(n), until: second(n + 30), forget_at: second(n + 1000) }
}

fn answer(status: u16) -> KeptAnswer {
    let headers = vec![("location".into(), "/orders/ord-1".into()), ("etag".into(), "\"1\"".into())];
    KeptAnswer { status, headers, body: format!(r#"{{"of":"ü","status":{status}}}"#) }
}
