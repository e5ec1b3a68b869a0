//! What must hold of [`StockViews`](crate::StockViews).

use events::{RecordedEvent, StockDelta};

use super::AllPorts;
use super::given::{
    moving, noted, received, reserve, second, sku, soon, soon_listed, stock_row, store, units,
};
use super::order_views::IDS;
use crate::log::Appended;
use crate::rows::{LedgerEntry, StockRow};
use crate::views::{After, Page, StockViews, Window};

pub async fn a_sku_that_was_never_received_has_no_stock(store: &dyn AllPorts) {
    assert_eq!(store.stock(&sku("apple")).await, Ok(None));
    assert_eq!(store.ledger(&sku("apple"), 0, 10).await, Ok(Vec::new()));
    let window = Window { limit: 10, ..Window::default() };
    assert_eq!(store.stocks(&window).await, Ok(Page { rows: Vec::new(), next: None }));
}

pub async fn stock_is_what_the_log_moved(log: &dyn AllPorts) {
    let apple = sku("apple");
    let moves = [
        (StockDelta::receive(&apple, units(10)), [10, 0, 0]),
        (StockDelta::reserve(&apple, units(4)), [6, 4, 0]),
        (StockDelta::commit(&apple, units(3)), [6, 1, 3]),
        (StockDelta::release(&apple, units(1)), [7, 0, 3]),
        (StockDelta::give_back(&apple, units(2)), [9, 0, 1]),
    ];
    for (n, (delta, counters)) in (1..).zip(moves) {
        store(log, moving(n, vec![delta])).await;
        assert_eq!(log.stock(&apple).await, Ok(stock_row("apple", counters, [1, n])));
    }
    store(log, received("a p'ple 🍏", 2, 9)).await;
    assert_eq!(log.stock(&sku("a p'ple 🍏")).await, Ok(stock_row("a p'ple 🍏", [2, 0, 0], [9, 9])));
    assert_eq!(log.stock(&sku("Apple")).await, Ok(None));
}

pub async fn counters_and_ledger_are_of_one_moment(log: &dyn AllPorts) {
    let apple = sku("apple");
    assert_eq!(log.counted(&apple).await, Ok((None, None)));
    store(log, moving(1, vec![StockDelta::receive(&apple, units(1_000))])).await;
    // Somebody moves the counters while they are compared; they must agree at every look.
    let moves = async {
        for n in 2..200 {
            store(log, moving(n, vec![StockDelta::reserve(&apple, units(1))])).await;
        }
    };
    let looks = async {
        for _ in 0..100 {
            let (live, ledger) = log.counted(&apple).await.unwrap();
            assert_eq!(live, ledger);
        }
    };
    futures_util::future::join(moves, looks).await;
    let sum = stock_row("apple", [802, 198, 0], [1, 199]);
    assert_eq!(log.counted(&apple).await, Ok((sum.clone(), sum)));
}

pub async fn what_was_not_stored_moved_nothing(log: &dyn AllPorts) {
    let lot = store(log, received("apple", 3, 1)).await;
    let mut again = (*lot).clone();
    again.occurred_at = second(9);
    assert_eq!(log.append(again).await, Ok(Appended::Taken(lot.clone())));
    assert!(matches!(log.append(moving(2, vec![reserve("apple", 4)])).await, Ok(Appended::Short(_))));
    assert_eq!(log.stock(&sku("apple")).await, Ok(stock_row("apple", [3, 0, 0], [1, 1])));
    soon_ledger(log, "apple", vec![entry(&lot, [3, 0, 0])]).await;
}

pub async fn stocks_are_listed_by_time_and_key_page_by_page(log: &dyn AllPorts) {
    let mut stocks = Vec::new();
    // Three SKUs begin with one event, so at one moment.
    for (n, skus) in (1..).zip(IDS.chunks(3)) {
        let counters = skus.iter().map(|of| StockDelta::receive(&sku(of), units(n))).collect();
        store(log, moving(n, counters)).await;
        stocks.extend(skus.iter().filter_map(|of| stock_row(of, [n as i64, 0, 0], [n, n])));
    }
    let place = |row: &StockRow| After { created_at: row.created_at, id: row.sku.to_string() };
    soon_listed("stocks", stocks, &[1, 2, 3, 12, 13], place, async |window| {
        log.stocks(&window).await.unwrap()
    })
    .await;
}

pub async fn the_ledger_tells_every_movement_oldest_first(log: &dyn AllPorts) {
    let apple = sku("apple");
    let [two, one] = [2, 1].map(units);
    let lot = store(log, received("apple", 5, 1)).await;
    let reserved = store(log, moving(2, vec![reserve("apple", 2)])).await;
    store(log, received("pear", 5, 3)).await;
    store(log, noted("EVENTS#ORDER_ID#o-1", "EVENT#Forged", 4)).await;
    let both = store(log, moving(5, vec![reserve("pear", 1), StockDelta::commit(&apple, one)])).await;
    let released = store(log, moving(6, vec![StockDelta::release(&apple, one)])).await;
    let back = store(log, moving(7, vec![StockDelta::give_back(&apple, one)])).await;
    let more = store(log, moving(8, vec![StockDelta::receive(&apple, two)])).await;
    let entries = vec![
        entry(&lot, [5, 0, 0]),
        entry(&reserved, [-2, 2, 0]),
        entry(&both, [0, -1, 1]),
        entry(&released, [1, -1, 0]),
        entry(&back, [1, 0, -1]),
        entry(&more, [2, 0, 0]),
    ];
    soon_ledger(log, "apple", entries).await;
    soon_ledger(log, "Apple", Vec::new()).await;
}

pub async fn the_ledger_is_read_page_by_page(log: &dyn AllPorts) {
    let mut entries = Vec::new();
    for n in 1..=10 {
        entries.push(entry(&*store(log, received("apple", n, n)).await, [n as i64, 0, 0]));
        store(log, received("pear", n, 100 + n)).await;
    }
    soon_ledger(log, "apple", entries.clone()).await;
    for after in 0..=11 {
        for limit in [1, 2, 3, 10, 11] {
            let page: Vec<LedgerEntry> = entries.iter().skip(after).take(limit).cloned().collect();
            let found = log.ledger(&sku("apple"), after as u64, limit).await;
            assert_eq!(found, Ok(page), "{limit} behind {after}");
        }
    }
    for beyond in [1 << 32, 1 << 63, u64::MAX] {
        assert_eq!(log.ledger(&sku("apple"), beyond, 3).await, Ok(Vec::new()), "behind {beyond}");
    }
}

pub(super) async fn soon_ledger(log: &(impl StockViews + ?Sized), of: &str, entries: Vec<LedgerEntry>) {
    soon(of, entries, async || log.ledger(&sku(of), 0, 100).await.unwrap()).await;
}

pub(super) fn entry(event: &RecordedEvent, [available, reserved, sold]: [i64; 3]) -> LedgerEntry {
    LedgerEntry {
        event_id: event.event_id,
        event_name: event.event_name.to_string(),
        pk: event.pk.to_string(),
        occurred_at: event.occurred_at,
        available,
        reserved,
        sold,
    }
}
