//! Opening a folder: what is refused, with which words, and that nothing is changed then.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::fs;
use std::path::Path;

use event_store::{Appended, Claim, Claimed, EventLog, Held, Idempotency, KeptAnswer};
use event_store_embedded::{EmbeddedStore, OpenError};
use events::{Causes, Priority, RecordedEvent, Stamp, Timestamp, Ulid};
use tempfile::TempDir;

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
    RecordedEvent::raw(("stream", &format!("slot {n}")), ("Noted", 1, "{}"), Vec::new(), stamp, causes)
}

fn refusal(folder: &Path) -> OpenError {
    match EmbeddedStore::open(folder) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

async fn a_store_with_events(folder: &Path, events: u64) {
    let store = EmbeddedStore::open(folder).unwrap();
    for n in 1..=events {
        assert!(matches!(store.append(noted(n)).await, Ok(Appended::Stored(_))));
    }
}

#[tokio::test]
async fn what_was_stored_is_there_when_it_is_opened_again() {
    let folder = TempDir::new().unwrap();
    a_store_with_events(folder.path(), 3).await;
    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(store.read_stream("stream").await.unwrap().len(), 3);
    assert!(matches!(store.append(noted(2)).await, Ok(Appended::Taken(_))));
}

#[tokio::test]
async fn a_second_process_is_refused_and_may_open_it_when_the_first_is_gone() {
    let folder = TempDir::new().unwrap();
    let first = EmbeddedStore::open(folder.path()).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(first);
    assert!(EmbeddedStore::open(folder.path()).is_ok());
}

#[tokio::test]
async fn another_format_is_refused() {
    let folder = TempDir::new().unwrap();
    a_store_with_events(folder.path(), 1).await;
    let sql = rusqlite::Connection::open(folder.path().join("sagaline.db")).unwrap();
    sql.pragma_update(None, "user_version", 99).unwrap();
    drop(sql);
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::OtherFormat { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_store_of_an_older_format_becomes_one_of_this_and_keeps_what_it_holds() {
    let later = [
        (
            1,
            "DROP TABLE users; DROP TABLE keys; DROP TABLE secrets; DROP TABLE tries; DROP TABLE kept_answers;",
        ),
        (2, "DROP TABLE actions; DROP TABLE bookmarks;"),
        (
            3,
            "DROP VIEW log; ALTER TABLE events DROP COLUMN request_seed; CREATE VIEW log AS SELECT position FROM events;",
        ),
    ];
    for format in [1, 2, 3] {
        let folder = TempDir::new().unwrap();
        a_store_with_events(folder.path(), 2).await;
        let sql = rusqlite::Connection::open(folder.path().join("sagaline.db")).unwrap();
        let taken = later.iter().filter(|(of, _)| *of >= format).map(|(_, tables)| *tables);
        sql.execute_batch(&taken.collect::<String>()).unwrap();
        sql.pragma_update(None, "user_version", format).unwrap();
        drop(sql);
        let store = EmbeddedStore::open(folder.path()).unwrap();
        assert_eq!(store.read_stream("stream").await.unwrap().len(), 2, "format {format}");
        let mut claimed = noted(3);
        claimed.request_seed = Some(Ulid(9));
        assert!(matches!(store.append(claimed).await, Ok(Appended::Stored(_))));
        assert_eq!(store.read_stream("stream").await.unwrap()[2].request_seed, Some(Ulid(9)));
        assert_eq!(store.queues().actions(i64::MAX, 10), Ok(Vec::new()));
        store.queues().put_bookmark("a sweep", &7).await.unwrap();
        assert_eq!(store.queues().bookmark("a sweep"), Ok(Some(7)));
        assert_eq!(
            store.queues().bookmark::<String>("a sweep"),
            Ok(None),
            "what cannot be read is not there"
        );
        assert_eq!(event_store::Secrets::secret(&store, "one", [7; 32]).await, Ok([7; 32]));
    }
}

#[tokio::test]
async fn somebody_elses_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("sagaline.db")).unwrap();
    sql.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(sql);
    assert!(matches!(refusal(folder.path()), OpenError::NotOurs { .. }));
    assert!(
        matches!(EmbeddedStore::erase(folder.path()), Err(OpenError::NotOurs { .. })),
        "nor is it erased"
    );
    assert!(folder.path().join("sagaline.db").exists());
}

#[tokio::test]
async fn a_making_that_was_cut_short_is_made_again() {
    let folder = TempDir::new().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("sagaline.db")).unwrap();
    sql.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(sql);
    assert!(folder.path().join("sagaline.db").metadata().unwrap().len() > 0);
    a_store_with_events(folder.path(), 1).await;
}

#[tokio::test]
async fn another_programs_file_named_lock_is_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("lock"), "theirs").unwrap();
    a_store_with_events(folder.path(), 1).await;
    assert_eq!(fs::read_to_string(folder.path().join("lock")).unwrap(), "theirs");
}

