//! A replay that is swapped in leaves no row of an order behind.

use std::sync::Arc;

use event_store::memory::MemoryStore;
use event_store::{OrderRows, OrderViews, View};
use events::{EventName, RecordedEvent};
use views::project::order_rows;
use views::replay;
use views::replay::Mode;

use crate::audit::{ports, stored};
use crate::given::{event, item, order_id};

#[tokio::test]
async fn a_swap_that_overtakes_the_orders_worker_leaves_none_of_the_orders_rows_behind_for_good() {
    let stream = story();
    let (early, now) = (order_rows(&stream[..3]).unwrap(), order_rows(&stream).unwrap());
    assert!(early.payment != now.payment && early.delivery != now.delivery, "each view has to move");
    for view in [View::Orders, View::Payments, View::Deliveries] {
        let store = Arc::new(MemoryStore::new());
        stored(&store, &stream).await;
        store.put(early.clone()).await.unwrap();
        let report =
            replay(&ports(&store), view, Mode { diff: true, swap: true }, 1, &|_, _| {}).await.unwrap();
        assert!(report.swapped && report.difference_count > 0, "{view}");
        assert_eq!(shown(&store).await, now, "after a replay of {view}");
        // The worker comes late, and is taken for what it is.
        store.put(now.clone()).await.unwrap();
        assert_eq!(shown(&store).await, now, "after a replay of {view} and the worker");
    }
}

/// An order that is delivered in the end; the first three are what its rows have seen.
fn story() -> Vec<RecordedEvent> {
    let names = [
        EventName::OrderPlaced,
        EventName::ReserveInventory,
        EventName::InventoryReserved,
        EventName::PaymentAttempted,
        EventName::OrderPaymentAccepted,
        EventName::InventoryCommitted,
        EventName::OrderShipped,
        EventName::OrderDelivered,
    ];
    names.into_iter().zip(1..).map(|(name, id)| item(event(name), id)).collect()
}

async fn shown(store: &MemoryStore) -> OrderRows {
    let id = order_id();
    OrderRows {
        order: store.order(&id).await.unwrap().unwrap(),
        payment: store.payment(&id).await.unwrap(),
        delivery: store.delivery(&id).await.unwrap(),
    }
}
