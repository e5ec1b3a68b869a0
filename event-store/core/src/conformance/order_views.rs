//! What must hold of [`OrderViews`].

use events::{CustomerId, OrderLine, PaidBy, Priority};
use futures_util::future::join_all;
use orders::{Status, StatusReason};

use super::AllPorts;
use super::given::{euro, euros, order_id, second, sku, soon, soon_listed, units};
use crate::rows::{
    DeliveryRow, DeliveryStatus, OrderRow, OrderRows, PaymentRow, PaymentStatus, View, ViewRow,
};
use crate::views::{After, OrderQuery, OrderViews, Page, Window};

pub async fn what_was_never_written_is_not_there(views: &dyn OrderViews) {
    let id = order_id("o-1");
    assert_eq!(views.order(&id).await, Ok(None));
    assert_eq!(views.payment(&id).await, Ok(None));
    assert_eq!(views.delivery(&id).await, Ok(None));
    let window = Window { limit: 10, ..Window::default() };
    let nothing = Ok(Page { rows: Vec::new(), next: None });
    assert_eq!(views.orders(&OrderQuery { window: window.clone(), ..OrderQuery::default() }).await, nothing);
    assert_eq!(views.payments(&window).await, Ok(Page { rows: Vec::new(), next: None }));
}

pub async fn rows_come_back_as_they_were_written(views: &dyn OrderViews) {
    for rows in [bare("o-1", 1), full("o-2", 2), full("o 3 'ü🦀", 3)] {
        assert_eq!(views.put(rows.clone()).await, Ok(true));
        assert_there(views, &rows).await;
    }
    let statuses = (0..).zip(Status::ALL);
    for (n, status) in statuses {
        let mut rows = bare(&format!("o-s-{n}"), n + 1);
        rows.order.status = status;
        assert_eq!(views.put(rows.clone()).await, Ok(true));
        assert_there(views, &rows).await;
    }
}

pub async fn a_row_is_written_only_if_it_has_seen_more(views: &dyn OrderViews) {
    let stored = seen(full("o-1", 1), 5);
    assert_eq!(views.put(stored.clone()).await, Ok(true));
    for late in [1, 4, 5] {
        assert_eq!(views.put(seen(full("o-1", 2), late)).await, Ok(false), "{late} after 5");
        assert_there(views, &stored).await;
    }
    for newer in [6, 7, 100] {
        let rows = seen(full("o-1", 3), newer);
        assert_eq!(views.put(rows.clone()).await, Ok(true), "{newer}");
        assert_there(views, &rows).await;
    }
}

pub async fn the_payment_and_the_delivery_are_written_with_the_order_or_not_at_all(views: &dyn OrderViews) {
    let first = seen(bare("o-1", 1), 3);
    assert_eq!(views.put(first.clone()).await, Ok(true));
    assert_eq!(views.put(seen(full("o-1", 1), 3)).await, Ok(false));
    assert_there(views, &first).await;

    let newer = seen(full("o-1", 1), 4);
    assert_eq!(views.put(newer.clone()).await, Ok(true));
    assert_there(views, &newer).await;

    // The gate is the order's `seen`, whatever the other two say.
    let mut late = seen(full("o-1", 2), 4);
    late.payment.as_mut().unwrap().seen = 9;
    late.delivery.as_mut().unwrap().seen = 9;
    assert_eq!(views.put(late).await, Ok(false));
    assert_there(views, &newer).await;
}

pub async fn rows_whose_writer_died_half_way_are_completed_by_the_next(views: &dyn AllPorts) {
    assert_eq!(views.put(seen(full("o-1", 1), 4)).await, Ok(true));
    // What it can leave behind: the payment is there, the order is not.
    let newer = seen(full("o-1", 2), 5);
    let payment = newer.payment.clone().map(ViewRow::Payment);
    views.adopt(payment.into_iter().collect(), View::Payments, Vec::new()).await.unwrap();
    assert_eq!(views.put(newer.clone()).await, Ok(true));
    assert_there(views, &newer).await;
}

pub async fn of_many_writes_at_once_the_one_that_saw_most_stays(views: &dyn OrderViews) {
    let writes = (1..=30).map(|n| views.put(seen(full("o-1", n), n * 7 % 31)));
    assert!(join_all(writes).await.contains(&Ok(true)));
    let most = (1..=30).max_by_key(|n| n * 7 % 31).unwrap();
    assert_there(views, &seen(full("o-1", most), 30)).await;
}

