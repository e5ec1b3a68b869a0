//! What operators do to dead letters, written down before any of it is done.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use event_store_embedded::{Begun, Choice, Deed, EmbeddedStore, Wanted};
use events::{Timestamp, Ulid};
use tempfile::TempDir;

#[tokio::test]
async fn a_request_that_comes_again_begins_nothing_more_also_after_the_store_was_closed() {
    let folder = TempDir::new().unwrap();
    let wanted = || Wanted {
        deed: Deed::Discard,
        who: "key:packers".into(),
        reason: "left by a test".into(),
        choice: Choice { limit: Some(3), ..Choice::default() },
    };
    let at = Timestamp::from_millis;
    let queues = EmbeddedStore::open(folder.path()).unwrap().queues();
    let Begun::Now(first) = queues.begin(wanted(), Some(Ulid(7)), at(1)).await.unwrap() else {
        panic!("nobody began anything before");
    };
    drop(queues);
    let queues = EmbeddedStore::open(folder.path()).unwrap().queues();
    assert_eq!(queues.begin(wanted(), Some(Ulid(7)), at(2)).await.unwrap(), Begun::Before(first.clone()));
    // Another request is another action, and so is each that says nothing of itself.
    for seed in [Some(Ulid(8)), None, None] {
        assert!(matches!(queues.begin(wanted(), seed, at(3)).await.unwrap(), Begun::Now(_)));
    }
    let all: Vec<i64> = queues.actions(i64::MAX, 10).unwrap().iter().map(|action| action.id).collect();
    assert_eq!((all.len(), all.last()), (4, Some(&first.id)));
}
