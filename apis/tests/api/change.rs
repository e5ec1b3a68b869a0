//! Changing an order.

use std::sync::{Arc, Mutex};

use apis::Environment;
use events::RecordedEvent;
use serde_json::{Value, json};

use crate::world::Step::*;
use crate::world::{Log, Step, World};

async fn order_after(steps: &[Step]) -> World {
    let world = World::open().await;
    world.place("ord-1").await;
    world.bring("ord-1", steps).await;
    world
}

async fn to(world: &World, status: &str) -> (u16, String, Value) {
    let reply = world.patch("/orders/ord-1", json!({"status": status})).await;
    (reply.status, reply.code().to_owned(), reply.body)
}

/// For each state: what it is called, how it comes to be, and what may be asked of it.
const STATES: [(&str, &[Step], &[&str]); 9] = [
    ("PENDING_INVENTORY", &[Requested], &["CANCELLED"]),
    ("CONFIRMED", &[Reserved], &["PAID", "CANCELLED"]),
    ("PAID", &[Reserved, Paid], &["SHIPPED", "CANCELLED"]),
    ("SHIPPED", &[Reserved, Paid, Shipped], &["DELIVERED"]),
    ("DELIVERED", &[Reserved, Paid, Shipped, Delivered], &[]),
    ("CANCELLED", &[Cancelled], &[]),
    ("CANCELLED", &[Short], &[]),
    ("CANCELLED", &[Reserved, Declined], &[]),
    // A shipment that waits for its payment can no longer be cancelled.
    ("CONFIRMED", &[Reserved, Shipped], &["PAID"]),
];