pub async fn orders_are_listed_by_time_and_key_page_by_page(views: &dyn OrderViews) {
    let orders = put_twelve(views).await;
    soon_listed("all orders", orders, &[1, 2, 3, 11, 12, 13], place, async |window| {
        views.orders(&OrderQuery { window, ..OrderQuery::default() }).await.unwrap()
    })
    .await;
}

pub async fn every_condition_of_a_query_holds(views: &dyn OrderViews) {
    let orders = put_twelve(views).await;
    for query in every_query() {
        let asked = orders.iter().filter(|row| {
            query.customer_id.as_ref().is_none_or(|customer| *customer == row.customer_id)
                && query.status.is_none_or(|status| status == row.status)
                && query.from.is_none_or(|from| from <= row.created_at)
                && query.until.is_none_or(|until| until > row.created_at)
                && query.open.is_none_or(|open| open == row.open)
        });
        soon_listed(&query, asked.cloned().collect(), &[2, 50], place, async |window| {
            views.orders(&OrderQuery { window, ..query.clone() }).await.unwrap()
        })
        .await;
    }
}

pub async fn a_list_shows_what_a_row_says_now(views: &dyn OrderViews) {
    let mut rows = bare("o-1", 1);
    views.put(rows.clone()).await.unwrap();
    rows.order.status = Status::Paid;
    rows.order.open = false;
    views.put(seen(rows.clone(), 2)).await.unwrap();
    let now = seen(rows, 2).order;
    let window = Window { limit: 10, ..Window::default() };
    for (status, open, found) in [
        (Some(Status::Paid), None, vec![now.clone()]),
        (Some(Status::PendingInventory), None, vec![]),
        (None, Some(false), vec![now.clone()]),
        (None, Some(true), vec![]),
        (None, None, vec![now]),
    ] {
        let query = OrderQuery { status, open, window: window.clone(), ..OrderQuery::default() };
        let expected = Page { rows: found, next: None };
        soon(&query, expected, async || views.orders(&query).await.unwrap()).await;
    }
}

pub async fn a_list_goes_on_although_its_last_row_left_it(views: &dyn OrderViews) {
    let [mut first, second] = [bare("o-2", 2), bare("o-1", 1)];
    views.put(first.clone()).await.unwrap();
    views.put(second.clone()).await.unwrap();
    let pending = |after| OrderQuery {
        status: Some(Status::PendingInventory),
        window: Window { limit: 1, after, ..Window::default() },
        ..OrderQuery::default()
    };
    let behind_first = Some(place(&first.order));
    let expected = Page { rows: vec![first.order.clone()], next: behind_first.clone() };
    soon("the first page", expected, async || views.orders(&pending(None)).await.unwrap()).await;

    first.order.status = Status::Confirmed;
    assert_eq!(views.put(seen(first, 2)).await, Ok(true));
    let expected = Page { rows: vec![second.order], next: None };
    soon("the next", expected, async || views.orders(&pending(behind_first.clone())).await.unwrap()).await;
}

pub async fn payments_are_listed_by_time_and_key_page_by_page(views: &dyn OrderViews) {
    let mut payments = Vec::new();
    for (n, id) in (0..).zip(IDS) {
        // Paid in another order than placed; every second one is not there yet.
        let mut rows = if n % 2 == 0 { full(id, 20 - n) } else { bare(id, n + 1) };
        if let Some(payment) = &mut rows.payment {
            payment.created_at = second(u64::from(n / 4));
            payments.push(payment.clone());
        }
        views.put(rows).await.unwrap();
    }
    let place = |row: &PaymentRow| After { created_at: row.created_at, id: row.order_id.to_string() };
    soon_listed("payments", payments, &[1, 2, 3, 6, 7], place, async |window| {
        views.payments(&window).await.unwrap()
    })
    .await;
}

/// Keys whose order is that of their bytes: no language's, no number's, and case counts.
pub(super) const IDS: [&str; 12] =
    ["b-2", "B-1", "a-10", "a-9", "zz", "_x", "é-1", "e-1", "a", "aa", "10", "9"];

