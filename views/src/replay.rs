//! Replay: rebuilds a read model from the log alone, beside the live one, and says how they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use event_store::{ChangeFeed, Copy, Position, Progress, Segment, StockRow, StoreError, View, ViewRow};
use events::{RecordedEvent, Sku, StreamKey};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::compare::{Settled, comparable, compare_counters, rebuilt, settle_differences};
use crate::project::order_rows;
use crate::{Difference, Observe, Ports};

/// What to do with the rebuilt rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mode {
    /// Compare them with the live ones, row by row.
    pub diff: bool,
    /// Put them in the place of the live ones.
    pub swap: bool,
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The read model.
    pub view: View,
    /// Events folded.
    pub events: u64,
    /// Rows rebuilt.
    pub rows: u64,
    /// What differed, the first [`MAX_DIFFERENCES`].
    pub differences: Vec<Difference>,
    /// How many differences there were.
    pub difference_count: u64,
    /// Whether the rebuilt rows are live now.
    pub swapped: bool,
}

/// So many differences are named; all are counted.
pub const MAX_DIFFERENCES: usize = 1_000;
/// Events per page of the scan.
const PAGE: usize = 10_000;
/// Rows per page of the comparison.
const ROWS: usize = 1_000;

/// Rebuilds a read model. Safe under live traffic; begun again after a crash, it goes on where it was.
///
/// # Errors
/// The ports'.
pub async fn replay(
    ports: &Ports,
    view: View,
    mode: Mode,
    segments: u32,
    observe: Observe<'_>,
) -> Result<ReplayReport, StoreError> {
    // Sums over all streams need one reader; rows of single streams may be built by many.
    let segments = if view == View::Stock { 1 } else { segments.max(1) };
    let progress = Mutex::new(begin(ports, view, segments).await?);
    let of = lock(&progress).segments.len() as u32;
    let shares = (0..of).map(|index| rebuild(ports, view, Segment { index, of }, &progress, observe));
    try_join_all(shares).await?;
    let began_at = lock(&progress).began_at;
    if let Some(feed) = &ports.feed
        && view != View::Stock
    {
        catch_up(ports, feed.as_ref(), view, Position(began_at), &progress).await?;
    }
    let mut report = ReplayReport {
        view,
        events: lock(&progress).events,
        rows: 0,
        differences: Vec::new(),
        difference_count: 0,
        swapped: mode.swap,
    };
    Comparison { ports, view, mode }.run(&mut report).await?;
    ports.rows.discard(view).await?;
    Ok(report)
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().expect("nobody panics while holding the progress")
}

async fn begin(ports: &Ports, view: View, segments: u32) -> Result<Progress, StoreError> {
    // Sums are kept only when they are whole, so there is nothing to go on with.
    if view != View::Stock
        && let Some(progress) = ports.rows.progress(view).await?
    {
        return Ok(progress);
    }
    ports.rows.discard(view).await?;
    let began_at = match &ports.feed {
        Some(feed) => feed.head().await?.0,
        None => 0,
    };
    Ok(Progress { began_at, segments: vec![(None, false); segments as usize], events: 0 })
}

async fn rebuild(
    ports: &Ports,
    view: View,
    segment: Segment,
    progress: &Mutex<Progress>,
    observe: Observe<'_>,
) -> Result<(), StoreError> {
    let total = ports.scan.size().await?;
    let index = segment.index as usize;
    let (mut cursor, done) = lock(progress).segments[index].clone();
    if done {
        return Ok(());
    }
    let mut sums: BTreeMap<Sku, StockRow> = BTreeMap::new();
    loop {
        let page = ports.scan.scan(segment, cursor.as_deref(), PAGE).await?;
        let events = page.streams.iter().map(|stream| stream.len() as u64).sum::<u64>();
        let mut rows: Vec<ViewRow> = match view {
            View::Stock => {
                page.streams.iter().flatten().for_each(|event| add_up(&mut sums, event));
                Vec::new()
            }
            _ => page.streams.iter().filter_map(|stream| rebuilt(view, stream)).collect(),
        };
        if page.next.is_none() {
            rows.extend(std::mem::take(&mut sums).into_values().map(ViewRow::Stock));
        }
        let done = page.next.is_none();
        let snapshot = {
            let mut progress = lock(progress);
            progress.events += events;
            observe(progress.events, total);
            let mut snapshot = progress.clone();
            snapshot.segments[index] = (page.next.clone(), done);
            snapshot
        };
        ports.rows.put_shadow(view, rows, snapshot).await?;
        lock(progress).segments[index] = (page.next.clone(), done);
        cursor = page.next;
        if done {
            return Ok(());
        }
    }
}

/// Adds what an event moved to the sums.
pub(crate) fn add_up(sums: &mut BTreeMap<Sku, StockRow>, event: &RecordedEvent) {
    for delta in &event.counters {
        let row = sums.entry(delta.sku.clone()).or_insert_with(|| StockRow {
            sku: delta.sku.clone(),
            available: 0,
            reserved: 0,
            sold: 0,
            created_at: event.occurred_at,
            updated_at: event.occurred_at,
        });
        row.available += delta.available;
        row.reserved += delta.reserved;
        row.sold += delta.sold;
        row.created_at = row.created_at.min(event.occurred_at);
        row.updated_at = row.updated_at.max(event.occurred_at);
    }
}

