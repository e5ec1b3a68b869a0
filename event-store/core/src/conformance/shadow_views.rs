//! What must hold of [`ShadowViews`](crate::ShadowViews).

use super::AllPorts;
use super::catalog_views::{ada, customer, customer_id, product};
use super::given::{noted, order_id, received, second, sku, soon, stock_row, store};
use super::order_views::{IDS, bare, full};
use crate::rows::{CustomerRow, OrderRow, View, ViewRow};
use crate::shadow::{Copy, Progress};
use crate::views::{After, OrderQuery, Page, Window};

pub async fn nothing_is_there_before_a_replay_begins(views: &dyn AllPorts) {
    for view in View::ALL {
        assert_eq!(views.progress(view).await, Ok(None));
        for copy in [Copy::Live, Copy::Shadow] {
            assert_eq!(views.rows(view, copy, None, 10).await, Ok(Vec::new()));
            assert_eq!(views.row(view, copy, "o-1").await, Ok(None));
        }
        assert_eq!(views.discard(view).await, Ok(()));
    }
}

pub async fn live_rows_are_those_that_clients_see(views: &dyn AllPorts) {
    let rows = full("id-1", 1);
    views.put(rows.clone()).await.unwrap();
    views.put_customer(customer("id-1", 1, 1)).await.unwrap();
    views.put_personal(&customer_id("id-1"), ada()).await.unwrap();
    views.put_product(product("id-1", "apple", "Apple", 1)).await.unwrap();
    store(views, received("id-1", 3, 1)).await;
    let seen = [
        ViewRow::Order(rows.order),
        ViewRow::Payment(rows.payment.unwrap()),
        ViewRow::Delivery(rows.delivery.unwrap()),
        ViewRow::Customer(CustomerRow { personal: ada(), ..customer("id-1", 1, 1) }),
        ViewRow::Product(product("id-1", "apple", "Apple", 1)),
        ViewRow::Stock(stock_row("id-1", [3, 0, 0], [1, 1]).unwrap()),
    ];
    for row in seen {
        let view = row.view();
        assert_eq!(views.row(view, Copy::Live, "id-1").await, Ok(Some(row.clone())));
        assert_eq!(views.row(view, Copy::Live, "id-2").await, Ok(None));
        assert_eq!(views.row(view, Copy::Shadow, "id-1").await, Ok(None));
        soon(view, vec![row], async || views.rows(view, Copy::Live, None, 10).await.unwrap()).await;
    }
}

pub async fn rows_come_in_the_order_of_their_keys(views: &dyn AllPorts) {
    for id in IDS {
        views.put(full(id, 1)).await.unwrap();
        views.put_customer(customer(id, 1, 1)).await.unwrap();
        views.put_product(product(id, id, id, 1)).await.unwrap();
        store(views, received(id, 1, 1)).await;
    }
    for view in View::ALL {
        let mut rows: Vec<ViewRow> = IDS.iter().map(|id| a_row(view, id)).collect();
        views.put_shadow(view, rows.clone(), progress(1)).await.unwrap();
        rows.sort_by(|one, other| one.id().cmp(other.id()));
        for copy in [Copy::Live, Copy::Shadow] {
            soon((view, copy), rows.clone(), async || views.rows(view, copy, None, 100).await.unwrap()).await;
            for (n, row) in (1..).zip(&rows) {
                for limit in [1, 2, 5] {
                    let behind: Vec<ViewRow> = rows.iter().skip(n).take(limit).cloned().collect();
                    let found = views.rows(view, copy, Some(row.id()), limit).await;
                    assert_eq!(found, Ok(behind), "{limit} of {view} {copy:?} behind {}", row.id());
                }
            }
            // A key that is not there is a place all the same.
            let from_b: Vec<ViewRow> = rows.iter().filter(|row| row.id() > "b").cloned().collect();
            assert_eq!(views.rows(view, copy, Some("b"), 100).await, Ok(from_b), "{view} {copy:?}");
        }
    }
}

pub async fn the_shadow_is_not_the_live_copy(views: &dyn AllPorts) {
    let live = bare("o-1", 1);
    views.put(live.clone()).await.unwrap();
    let shadow = [order("o-1", 9, 2), order("o-2", 9, 2)];
    let rows: Vec<ViewRow> = shadow.iter().cloned().map(ViewRow::Order).collect();
    views.put_shadow(View::Orders, rows.clone(), progress(1)).await.unwrap();

    assert_eq!(views.order(&order_id("o-1")).await, Ok(Some(live.order.clone())));
    assert_eq!(views.order(&order_id("o-2")).await, Ok(None));
    let query = OrderQuery { window: Window { limit: 10, ..Window::default() }, ..OrderQuery::default() };
    let page = Page { rows: vec![live.order.clone()], next: None };
    soon("the list", page, async || views.orders(&query).await.unwrap()).await;
    assert_eq!(views.rows(View::Orders, Copy::Shadow, None, 10).await, Ok(rows));

    // Nor does writing the live copy touch the shadow.
    let newer = order("o-1", 5, 3);
    let rows = crate::OrderRows { order: newer.clone(), ..live };
    assert_eq!(views.put(rows).await, Ok(true));
    assert_eq!(views.order(&newer.order_id).await, Ok(Some(newer)));
    let [first, _] = shadow;
    assert_eq!(views.row(View::Orders, Copy::Shadow, "o-1").await, Ok(Some(ViewRow::Order(first))));
}

