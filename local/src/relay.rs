//! The relay: brings the events of a table's stream into the folder's log, which gives each its position.
//!
//! A stream has shards and forgets after a day; a queue is a cursor over positions. So each event is appended to the
//! embedded log too: its slot recognises what comes twice, and after a start the stream is simply read from its
//! beginning again. Counters stay where they are: they move with the event in the table.

use std::time::Duration;

use event_store::{EventLog, StoreError};
use event_store_dynamodb::stream::{Record, StreamReader};
use event_store_dynamodb::to_event;
use event_store_embedded::EmbeddedStore;
use events::RecordedEvent;
use futures_util::future::try_join_all;

/// How long a quiet stream is left alone.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one is left alone that does not answer.
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// Relays until it is dropped.
pub(crate) async fn run(mut reader: StreamReader, log: EmbeddedStore) {
    let mut waiting = Vec::new();
    loop {
        match relay(&mut reader, &mut waiting, &log).await {
            Ok(0) => tokio::time::sleep(PAUSE).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "failed to follow the log's stream; it is tried again");
                tokio::time::sleep(LONG_PAUSE).await;
            }
        }
    }
}

/// Brings what is new; says how much that was. What was read and could not be appended waits for the next time.
async fn relay(
    reader: &mut StreamReader,
    waiting: &mut Vec<RecordedEvent>,
    log: &EmbeddedStore,
) -> Result<usize, StoreError> {
    if waiting.is_empty() {
        waiting.extend(reader.poll().await?.iter().filter_map(event));
    }
    // All at once, so that they share a sync.
    try_join_all(waiting.iter().map(|event| log.append(event.clone()))).await?;
    Ok(waiting.drain(..).count())
}

fn event(record: &Record) -> Option<RecordedEvent> {
    if record.change != "INSERT" {
        return None;
    }
    match to_event(&record.image) {
        Ok(mut event) => {
            event.counters.clear();
            Some(event)
        }
        Err(error) => {
            tracing::warn!(%error, "passed over an item of the log's table that is no event");
            None
        }
    }
}