/// Folds again the streams that were written to since the replay began.
async fn catch_up(
    ports: &Ports,
    feed: &dyn ChangeFeed,
    view: View,
    mut from: Position,
    progress: &Mutex<Progress>,
) -> Result<(), StoreError> {
    let head = feed.head().await?;
    while from < head {
        let events = feed.follow(from, PAGE).await?;
        let Some((last, _)) = events.last() else { return Ok(()) };
        from = *last;
        let touched: BTreeSet<&str> = events.iter().map(|(_, event)| &*event.pk).collect();
        let mut rows = Vec::new();
        for pk in touched {
            if shows(view, pk) {
                rows.extend(rebuilt(view, &ports.log.read_stream(pk).await?));
            }
        }
        let snapshot = lock(progress).clone();
        ports.rows.put_shadow(view, rows, snapshot).await?;
    }
    Ok(())
}

/// Whether a read model has rows of a stream.
fn shows(view: View, pk: &str) -> bool {
    match StreamKey::parse(pk) {
        Some(StreamKey::Order(_)) => matches!(view, View::Orders | View::Payments | View::Deliveries),
        Some(StreamKey::Customer(_)) => view == View::Customers,
        Some(StreamKey::Product(_)) => view == View::Products,
        Some(StreamKey::Sku(_)) | None => false,
    }
}

/// Walks the live and the rebuilt rows side by side, in the order of their keys.
struct Comparison<'a> {
    ports: &'a Ports,
    view: View,
    mode: Mode,
}

impl Comparison<'_> {
    async fn run(&self, report: &mut ReplayReport) -> Result<(), StoreError> {
        let rows = |copy, after: Option<String>| async move {
            self.ports.rows.rows(self.view, copy, after.as_deref(), ROWS).await
        };
        let mut after = None;
        loop {
            let live = rows(Copy::Live, after.clone()).await?;
            let shadow = rows(Copy::Shadow, after.clone()).await?;
            // Both sides are known up to the smaller of two full pages' ends.
            let ends = [&live, &shadow].into_iter().filter(|rows| rows.len() == ROWS);
            let end = ends.filter_map(|rows| rows.last()).map(|row| row.id().to_owned()).min();
            let within = |row: &ViewRow| end.as_deref().is_none_or(|end| row.id() <= end);
            let mut pairs = Pairs::new();
            for row in live.into_iter().filter(within) {
                let id = row.id().to_owned();
                pairs.entry(id).or_default().0 = Some(row);
            }
            for row in shadow.into_iter().filter(within) {
                let id = row.id().to_owned();
                pairs.entry(id).or_default().1 = Some(row);
            }
            self.page(pairs, report).await?;
            match end {
                Some(end) => after = Some(end),
                None => return Ok(()),
            }
        }
    }

    async fn page(&self, pairs: Pairs, report: &mut ReplayReport) -> Result<(), StoreError> {
        report.rows += pairs.values().filter(|(_, shadow)| shadow.is_some()).count() as u64;
        if self.mode == Mode::default() {
            return Ok(());
        }
        let (mut gone, mut right, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        for (id, Settled { differences, truth, is_behind }) in self.settle(pairs).await? {
            report.difference_count += differences.len() as u64;
            let room = MAX_DIFFERENCES.saturating_sub(report.differences.len());
            report.differences.extend(differences.into_iter().take(room));
            behind.extend(truth.as_ref().filter(|_| is_behind).and_then(ViewRow::stream));
            match truth {
                Some(truth) => right.push(truth),
                None => gone.push(id),
            }
        }
        if self.mode.swap {
            self.catch_up(&behind).await?;
            self.ports.rows.adopt(right, self.view, gone).await?;
        }
        Ok(())
    }

    /// Writes an order's rows as its worker would, all of them at once, where they are behind. One of them
    /// alone brought forward would be taken for all of them, and the others would stay behind for good.
    async fn catch_up(&self, streams: &[StreamKey]) -> Result<(), StoreError> {
        let of_orders = streams.iter().filter(|stream| matches!(stream, StreamKey::Order(_)));
        let puts = of_orders.map(|stream| async move {
            match order_rows(&self.ports.log.read_stream(&stream.pk()).await?) {
                Some(rows) => self.ports.orders.put(rows).await.map(drop),
                None => Ok(()),
            }
        });
        try_join_all(puts).await.map(drop)
    }

    /// What really differs, once everything that is under way has arrived.
    async fn settle(&self, pairs: Pairs) -> Result<Vec<(String, Settled)>, StoreError> {
        let suspects =
            pairs.into_iter().filter(|(_, (live, shadow))| live.clone().map(comparable) != *shadow);
        if self.view != View::Stock {
            let suspects = suspects.map(|(id, _)| (self.view, id)).collect();
            let settled = settle_differences(self.ports, suspects).await?;
            return Ok(settled.into_iter().map(|(_, id, settled)| (id, settled)).collect());
        }
        let mut settled = Vec::new();
        for (id, _) in suspects {
            let Ok(sku) = Sku::recorded(&id) else { continue };
            // The rebuilt ones only raise the question: the live ones may have moved since, and another
            // replay may have taken the shadow away.
            let found = compare_counters(self.ports, &sku).await?;
            if !found.differences.is_empty() {
                settled.push((id, found));
            }
        }
        Ok(settled)
    }
}

/// Live and rebuilt rows by their keys.
type Pairs = BTreeMap<String, (Option<ViewRow>, Option<ViewRow>)>;
