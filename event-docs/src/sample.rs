//! A history of one order, a lot, a customer and a product, from the golden files: what examples and proofs are made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use events::{Causes, Event, EventName, Priority, RecordedEvent, Stamp, StreamKey, Timestamp, Ulid, decode};

/// The payload of each event with every field, as its golden file has it.
pub struct Golden {
    folder: std::path::PathBuf,
    events: BTreeMap<EventName, (Event, String)>,
}

impl Golden {
    /// Reads the golden files of the versions that this code writes.
    ///
    /// # Errors
    /// A file that is not there, or that does not say what its name says.
    pub fn read(root: &Path) -> anyhow::Result<Golden> {
        let folder = root.join("domains").join("events").join("golden");
        let mut events = BTreeMap::new();
        for name in EventName::ALL.iter().copied() {
            let text = text(&folder.join(format!("{name}.v{}.json", name.version())))?;
            // The payload says itself in which stream it stands.
            let stream = |pk: &str| decode::read(name.as_str(), name.version(), &text, pk);
            let event = match stream("") {
                Err(events::Undecodable::WrongStream(pk)) => stream(&pk),
                other => other,
            };
            let event = event.map_err(|error| anyhow!("failed to read the golden {name}: {error}"))?;
            events.insert(name, (event, text));
        }
        Ok(Golden { folder, events })
    }

    /// The event.
    pub fn event(&self, name: EventName) -> &Event {
        &self.events[&name].0
    }

    /// Its payload as it stands in its file.
    pub fn text(&self, name: EventName) -> &str {
        &self.events[&name].1
    }

    /// The payload of the older system under one of its names.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn older(&self, also: &str) -> anyhow::Result<String> {
        text(&self.folder.join("older").join(format!("{also}.json")))
    }

    /// The event as an item of the log, appended by somebody.
    pub fn item(&self, name: EventName, producer: &str) -> RecordedEvent {
        let number = EventName::ALL.iter().position(|known| *known == name).unwrap_or_default() as i64;
        item(self.event(name).clone(), number, producer)
    }
}

/// The `number`-th item of a log that began on 1 December 2010.
pub fn item(event: Event, number: i64, producer: &str) -> RecordedEvent {
    let occurred_at = Timestamp::from_millis(1_291_191_960_000 + number * 250);
    let id =
        |number: i64| Ulid::from_parts(occurred_at.millis().unsigned_abs(), number.unsigned_abs().into());
    let stamp = Stamp { event_id: id(number), occurred_at, producer: producer.into() };
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "6c84fb90-12c4-11e1-840d-7b25c5ee775a".into(),
        causation_id: None,
        request_seed: None,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    };
    RecordedEvent::new(event, Vec::new(), stamp, causes)
}

/// Whether an event is of an order's stream.
pub fn is_of_an_order(event: &Event) -> bool {
    matches!(event.stream(), StreamKey::Order(_))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(text.trim_end().to_owned())
}