pub async fn the_shadow_takes_rows_whatever_was_there(views: &dyn AllPorts) {
    for (n, seen) in (1..).zip([5, 4, 5, 6]) {
        let row = ViewRow::Order(order("o-1", seen, n));
        views.put_shadow(View::Orders, vec![row.clone()], progress(u64::from(n))).await.unwrap();
        assert_eq!(views.row(View::Orders, Copy::Shadow, "o-1").await, Ok(Some(row)));
    }
}

pub async fn progress_is_kept_for_each_read_model(views: &dyn AllPorts) {
    for (n, view) in (1..).zip(View::ALL) {
        views.put_shadow(view, Vec::new(), progress(n)).await.unwrap();
        views.put_shadow(view, vec![a_row(view, "id-1")], progress(10 * n)).await.unwrap();
    }
    for (n, view) in (1..).zip(View::ALL) {
        assert_eq!(views.progress(view).await, Ok(Some(progress(10 * n))), "{view}");
    }
}

pub async fn discarding_drops_one_shadow_and_its_progress(views: &dyn AllPorts) {
    views.put(bare("id-1", 1)).await.unwrap();
    let rows = |view| vec![a_row(view, "id-1"), a_row(view, "id-2")];
    for view in View::ALL {
        views.put_shadow(view, rows(view), progress(1)).await.unwrap();
    }
    for (n, view) in View::ALL.into_iter().enumerate() {
        // Twice is once.
        views.discard(view).await.unwrap();
        views.discard(view).await.unwrap();
        for (m, other) in View::ALL.into_iter().enumerate() {
            let (left, begun) = if m <= n { (vec![], None) } else { (rows(other), Some(progress(1))) };
            assert_eq!(views.rows(other, Copy::Shadow, None, 10).await, Ok(left), "{other}");
            assert_eq!(views.progress(other).await, Ok(begun), "{other}");
        }
    }
    assert_eq!(views.order(&order_id("id-1")).await, Ok(Some(bare("id-1", 1).order)));
}

pub async fn adopting_does_not_overwrite_a_live_row_that_has_seen_more(views: &dyn AllPorts) {
    for (id, seen) in [("o-1", 4), ("o-2", 5), ("o-3", 6), ("o-5", 7)] {
        for n in 1..=6 {
            store(views, noted(&format!("EVENTS#ORDER_ID#{id}"), &format!("EVENT#{n}"), n)).await;
        }
        let rows = crate::OrderRows { order: order(id, seen, 1), payment: None, delivery: None };
        views.put(rows).await.unwrap();
    }
    // The last one claims to have seen more than its stream holds: nobody will ever write a newer one.
    let adopted = ["o-1", "o-2", "o-3", "o-4", "o-5"].map(|id| order(id, 5, 2));
    let rows = adopted.iter().cloned().map(ViewRow::Order).collect();
    views.adopt(rows, View::Orders, Vec::new()).await.unwrap();
    let [older, equal, _, absent, overstated] = adopted;
    for row in [older, equal, order("o-3", 6, 1), absent, overstated] {
        assert_eq!(views.order(&row.order_id.clone()).await, Ok(Some(row)));
    }
}

pub async fn adopting_takes_away_what_is_gone(views: &dyn AllPorts) {
    for id in ["id-1", "id-2"] {
        views.put(full(id, 1)).await.unwrap();
        views.put_customer(customer(id, 1, 1)).await.unwrap();
        views.put_product(product(id, id, id, 1)).await.unwrap();
    }
    for view in [View::Orders, View::Payments, View::Deliveries, View::Customers, View::Products] {
        let gone = vec!["id-1".to_owned(), "id-9".to_owned()];
        views.adopt(Vec::new(), view, gone).await.unwrap();
        assert_eq!(views.row(view, Copy::Live, "id-1").await, Ok(None), "{view}");
        assert_eq!(views.row(view, Copy::Live, "id-2").await, Ok(Some(a_row(view, "id-2"))), "{view}");
    }
}

