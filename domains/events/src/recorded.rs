//! One item of the log: an event as it is stored, sent and read back.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::decode::{self, Undecodable};
use crate::{Event, Priority, StockDelta, Timestamp};

/// An event as it stands in the log. Attribute names are the field names.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedEvent {
    /// The stream: `EVENTS#ORDER_ID#…`. A raw event may carry any text.
    pub pk: Arc<str>,
    /// The slot: `EVENT#…`. A raw event may carry any text.
    pub sk: Arc<str>,
    /// Greater than the id of every event it was decided from.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::UlidText"))]
    pub event_id: Ulid,
    /// The published name, an older spelling, or anything from a raw event.
    pub event_name: Arc<str>,
    /// Version of `data`.
    pub schema_version: u32,
    /// The payload as JSON text.
    pub data: Arc<str>,
    /// When it was appended, by the clock of who appended it.
    pub occurred_at: Timestamp,
    /// The lane of its order.
    pub priority: Priority,
    /// How counters moved in the same write; empty when none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<StockDelta>,
    /// Which function appended it.
    pub producer: Arc<str>,
    /// The request that began it all.
    pub correlation_id: Arc<str>,
    /// The event because of which it was appended; absent when a request was the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::UlidText>"))]
    pub causation_id: Option<Ulid>,
    /// The W3C trace context of the request that began it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    /// What a request with an `Idempotency-Key` made its ids from when it appended this, the same however often it comes:
    /// by that it knows what it did. Absent where no request appended it, or one without a key, and in what the pipe sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::UlidText>"))]
    pub request_seed: Option<Ulid>,
    #[serde(skip)]
    read: OnceLock<Result<Event, Undecodable>>,
}

/// Why an event is appended: what its whole chain of events has in common, and the link before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Causes {
    /// The lane.
    pub priority: Priority,
    /// The request that began it all.
    pub correlation_id: Arc<str>,
    /// The event because of which this one is appended.
    pub causation_id: Option<Ulid>,
    /// What the request made its ids from, if it had an `Idempotency-Key`.
    pub request_seed: Option<Ulid>,
    /// The W3C trace context.
    pub traceparent: Option<Arc<str>>,
}

/// When, by whom and under which id an event is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The id, from [`next_event_id`].
    pub event_id: Ulid,
    /// The clock's time.
    pub occurred_at: Timestamp,
    /// Which function.
    pub producer: Arc<str>,
}

/// The producer of what the raw event API writes.
pub const RAW_PRODUCER: &str = "chaos-api";

/// The largest payload that may be written, in bytes. A DynamoDB item holds 400 KB, an SQS message 256 KB.
pub const MAX_DATA: usize = 240 * 1024;

impl RecordedEvent {
    /// The item for a published event: its own stream, its own slot, the current version.
    pub fn new(event: Event, counters: Vec<StockDelta>, stamp: Stamp, causes: Causes) -> Self {
        let (pk, sk, data) = (event.stream().pk(), event.slot().sk(), event.to_data());
        let said = (event.name().as_str(), event.name().version(), &*data);
        let item = Self::raw((&pk, &sk), said, counters, stamp, causes);
        item.read.get_or_init(|| Ok(event));
        item
    }

    /// The item for anything at all: what the raw event API writes, and what a store reads back.
    pub fn raw(
        (pk, sk): (&str, &str),
        (name, version, data): (&str, u32, &str),
        counters: Vec<StockDelta>,
        stamp: Stamp,
        causes: Causes,
    ) -> Self {
        RecordedEvent {
            pk: pk.into(),
            sk: sk.into(),
            event_id: stamp.event_id,
            event_name: name.into(),
            schema_version: version,
            data: data.into(),
            occurred_at: stamp.occurred_at,
            priority: causes.priority,
            counters,
            producer: stamp.producer,
            correlation_id: causes.correlation_id,
            causation_id: causes.causation_id,
            traceparent: causes.traceparent,
            request_seed: causes.request_seed,
            read: OnceLock::new(),
        }
    }

    /// What the event says. Read once, however often it is asked.
    ///
    /// # Errors
    /// The event stays in the log but says nothing to this code: see [`Undecodable`].
    pub fn event(&self) -> Result<&Event, &Undecodable> {
        self.read
            .get_or_init(|| decode::read(&self.event_name, self.schema_version, &self.data, &self.pk))
            .as_ref()
    }

    /// Whether it says the same as another: same name, same payload. Who said it, and when, is not compared.
    pub fn says_the_same_as(&self, other: &RecordedEvent) -> bool {
        self.event_name == other.event_name && self.data == other.data
    }

    /// Whether counters moved with it. An event forged through the raw event API moved none.
    pub fn moved_counters(&self) -> bool {
        !self.counters.is_empty()
    }

    /// Whether it was written by hand, through the raw event API.
    pub fn is_raw(&self) -> bool {
        &*self.producer == RAW_PRODUCER
    }

    /// What an event appended because of this one inherits.
    pub fn causes_next(&self) -> Causes {
        Causes {
            priority: self.priority,
            correlation_id: self.correlation_id.clone(),
            causation_id: Some(self.event_id),
            request_seed: None,
            traceparent: self.traceparent.clone(),
        }
    }
}

/// An id for a new event: of the time `now` if that is later than all it was decided from, else a
/// little above them, so that causes sort before effects whatever the clocks say.
///
/// The step above them is drawn too, from 2^64 of the 2^80 ids of a millisecond: two writers that
/// decide from the same events in the same millisecond must not take the same id.
pub fn next_event_id(now: Timestamp, random: u128, after: Option<Ulid>) -> Ulid {
    let by_clock = Ulid::from_parts(now.millis().unsigned_abs(), random);
    match after {
        Some(after) if by_clock <= after => Ulid(after.0.saturating_add(1 + (random & u128::from(u64::MAX)))),
        _ => by_clock,
    }
}

impl PartialEq for RecordedEvent {
    fn eq(&self, other: &Self) -> bool {
        (&self.pk, &self.sk, self.event_id, &self.event_name, self.schema_version, &self.data)
            == (&other.pk, &other.sk, other.event_id, &other.event_name, other.schema_version, &other.data)
            && (self.occurred_at, self.priority, &self.counters)
                == (other.occurred_at, other.priority, &other.counters)
            && (&self.producer, &self.correlation_id, self.causation_id, &self.traceparent, self.request_seed)
                == (
                    &other.producer,
                    &other.correlation_id,
                    other.causation_id,
                    &other.traceparent,
                    other.request_seed,
                )
    }
}

impl Eq for RecordedEvent {}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.event_id, self.pk, self.sk, self.event_name, self.data)
    }
}