#[tokio::test]
async fn a_store_whose_database_is_gone_is_never_an_empty_start() {
    let folder = TempDir::new().unwrap();
    a_store_with_events(folder.path(), 1).await;
    fs::remove_file(folder.path().join("sagaline.db")).unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Damaged { .. }));
    assert!(!folder.path().join("sagaline.db").exists(), "nothing is made in its place");
}

#[tokio::test]
async fn an_emptied_a_shortened_and_an_overwritten_database_are_refused() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 4] = [
        ("emptied", |_| Vec::new()),
        ("shortened by half", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("shortened by a page", |bytes| bytes[..bytes.len() - 4096].to_vec()),
        ("no database", |bytes| vec![b'x'; bytes.len()]),
    ];
    for (damage, change) in damages {
        let folder = TempDir::new().unwrap();
        a_store_with_events(folder.path(), 200).await;
        let file = folder.path().join("sagaline.db");
        let damaged = change(fs::read(&file).unwrap());
        fs::write(&file, &damaged).unwrap();
        let error = refusal(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{damage}: {error}");
        assert!(error.to_string().contains("restore the folder from a copy"), "{damage}: {error}");
        assert_eq!(fs::read(&file).unwrap(), damaged, "{damage}: it was changed");
    }
}

#[tokio::test]
async fn a_write_ahead_log_of_which_nothing_can_be_read_is_kept_for_whoever_may_save_it() {
    let making = TempDir::new().unwrap();
    let sql = rusqlite::Connection::open(making.path().join("sagaline.db")).unwrap();
    sql.pragma_update(None, "journal_mode", "WAL").unwrap();
    sql.execute_batch("CREATE TABLE events (x)").unwrap();
    // As a killed process leaves it; then one byte of the log's first frame flips, or the database is cut.
    let read = |folder: &Path| {
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        (read("sagaline.db"), read("sagaline.db-wal"))
    };
    let whole = read(making.path());
    let (mut flipped, mut cut) = (whole.clone(), whole);
    flipped.1[100] ^= 1;
    cut.0.truncate(1);
    for (damage, files) in [("a byte of the log flipped", flipped), ("the database cut to a byte", cut)] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("sagaline.db"), &files.0).unwrap();
        fs::write(folder.path().join("sagaline.db-wal"), &files.1).unwrap();
        fs::write(folder.path().join("sagaline-store"), "a store").unwrap();
        let error = refusal(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{damage}: {error}");
        assert!(read(folder.path()) == files, "{damage}: something was changed");
    }
}

#[tokio::test]
async fn erasing_takes_the_store_and_nothing_else_and_not_from_under_somebody() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let open = EmbeddedStore::open(folder.path()).unwrap();
    assert!(matches!(EmbeddedStore::erase(folder.path()), Err(OpenError::InUse { .. })));
    assert!(matches!(open.append(noted(1)).await, Ok(Appended::Stored(_))));
    drop(open);
    EmbeddedStore::erase(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
    let fresh = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(fresh.read_stream("stream").await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_request_that_nobody_carries_out_any_more_is_taken_over_as_soon_as_the_store_is_open_again() {
    let folder = TempDir::new().unwrap();
    let at = Timestamp::from_millis;
    let claim = |seed| Claim { fingerprint: "a".into(), seed, until: at(60_000), forget_at: at(90_000) };
    let held = |seed| Held { seed, until: at(60_000) };
    let answer = KeptAnswer { status: 201, headers: Vec::new(), body: String::new() };
    {
        let store = EmbeddedStore::open(folder.path()).unwrap();
        for (key, seed) in [("cut off", Ulid(1)), ("done", Ulid(2))] {
            assert_eq!(store.claim(key, claim(seed), at(0)).await, Ok(Claimed::Mine(seed)));
            assert_eq!(store.claim(key, claim(Ulid(3)), at(1)).await, Ok(Claimed::Running));
        }
        assert_eq!(store.keep("done", held(Ulid(2)), answer.clone()).await, Ok(true));
    }
    let store = EmbeddedStore::open(folder.path()).unwrap();
    assert_eq!(store.claim("cut off", claim(Ulid(3)), at(2)).await, Ok(Claimed::Mine(Ulid(1))));
    assert_eq!(store.claim("cut off", claim(Ulid(4)), at(3)).await, Ok(Claimed::Running));
    assert_eq!(store.claim("done", claim(Ulid(3)), at(2)).await, Ok(Claimed::Done(answer)));
}

#[tokio::test]
async fn anybody_can_read_the_log_with_sqlite() {
    let folder = TempDir::new().unwrap();
    a_store_with_events(folder.path(), 2).await;
    let sql = rusqlite::Connection::open(folder.path().join("sagaline.db")).unwrap();
    let one = "SELECT pk, sk, event_name, occurred_at FROM log WHERE position = 2";
    let row: [String; 4] =
        sql.query_row(one, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).unwrap();
    assert_eq!(row, ["stream", "slot 2", "Noted", "1970-01-01T00:00:01.000Z"]);
}