#[tokio::test]
async fn each_state_allows_what_it_allows_stands_where_it_stands_and_refuses_the_rest() {
    for (now, steps, allowed) in STATES {
        for wanted in ["PAID", "SHIPPED", "DELIVERED", "CANCELLED"] {
            let world = order_after(steps).await;
            let size = world.size().await;
            let (status, code, body) = to(&world, wanted).await;
            let grown = world.size().await - size;
            let case = format!("{now} {steps:?} -> {wanted}: {body}");
            if wanted == now {
                assert_eq!((status, &body["status"], grown), (200, &json!(now), 0), "{case}");
            } else if allowed.contains(&wanted) {
                let expected = if wanted == "PAID" { (202, now) } else { (200, wanted) };
                assert_eq!(
                    (status, body["status"].as_str().unwrap(), grown),
                    (expected.0, expected.1, 1),
                    "{case}"
                );
            } else {
                assert_eq!((status, &*code, grown), (409, "transition_not_allowed", 0), "{case}");
                assert_eq!(
                    (&body["current_status"], &body["allowed"]),
                    (&json!(now), &json!(allowed)),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_answer_shows_its_own_write() {
    let world = order_after(&[Reserved, Paid]).await;
    world.project("ord-1").await;
    let change = json!({"status": "SHIPPED", "carrier": "Post", "tracking": "T-1"});
    let reply = world.patch("/orders/ord-1", change).await;
    assert_eq!((reply.status, reply.header("etag"), &reply.body["seen"]), (200, "\"4\"", &json!(4)));
    let events = world.get("/orders/ord-1/events").await.body;
    assert_eq!(
        events["events"][3]["data"],
        json!({"order_id": "ord-1", "carrier": "Post", "tracking": "T-1"})
    );
}

#[tokio::test]
async fn a_change_is_read_back_at_once_before_any_worker_has_seen_it() {
    let world = order_after(&[Reserved, Paid]).await;
    world.project("ord-1").await;
    world.patch("/orders/ord-1", json!({"status": "SHIPPED"})).await;
    assert_eq!(world.get("/orders/ord-1").await.body["status"], "SHIPPED");
    assert_eq!(world.get("/orders?status=SHIPPED").await.body["orders"][0]["order_id"], "ord-1");
}

#[tokio::test]
async fn an_operators_payment_is_recorded_once_and_settled_by_the_payments_worker() {
    let world = order_after(&[Reserved]).await;
    let change = json!({"status": "PAID", "reference": "bank-7", "by": "bob"});
    for expected in [3, 3] {
        let reply = world.patch("/orders/ord-1", change.clone()).await;
        assert_eq!(
            (reply.status, &reply.body["status"], &reply.body["seen"]),
            (202, &json!("CONFIRMED"), &json!(expected))
        );
    }
    let other =
        world.patch("/orders/ord-1", json!({"status": "PAID", "reference": "bank-8", "by": "bob"})).await;
    assert_eq!((other.status, other.code()), (409, "manual_payment_exists"));
    world.bring("ord-1", &[Paid]).await;
    assert_eq!(world.patch("/orders/ord-1", change).await.status, 200);
}

#[tokio::test]
async fn deleting_cancels_and_deleting_again_changes_nothing() {
    let world = order_after(&[Reserved]).await;
    let first = world.delete("/orders/ord-1").await;
    assert_eq!(
        (first.status, &first.body["status"], &first.body["status_reason"]),
        (200, &json!("CANCELLED"), &json!("cancelled_on_request"))
    );
    let size = world.size().await;
    assert_eq!(world.delete("/orders/ord-1").await.body, first.body);
    assert_eq!(world.size().await, size);

    let short = order_after(&[Short]).await;
    assert_eq!(short.delete("/orders/ord-1").await.status, 200);
    let shipped = order_after(&[Reserved, Paid, Shipped]).await;
    let refused = shipped.delete("/orders/ord-1").await;
    assert_eq!((refused.status, refused.code()), (409, "transition_not_allowed"));
}

#[tokio::test]
async fn an_order_that_was_never_placed_cannot_be_changed() {
    let world = World::open().await;
    world.bring("orphan", &[Reserved, Paid]).await;
    let size = world.size().await;
    for path in ["/orders/nope", "/orders/orphan"] {
        assert_eq!(world.patch(path, json!({"status": "CANCELLED"})).await.code(), "order_not_found");
        assert_eq!(world.delete(path).await.status, 404);
    }
    assert_eq!(world.size().await, size);
}

/// A world whose log lets `rival` in just before the next append.
pub async fn raced(steps: &[Step], rival: impl FnOnce(&World) -> RecordedEvent) -> World {
    let world = order_after(steps).await;
    let rival = rival(&world);
    World::over(world.store.clone(), Environment::Dev, |store| {
        Arc::new(Log::Racing(store, Mutex::new(vec![rival])))
    })
}

#[tokio::test]
async fn who_loses_the_race_for_a_slot_decides_again() {
    let world = raced(&[Reserved, Paid], |world| world.by_a_rival(Shipped.event("ord-1"))).await;
    let reply = world.delete("/orders/ord-1").await;
    assert_eq!((reply.status, &reply.body["current_status"]), (409, &json!("SHIPPED")));

    let world = raced(&[Reserved, Paid], |world| world.by_a_rival(Shipped.event("ord-1"))).await;
    let reply = world.patch("/orders/ord-1", json!({"status": "SHIPPED"})).await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("SHIPPED")));
}

#[tokio::test]
async fn what_would_be_lost_of_a_change_that_is_made_already_is_a_conflict() {
    let world = order_after(&[Reserved, Paid]).await;
    let ship = json!({"status": "SHIPPED", "carrier": "Parcels & Sons", "tracking": "PS-1"});
    for _ in 0..2 {
        assert_eq!(world.patch("/orders/ord-1", ship.clone()).await.status, 200);
    }
    assert_eq!(world.patch("/orders/ord-1", json!({"status": "SHIPPED"})).await.status, 200);
    for other in [json!({"carrier": "Others"}), json!({"tracking": "PS-2"})] {
        let mut change = other;
        change["status"] = json!("SHIPPED");
        assert_eq!(to_with(&world, change).await, (409, "stands_otherwise".to_owned()));
    }

    let by_card = order_after(&[Reserved, Paid]).await;
    let transfer = json!({"status": "PAID", "reference": "transfer 4711"});
    assert_eq!(to_with(&by_card, transfer.clone()).await, (409, "stands_otherwise".to_owned()));
    let by_transfer = order_after(&[Reserved]).await;
    assert_eq!(by_transfer.patch("/orders/ord-1", transfer.clone()).await.status, 202);
    by_transfer.bring("ord-1", &[Paid]).await;
    assert_eq!(by_transfer.patch("/orders/ord-1", transfer).await.status, 200);
    let other = json!({"status": "PAID", "reference": "transfer 4712"});
    assert_eq!(to_with(&by_transfer, other).await, (409, "stands_otherwise".to_owned()));

    // Whoever wants it cancelled has what they want.
    let cancelled = order_after(&[Cancelled]).await;
    let again = json!({"status": "CANCELLED", "reason": "another one"});
    assert_eq!(cancelled.patch("/orders/ord-1", again).await.status, 200);
}

async fn to_with(world: &World, change: Value) -> (u16, String) {
    let reply = world.patch("/orders/ord-1", change).await;
    (reply.status, reply.code().to_owned())
}

#[tokio::test]
async fn a_slot_that_an_unreadable_event_holds_is_a_conflict_and_no_endless_loop() {
    let world = order_after(&[Reserved]).await;
    let raw =
        json!({"pk": "EVENTS#ORDER_ID#ord-1", "sk": "EVENT#Closing", "event_name": "ORDER_RETRACTED_EVENT"});
    assert_eq!(world.post("/chaos/raw-events", raw).await.status, 202);
    let reply = world.delete("/orders/ord-1").await;
    assert_eq!((reply.status, reply.code()), (409, "slot_taken"));
}
