//! Stock.

use events::{Event, LotId, Quantity, Sku, StockDelta, StockReceived};
use serde_json::json;

use crate::world::World;

async fn receive(world: &World, sku: &str, lot: &str, units: u64) {
    let (sku, units) = (Sku::parse(sku).unwrap(), Quantity::new(units).unwrap());
    let delta = StockDelta::receive(&sku, units);
    let received = StockReceived { sku, units, lot_id: LotId::parse(lot).unwrap() };
    world.append_moving(Event::StockReceived(received), vec![delta]).await;
}

#[tokio::test]
async fn a_lot_is_taken_once_and_its_units_are_not_negotiable() {
    let world = World::empty();
    let lot = json!({"sku": "lamp", "units": 5, "lot_id": "lot-1"});
    for _ in 0..2 {
        let reply = world.post("/inventory/restocks", lot.clone()).await;
        assert_eq!((reply.status, &reply.body, world.size().await), (202, &lot, 1));
    }
    let other =
        world.post("/inventory/restocks", json!({"sku": "lamp", "units": 6, "lot_id": "lot-1"})).await;
    assert_eq!((other.status, other.code(), world.size().await), (409, "lot_exists", 1));
    let another_sku =
        world.post("/inventory/restocks", json!({"sku": "sock", "units": 6, "lot_id": "lot-1"})).await;
    assert_eq!((another_sku.status, world.size().await), (202, 2));
}

#[tokio::test]
async fn stock_is_what_the_counters_say() {
    let world = World::empty();
    receive(&world, "lamp", "lot-1", 5).await;
    receive(&world, "lamp", "lot-2", 7).await;
    let reply = world.get("/inventory/skus/lamp").await;
    assert_eq!((reply.status, &reply.body["available"], &reply.body["sold"]), (200, &json!(12), &json!(0)));
    assert_eq!(world.get("/inventory/skus").await.body["skus"], json!([reply.body]));
    assert_eq!(world.get("/inventory/skus/sock").await.code(), "sku_not_found");
}

#[tokio::test]
async fn the_ledger_has_every_movement_once_whatever_the_pages() {
    let world = World::empty();
    for i in 0..7 {
        receive(&world, "lamp", &format!("lot-{i}"), i + 1).await;
        receive(&world, "sock", &format!("lot-{i}"), 1).await;
    }
    for limit in [1, 2, 7, 8] {
        let (mut units, mut token) = (Vec::new(), String::new());
        loop {
            let body = world.get(&format!("/inventory/skus/lamp/ledger?limit={limit}{token}")).await.body;
            let entries = body["entries"].as_array().unwrap();
            assert!(!entries.is_empty() && entries.len() <= limit);
            units.extend(entries.iter().map(|entry| entry["available"].as_u64().unwrap()));
            let Some(next) = body.get("next_token") else { break };
            token = format!("&next_token={}", next.as_str().unwrap());
        }
        assert_eq!(units, [1, 2, 3, 4, 5, 6, 7], "{limit}");
    }
    assert_eq!(world.get("/inventory/skus/none/ledger").await.status, 404);
    // A token of one SKU's ledger does not open another's.
    let token = world.get("/inventory/skus/lamp/ledger?limit=1").await.body["next_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(world.get(&format!("/inventory/skus/sock/ledger?next_token={token}")).await.status, 400);
}

#[tokio::test]
async fn checking_adds_up_lines_of_one_sku_and_holds_nothing() {
    let world = World::empty();
    receive(&world, "lamp", "lot-1", 5).await;
    let size = world.size().await;
    let check = |items| world.post("/inventory/check", json!({"items": items}));
    let enough = check(json!([{"sku": "lamp", "quantity": 5}])).await;
    let line = json!({"sku": "lamp", "requested": 5, "available": 5, "enough": true});
    assert_eq!((enough.status, enough.body), (200, json!({"enough": true, "items": [line]})));
    let lines = json!([{"sku": "lamp", "quantity": 3}, {"sku": "none", "quantity": 1}, {"sku": "lamp", "quantity": 3}]);
    assert_eq!(
        check(lines).await.body,
        json!({"enough": false, "items": [
            {"sku": "lamp", "requested": 6, "available": 5, "enough": false},
            {"sku": "none", "requested": 1, "available": 0, "enough": false},
        ]})
    );
    assert_eq!(world.size().await, size);
}