pub async fn adopting_keeps_personal_data(views: &dyn AllPorts) {
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    views.put_personal(&customer_id("ada"), ada()).await.unwrap();
    for seen in [1, 2] {
        let rebuilt = customer("ada", seen, 5);
        views.adopt(vec![ViewRow::Customer(rebuilt.clone())], View::Customers, Vec::new()).await.unwrap();
        let row = CustomerRow { personal: ada(), ..rebuilt };
        assert_eq!(views.customer(&customer_id("ada")).await, Ok(Some(row)));
    }
}

pub async fn adopting_forgets_who_was_erased(views: &dyn AllPorts) {
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    views.put_personal(&customer_id("ada"), ada()).await.unwrap();
    let erased = CustomerRow { erased: true, ..customer("ada", 2, 1) };
    views.adopt(vec![ViewRow::Customer(erased.clone())], View::Customers, Vec::new()).await.unwrap();
    assert_eq!(views.customer(&customer_id("ada")).await, Ok(Some(erased)));
    assert_eq!(views.put_personal(&customer_id("ada"), ada()).await, Ok(false));
}

pub async fn adopting_orders_leaves_their_payments_alone(views: &dyn AllPorts) {
    let rows = full("o-1", 1);
    views.put(rows.clone()).await.unwrap();
    let adopted = order("o-1", 9, 2);
    let gone = vec!["o-2".to_owned()];
    views.adopt(vec![ViewRow::Order(adopted.clone())], View::Orders, gone).await.unwrap();
    assert_eq!(views.order(&adopted.order_id).await, Ok(Some(adopted.clone())));
    assert_eq!(views.payment(&adopted.order_id).await, Ok(rows.payment));
    assert_eq!(views.delivery(&adopted.order_id).await, Ok(rows.delivery));
    // From now on the gate is what was adopted.
    let late = crate::OrderRows { order: order("o-1", 9, 3), payment: None, delivery: None };
    assert_eq!(views.put(late).await, Ok(false));
    assert_eq!(views.order(&adopted.order_id).await, Ok(Some(adopted)));
}

pub async fn adopted_rows_are_found_and_gone_ones_are_not(views: &dyn AllPorts) {
    for id in ["o-1", "o-2"] {
        views.put(bare(id, 1)).await.unwrap();
        views.put_product(product(id, id, id, 1)).await.unwrap();
    }
    let orders = ["o-1", "o-3"].map(|id| OrderRow { open: false, ..order(id, 5, 7) });
    let rows = orders.iter().cloned().map(ViewRow::Order).collect();
    views.adopt(rows, View::Orders, vec!["o-2".into()]).await.unwrap();
    let renamed = product("o-1", "new", "new", 1);
    views.adopt(vec![ViewRow::Product(renamed.clone())], View::Products, vec!["o-2".into()]).await.unwrap();

    let [first, third] = orders;
    let window = Window { limit: 1, ..Window::default() };
    let closed = |after| OrderQuery {
        open: Some(false),
        window: Window { after, ..window.clone() },
        ..OrderQuery::default()
    };
    let behind = Some(After { created_at: second(7), id: "o-3".into() });
    let page = Page { rows: vec![third], next: behind.clone() };
    soon("page 1", page, async || views.orders(&closed(None)).await.unwrap()).await;
    let page = Page { rows: vec![first], next: None };
    soon("page 2", page, async || views.orders(&closed(behind.clone())).await.unwrap()).await;
    let open = OrderQuery { open: Some(true), window: window.clone(), ..OrderQuery::default() };
    let nothing = Page { rows: Vec::new(), next: None };
    soon("open", nothing, async || views.orders(&open).await.unwrap()).await;

    soon("new name", Some(renamed), async || views.product_by_name("new").await.unwrap()).await;
    for name in ["o-1", "o-2"] {
        soon(name, None, async || views.product_by_name(name).await.unwrap()).await;
        soon(name, None, async || views.product_by_sku(&sku(name)).await.unwrap()).await;
    }
}

/// An order of the n-th second that was folded from so many events.
fn order(id: &str, seen: u32, n: u32) -> OrderRow {
    OrderRow { seen, ..bare(id, n).order }
}

/// The row that [`bare`], [`full`] and the others of the first second make in a read model.
fn a_row(view: View, id: &str) -> ViewRow {
    match view {
        View::Orders => ViewRow::Order(full(id, 1).order),
        View::Payments => ViewRow::Payment(full(id, 1).payment.unwrap()),
        View::Deliveries => ViewRow::Delivery(full(id, 1).delivery.unwrap()),
        View::Customers => ViewRow::Customer(customer(id, 1, 1)),
        View::Products => ViewRow::Product(product(id, id, id, 1)),
        View::Stock => ViewRow::Stock(stock_row(id, [1, 0, 0], [1, 1]).unwrap()),
    }
}

fn progress(n: u64) -> Progress {
    let segments = vec![(None, false), (Some(format!("cursor '{n}' ü")), false), (Some(String::new()), true)];
    Progress { began_at: n, segments, events: n * 1000 }
}
