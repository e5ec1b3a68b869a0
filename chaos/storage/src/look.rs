//! Looking at everything that a store holds, through its ports, and whether it agrees with itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{
    ChangeFeed, Direction, EventLog, IntentStore, LogScan, OrderRows, OrderViews, Position, Segment,
    StockViews, StoreError, Window,
};
use event_store_embedded::{DeadLetter, EmbeddedStore};
use events::{OrderId, StreamKey};
use rusqlite::OpenFlags;
use views::{Pause, Ports};

use crate::disk::SimulatedDisk;
use crate::machine::Machine;
use crate::told::{World, Write};
use crate::work::QUEUES;

/// What went wrong, in words.
pub(crate) type Wrong = String;

/// Everything that a store shows. What it has in memory and what it reads must be the same.
pub(crate) async fn world(store: &EmbeddedStore, orders: &[OrderId]) -> Result<World, Wrong> {
    let mut world = World::default();
    follow(store, &mut world).await?;
    streams(store, &world).await?;
    rows(store, orders, &mut world).await.map_err(unreadable)?;
    queues(store, &mut world).map_err(unreadable)?;
    Ok(world)
}

fn unreadable(cause: StoreError) -> Wrong {
    format!("nothing is wrong with the disk, and the store cannot be read: {cause}")
}

async fn follow(store: &EmbeddedStore, world: &mut World) -> Result<(), Wrong> {
    let head = store.head().await.map_err(unreadable)?;
    let mut after = Position(0);
    while after < head {
        for (position, event) in store.follow(after, 500).await.map_err(unreadable)? {
            if position.0 != after.0 + 1 {
                return Err(format!("the log has {position:?} behind {after:?}"));
            }
            world.push(event);
            after = position;
        }
    }
    Ok(())
}

/// The streams, from memory where they began lately, and all from the disk.
async fn streams(store: &EmbeddedStore, world: &World) -> Result<(), Wrong> {
    for pk in world.streams() {
        let (read, followed) = (store.read_stream(pk).await.map_err(unreadable)?, world.stream(pk));
        if read != followed {
            return Err(format!("{pk} is read as {read:?}, and followed as {followed:?}"));
        }
    }
    let (mut scanned, mut after) = (0, None::<String>);
    loop {
        let all = Segment { index: 0, of: 1 };
        let page = store.scan(all, after.as_deref(), 1_000).await.map_err(unreadable)?;
        for mut stream in page.streams {
            scanned += stream.len();
            stream.sort_by_key(|event| event.event_id);
            let followed = world.stream(stream.first().map_or("", |event| &event.pk));
            if !stream.iter().eq(followed.iter().map(|event| &**event)) {
                return Err(format!("{stream:?} is on the disk, and followed is {followed:?}"));
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match world.events.len() {
        followed if followed == scanned => Ok(()),
        followed => Err(format!("{scanned} events are on the disk, and {followed} are followed")),
    }
}

async fn rows(store: &EmbeddedStore, orders: &[OrderId], world: &mut World) -> Result<(), StoreError> {
    for id in orders {
        if let Some(order) = store.order(id).await? {
            let (payment, delivery) = (store.payment(id).await?, store.delivery(id).await?);
            world.rows.insert(id.clone(), OrderRows { order, payment, delivery });
        }
        let stored = store.load(id).await?;
        if stored.version > 0 {
            world.intents.insert(id.clone(), (stored.version, stored.intent));
        }
    }
    let window = Window { limit: 1_000, after: None, direction: Direction::Ascending };
    for row in store.stocks(&window).await?.rows {
        world.stock.insert(row.sku.clone(), row);
    }
    Ok(())
}

fn queues(store: &EmbeddedStore, world: &mut World) -> Result<(), StoreError> {
    let queues = store.queues();
    for queue in QUEUES {
        if let Some(position) = queues.cursor(queue)? {
            world.cursors.insert(queue.to_owned(), position);
        }
        for (number, message) in queues.parked(queue)? {
            let key = (queue.to_owned(), message.position.unwrap_or_default());
            world.numbers.0.insert(number, key.clone());
            world.parked.insert(key, message);
        }
    }
    let letters = queues.dead_letters(None, 0, usize::MAX >> 1)?;
    world.letters = letters.into_iter().map(|letter| DeadLetter { id: 0, ..letter }).collect();
    Ok(())
}

/// Checks what nobody is told in an answer: SQLite's own structure, and the audit once rows have caught up.
/// The store is changed by that.
pub(crate) async fn audit(
    disk: &SimulatedDisk,
    machine: &mut Machine,
    world: &World,
    orders: &[OrderId],
) -> Result<(), Wrong> {
    check_structure(disk).map_err(|cause| format!("the structure cannot be checked: {cause}"))??;
    for order in orders {
        let stream = world.stream(&StreamKey::Order(order.clone()).pk());
        if let Some(rows) = views::project::order_rows(&stream) {
            machine.tell(Write::Rows(Box::new(rows)));
        }
    }
    machine.commit(usize::MAX);
    if let Some((write, Err(cause))) = machine.answered().into_iter().find(|(_, answer)| answer.is_err()) {
        return Err(format!("{write:?} is not written: {cause}"));
    }
    let report = views::audit(&ports(&machine.store), &|_, _| {}).await.map_err(unreadable)?;
    match report.differences.first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("the audit finds {} differences, first {first:?}", report.difference_count))
        }
    }
}

fn check_structure(disk: &SimulatedDisk) -> rusqlite::Result<Result<(), Wrong>> {
    use event_store_embedded::Disk;
    let sql = disk.connect(&disk.folder().join("sagaline.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let said: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok(if said == "ok" { Ok(()) } else { Err(format!("SQLite says of its structure: {said}")) })
}

struct NoPause;

#[async_trait]
impl Pause for NoPause {
    async fn pause(&self, _: Duration) {}
}

fn ports(store: &EmbeddedStore) -> Ports {
    let store = Arc::new(store.clone());
    Ports {
        log: store.clone(),
        scan: store.clone(),
        feed: Some(store.clone()),
        rows: store.clone(),
        orders: store.clone(),
        stock: store.clone(),
        intents: Some(store),
        pause: Arc::new(NoPause),
        looks: 1,
    }
}
