//! What is in a stream but means nothing: kept, counted, shown, and never in anybody's way.

use std::collections::BTreeMap;
use std::fmt;

use ulid::Ulid;

use crate::{RecordedEvent, Slot, Undecodable};

/// An event that readers pass over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// The stream.
    pub pk: String,
    /// The key it stands under.
    pub sk: String,
    /// Its id.
    pub event_id: Ulid,
    /// Its name.
    pub event_name: String,
    /// Why it is passed over.
    pub why: Why,
}

/// Why an event is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nobody can read it.
    Undecodable(Undecodable),
    /// An earlier event had settled the same decision.
    Contradicts {
        /// The decision.
        slot: String,
        /// The event that settled it.
        settled_by: Ulid,
    },
    /// Its stream never began: an order that was never placed, a product that was never listed.
    Orphan,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.pk, self.sk, self.event_name, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Undecodable(cause) => cause.fmt(f),
            Why::Contradicts { slot, settled_by } => write!(f, "{slot} was already settled by {settled_by}"),
            Why::Orphan => f.write_str("its stream never began"),
        }
    }
}

/// The anomalies of one stream, in the order of their ids. `stream` holds all of its events, in any
/// order and any number of times.
pub fn anomalies<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut claims: BTreeMap<Slot, Vec<&RecordedEvent>> = BTreeMap::new();
    for item in stream {
        match item.event() {
            Ok(event) => claims.entry(event.slot()).or_default().push(item),
            Err(cause) => found.push(anomaly(item, Why::Undecodable(cause.clone()))),
        }
    }
    let begun = claims.keys().any(begins_a_stream);
    for (slot, mut claimants) in claims {
        claimants.sort_by_key(|item| (item.event_id, &item.sk));
        claimants.dedup_by_key(|item| (item.event_id, &item.sk));
        let settled_by = claimants[0].event_id;
        let losers = if begun { &claimants[1..] } else { &claimants[..] };
        found.extend(losers.iter().map(|item| {
            let contradicts = Why::Contradicts { slot: slot.sk(), settled_by };
            anomaly(item, if begun { contradicts } else { Why::Orphan })
        }));
    }
    found.sort_by(|one, other| (one.event_id, &one.sk).cmp(&(other.event_id, &other.sk)));
    found.dedup();
    found
}

fn anomaly(item: &RecordedEvent, why: Why) -> Anomaly {
    Anomaly {
        pk: item.pk.to_string(),
        sk: item.sk.to_string(),
        event_id: item.event_id,
        event_name: item.event_name.to_string(),
        why,
    }
}

fn begins_a_stream(slot: &Slot) -> bool {
    match slot {
        // A SKU has no first event: each lot stands for itself.
        Slot::OrderPlaced
        | Slot::SkuRestocked(_)
        | Slot::StockReceived(_)
        | Slot::CustomerRegistered
        | Slot::ProductListed => true,
        Slot::ReserveInventory
        | Slot::Reservation
        | Slot::PaymentAttempt(_)
        | Slot::ManualPayment
        | Slot::Payment
        | Slot::Settlement
        | Slot::Closing
        | Slot::Delivery
        | Slot::Refund
        | Slot::Return
        | Slot::CustomerErased
        | Slot::ProductRepriced(_)
        | Slot::ProductWithdrawn => false,
    }
}
