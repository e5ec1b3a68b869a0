//! What the simulator found in the store, each with the smallest story that shows it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use event_store::{Appended, EventLog, StoreError};
use event_store_embedded::{Copier, Desk, Disk, EmbeddedStore, OpenError, Pace};
use events::{Causes, Priority, Quantity, RecordedEvent, Sku, Stamp, StockDelta, Timestamp, Ulid};
use rusqlite::OpenFlags;
use storage_simulator::{Call, Faults, SimulatedDisk};

fn noted(n: u64) -> RecordedEvent {
    let stamp = Stamp {
        event_id: Ulid::from_parts(n, 0),
        occurred_at: Timestamp::from_millis(1_000),
        producer: "a test".into(),
    };
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "one".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    };
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(3_000));
    RecordedEvent::raw((&format!("stream {n}"), "slot"), ("Noted", 1, &data), Vec::new(), stamp, causes)
}

/// Five apples come.
fn received(n: u64) -> RecordedEvent {
    let counters = vec![StockDelta::receive(&Sku::parse("apple").unwrap(), Quantity::new(5).unwrap())];
    let mut event = noted(n);
    event.counters = counters;
    event
}

type Parts = (EmbeddedStore, Desk, Copier);

/// A pace at which every commit looks at the log, and every copy is followed by another try to start it over.
const QUICK: Pace = Pace { start_bytes: 1, large_bytes: 1 << 30, restart_every: 2, look_every: 1 };
/// A pace at which nothing is ever copied.
const NEVER: Pace = Pace { start_bytes: 1 << 30, large_bytes: 1 << 30, restart_every: 1, look_every: 1 };

fn open(disk: &SimulatedDisk, pace: Pace) -> Result<Parts, OpenError> {
    EmbeddedStore::open_by_hand(Arc::new(disk.clone()), &disk.folder(), pace)
}

/// Appends, alone in its group.
fn append(store: &EmbeddedStore, desk: &mut Desk, event: RecordedEvent) -> Result<Appended, StoreError> {
    let mut answer = pin!(store.append(event));
    let mut context = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending());
    desk.commit(1);
    match answer.as_mut().poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the desk has answered"),
    }
}

fn is_stored(store: &EmbeddedStore, n: u64) -> bool {
    let pk = format!("stream {n}");
    let mut read = pin!(store.read_stream(&pk));
    match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(events) => !events.unwrap().is_empty(),
        Poll::Pending => panic!("a look at one stream does not wait"),
    }
}

/// A killed process leaves what it did not sync in the system's memory. Once shown, it must not be lost.
#[test]
fn what_is_found_after_a_kill_survives_the_next_power_cut() {
    let mut found = 0;
    for call in 1..40 {
        let disk = SimulatedDisk::new(call);
        let (store, mut desk, copier) = open(&disk, NEVER).unwrap();
        disk.plan(Faults { cut_in: Some(call), kills: true, ..Faults::default() });
        append(&store, &mut desk, noted(1)).ok();
        disk.begin_anew();
        drop((store, desk, copier));

        let parts = open(&disk, NEVER).unwrap();
        let shown = is_stored(&parts.0, 1);
        found += u64::from(shown);
        disk.cut_power();
        drop(parts);
        disk.begin_anew();
        assert_eq!(is_stored(&open(&disk, NEVER).unwrap().0, 1), shown, "killed in call {call}");
    }
    assert!(found > 0, "some kills came after the last write, and before its sync");
}

/// What a failed sync forgot is in the system's memory, so the next process finds it in the log and copies it. A
/// power cut then left a database that was newer than its log: counters that no event had moved.
#[test]
fn a_log_is_on_the_disk_before_it_is_copied_into_the_database() {
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let (store, mut desk, _copier) = open(&disk, NEVER).unwrap();
        append(&store, &mut desk, received(1)).unwrap();
        desk.close();
        drop(store);

        let (store, mut desk, _copier) = open(&disk, NEVER).unwrap();
        append(&store, &mut desk, noted(2)).unwrap();
        disk.plan(Faults { failing: vec![(Call::Sync, 1.0)], ..Faults::default() });
        append(&store, &mut desk, received(3)).unwrap_err();
        disk.kill();
        drop((store, desk));

        disk.begin_anew();
        drop(open(&disk, NEVER).unwrap());
        disk.cut_power();
        disk.begin_anew();
        drop(open(&disk, NEVER).unwrap());
        let path = disk.folder().join("sagaline.db");
        let sql = disk.connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let units =
            "SELECT available, (SELECT 5 * count(*) FROM events WHERE counters IS NOT NULL) FROM stock";
        let (counted, moved): (i64, i64) =
            sql.query_row(units, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(counted, moved, "seed {seed}");
    }
}