/// Twelve orders of three customers in every state, three at each moment.
async fn put_twelve(views: &dyn OrderViews) -> Vec<OrderRow> {
    let mut orders = Vec::new();
    for (n, id) in (0..).zip(IDS) {
        let mut rows = bare(id, 1);
        rows.order.customer_id = customer(["ada", "bob", "ada", "cleo", "ada"][n % 5]);
        rows.order.status = Status::ALL[n % 4];
        rows.order.open = n % 3 != 0;
        rows.order.created_at = second((n / 3) as u64);
        orders.push(rows.order.clone());
        assert_eq!(views.put(rows).await, Ok(true));
    }
    orders
}

/// Every way of asking: with and without each condition.
fn every_query() -> Vec<OrderQuery> {
    let mut queries = Vec::new();
    for customer_id in [None, Some(customer("ada")), Some(customer("nobody"))] {
        for status in [None, Some(Status::PendingInventory), Some(Status::Cancelled)] {
            for (from, until) in [(None, None), (Some(1), None), (None, Some(3)), (Some(1), Some(2))] {
                for open in [None, Some(true), Some(false)] {
                    queries.push(OrderQuery {
                        customer_id: customer_id.clone(),
                        status,
                        from: from.map(second),
                        until: until.map(second),
                        open,
                        window: Window::default(),
                    });
                }
            }
        }
    }
    queries
}

async fn assert_there(views: &dyn OrderViews, rows: &OrderRows) {
    let id = &rows.order.order_id;
    assert_eq!(views.order(id).await.as_ref(), Ok(&Some(rows.order.clone())));
    assert_eq!(views.payment(id).await.as_ref(), Ok(&rows.payment));
    assert_eq!(views.delivery(id).await.as_ref(), Ok(&rows.delivery));
}

fn place(row: &OrderRow) -> After {
    After { created_at: row.created_at, id: row.order_id.to_string() }
}

fn customer(id: &str) -> CustomerId {
    CustomerId::recorded(id).unwrap()
}

fn seen(mut rows: OrderRows, seen: u32) -> OrderRows {
    rows.order.seen = seen;
    rows.payment.iter_mut().for_each(|row| row.seen = seen);
    rows.delivery.iter_mut().for_each(|row| row.seen = seen);
    rows
}

/// An order that was placed in the n-th second, and nothing else: every optional field is absent.
pub(super) fn bare(id: &str, n: u32) -> OrderRows {
    let moment = second(u64::from(n));
    let order = OrderRow {
        order_id: order_id(id),
        seen: 1,
        status: Status::PendingInventory,
        status_reason: None,
        status_detail: None,
        customer_id: customer("ada"),
        items: vec![OrderLine { sku: sku("apple"), quantity: units(1), unit_price: None, name: None }],
        total: euros(i64::from(n)),
        currency: euro(),
        priority: Priority::Standard,
        pending: Vec::new(),
        open: true,
        created_at: moment,
        updated_at: moment,
    };
    OrderRows { order, payment: None, delivery: None }
}

/// An order of the n-th second to which everything happened: every optional field is there.
pub(super) fn full(id: &str, n: u32) -> OrderRows {
    let (moment, later) = (second(u64::from(n)), second(u64::from(n) + 60));
    let mut order = bare(id, n).order;
    order.status = Status::Cancelled;
    order.status_reason = Some(StatusReason::CancelledOnRequest);
    order.status_detail = Some("changed my mind, 'sorry' 🙈".into());
    order.items = (1..=3)
        .map(|item| OrderLine {
            sku: sku(&format!("sku {item}")),
            quantity: units(item),
            unit_price: Some(euros(item as i64)),
            name: Some(format!("Ding № {item}")),
        })
        .collect();
    order.priority = Priority::Express;
    order.pending = vec!["OrderShipped".into(), "OrderDelivered".into()];
    order.open = false;
    order.updated_at = later;
    let payment = PaymentRow {
        order_id: order.order_id.clone(),
        seen: 1,
        status: PaymentStatus::Refunded,
        payment_id: Some(format!("pay-{n}")),
        by: Some(PaidBy::Operator),
        reason: Some("was not for us".into()),
        amount: order.total,
        currency: euro(),
        attempts: 4,
        retries: 3,
        created_at: moment,
        updated_at: later,
    };
    let delivery = DeliveryRow {
        order_id: order.order_id.clone(),
        seen: 1,
        status: DeliveryStatus::Delivered,
        carrier: Some("Köhler & Söhne".into()),
        tracking: Some(format!("parcel {n}")),
        created_at: moment,
        updated_at: later,
    };
    OrderRows { order, payment: Some(payment), delivery: Some(delivery) }
}
