//! What queues hand to workers: what cannot be read is handed back, and keeps nobody from the rest; and a batch that comes
//! again changes nothing.
#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;

use event_store::Stamper;
use event_store::memory::MemoryStore;
use events::StreamKey;
use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::shop::{self, Ticking};
use sagaline_fuzz::{RUNTIME, size};
use serde_json::Value;
use workers::{FakeGateway, Message, Nudge, Worker, Workers, handle_batch};

// Up to ten messages, as a batch has at most.
fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(input) else { return Corpus::Reject };
    let bodies: Vec<&str> = text.split("\n===\n").collect();
    if bodies.len() > 10 {
        return Corpus::Reject;
    }
    RUNTIME.block_on(async {
        let store = Arc::new(MemoryStore::new());
        shop::furnish(&*store).await;
        let gateway = FakeGateway { intents: store.clone(), failure_share: 0.0, seed: 0 };
        let ports = workers::Ports {
            log: store.clone(),
            orders: store.clone(),
            catalog: store.clone(),
            gateway: Arc::new(gateway),
        };
        let clock: Arc<dyn Stamper> = Arc::new(Ticking::default());
        let workers = Workers::new(&ports, |_| clock.clone());
        let batch: Vec<Message<&str>> =
            (0..).zip(&bodies).map(|(id, &body)| Message { id, body, receive_count: 1 }).collect();
        let unreadable: BTreeSet<u64> =
            batch.iter().filter(|message| !is_nudge(message.body)).map(|message| message.id).collect();
        for worker in Worker::ALL {
            let failures = handle_batch(workers.get(worker), &batch).await;
            let failed: BTreeSet<u64> = failures.iter().map(|failure| failure.id).collect();
            assert_eq!(failed, unreadable, "{worker:?} of {bodies:?}: {failures:?}");
            assert!(
                failures.iter().all(|failure| failure.retry_after.is_zero()),
                "{failures:?} comes again late"
            );
            let before = size(&store).await;
            handle_batch(workers.get(worker), &batch).await;
            assert_eq!(size(&store).await, before, "{worker:?} did it again: {bodies:?}");
        }
    });
    Corpus::Keep
});

/// Whether a body names a stream and a slot, each once.
fn is_nudge(body: &str) -> bool {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let twice =
        serde_json::from_str::<Nudge>(body).is_err_and(|error| error.to_string().contains("duplicate field"));
    said["sk"].is_string() && said["pk"].as_str().is_some_and(|pk| StreamKey::parse(pk).is_some()) && !twice
}