/// A sync that fails may have forgotten what an earlier, partial copy wrote, and no later sync says so.
#[test]
fn a_failed_sync_of_the_database_ends_the_process_and_loses_nothing() {
    let mut ended = 0;
    for seed in 0..60 {
        let disk = SimulatedDisk::new(seed);
        let (store, mut desk, copier) = open(&disk, QUICK).unwrap();
        for n in 1..=3 {
            append(&store, &mut desk, noted(n)).unwrap();
        }
        // Somebody reads, so that the copy stays partial: it is not synced.
        let path = disk.folder().join("sagaline.db");
        let reader = disk.connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
        let mut stored = 3;
        append(&store, &mut desk, noted(4)).unwrap();
        copier.copy_if_asked();
        drop(reader);
        disk.plan(Faults { failing: vec![(Call::Sync, 0.3)], ..Faults::default() });
        for n in 4..20 {
            match append(&store, &mut desk, noted(n)) {
                Ok(_) => stored = n,
                Err(_) => break,
            }
            if desk.has_ended() {
                break;
            }
            copier.copy_if_asked();
            if desk.has_ended() {
                break;
            }
        }
        ended += u64::from(desk.has_ended());
        disk.kill();
        drop((store, desk, copier));
        disk.begin_anew();
        // The next process, and then a power cut.
        drop(open(&disk, NEVER).unwrap());
        disk.cut_power();
        disk.begin_anew();
        let (store, ..) = open(&disk, NEVER).unwrap();
        assert!((1..=stored).all(|n| is_stored(&store, n)), "seed {seed}");
    }
    assert!(ended > 0, "some copies met a sync that failed");
}

/// `--fresh`, which the words for damage advise, would be the end of a store that is whole.
#[test]
fn an_error_of_the_disk_while_opening_is_not_called_damage() {
    const CALLS: [Call; 7] =
        [Call::Open, Call::Look, Call::Measure, Call::Read, Call::Write, Call::Sync, Call::Share];
    for failing in CALLS {
        let mut refused = 0;
        for seed in 0..40 {
            let disk = SimulatedDisk::new(seed);
            let (store, mut desk, copier) = open(&disk, NEVER).unwrap();
            append(&store, &mut desk, noted(1)).unwrap();
            disk.kill();
            drop((store, desk, copier));
            disk.begin_anew();
            disk.plan(Faults { failing: vec![(failing, 0.2)], ..Faults::default() });
            match open(&disk, NEVER) {
                Ok(_) => {}
                Err(OpenError::Io { .. }) => refused += 1,
                Err(error) => panic!("{failing:?} failed, and it is said that {error}"),
            }
            disk.begin_anew();
            assert!(is_stored(&open(&disk, NEVER).unwrap().0, 1));
        }
        assert!(refused > 0, "no failing {failing:?} kept it from opening");
    }
}

/// SQLite answers that the log is there before it is, and says behind its answer that it failed.
#[test]
fn a_new_store_is_refused_where_its_log_cannot_be_begun() {
    let mut refused = 0;
    for seed in 0..40 {
        let disk = SimulatedDisk::new(seed);
        disk.plan(Faults { failing: vec![(Call::Sync, 0.3)], ..Faults::default() });
        if open(&disk, NEVER).is_err() {
            refused += 1;
            disk.begin_anew();
            drop(open(&disk, NEVER).unwrap());
        }
        disk.begin_anew();
        let path = disk.folder().join("sagaline.db");
        let sql = disk.connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let mode: String = sql.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal", "seed {seed}");
    }
    assert!(refused > 0);
}

/// What the failed sync forgot was in the system's memory only, and the next process took it for a store: it copied the log
/// into the database, and a power cut in the middle of that left half a database and no log.
#[test]
fn a_store_whose_making_failed_in_a_sync_survives_a_power_cut_while_it_is_opened_again() {
    let mut cut = 0;
    for seed in 0..300 {
        let disk = SimulatedDisk::new(seed);
        disk.plan(Faults { failing: vec![(Call::Sync, 0.3)], ..Faults::default() });
        if open(&disk, NEVER).is_ok() {
            continue;
        }
        disk.begin_anew();
        disk.plan(Faults { cut_in: Some(1 + seed % 30), counted: Some(Call::Write), ..Faults::default() });
        cut += u64::from(open(&disk, NEVER).is_err());
        disk.begin_anew();
        let (store, mut desk, _) = open(&disk, NEVER).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        append(&store, &mut desk, noted(1)).unwrap();
    }
    assert!(cut > 50, "{cut} were cut off");
}

#[test]
fn a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let (store, mut desk, _copier) = open(&disk, NEVER).unwrap();
    append(&store, &mut desk, noted(1)).unwrap();
    disk.limit(Some(disk.used()));
    let full = "the disk is full; make room, nothing is lost".to_owned();
    for _ in 0..3 {
        assert_eq!(append(&store, &mut desk, noted(2)), Err(StoreError::Unavailable(full.clone())));
    }
    assert!(is_stored(&store, 1) && !is_stored(&store, 2));
    disk.limit(None);
    assert!(matches!(append(&store, &mut desk, noted(2)), Ok(Appended::Stored(_))));
}
