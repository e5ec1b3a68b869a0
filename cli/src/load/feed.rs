//! Seeing orders settle: follows the log behind the load.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;

use super::clients::Load;
use super::wire::Wire;

/// The events that settle an order.
const SETTLING: &str = "InventoryCommitted,InventoryReservationFailed,InventoryReleased,InventoryReturned";

/// What an event says of its order.
fn outcome(event_name: &str) -> Option<&'static str> {
    match event_name {
        "InventoryCommitted" => Some("paid"),
        "InventoryReservationFailed" => Some("out of stock"),
        "InventoryReleased" | "InventoryReturned" => Some("given back"),
        _ => None,
    }
}

/// At most one request in so long: under load an answer then carries several orders, and following does not
/// take the server's time from settling. It is the most by which a settlement is seen late.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<Seen<'a>>,
    next: u64,
}

#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    pk: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
}

/// Writes every settlement behind `after` in the book. Runs until it is aborted.
pub async fn follow(load: Arc<Load>, mut after: u64) {
    let mut wire = None;
    loop {
        let began = Instant::now();
        match read(&load, &mut wire, after).await {
            Ok(body) => match serde_json::from_slice(&body) {
                Ok(page) => after = enter(&load, &page, after),
                Err(_) => wire = None,
            },
            // The server may be starting again.
            Err(_) => {
                wire = None;
                tokio::time::sleep(PAUSE * 100).await;
            }
        }
        if let Some(rest) = PAUSE.checked_sub(began.elapsed()) {
            tokio::time::sleep(rest).await;
        }
    }
}

async fn read(load: &Load, wire: &mut Option<Wire>, after: u64) -> anyhow::Result<Bytes> {
    let mut open = match wire.take() {
        Some(open) => open,
        None => Wire::open(&load.target).await?,
    };
    let route = format!("/events?after={after}&limit=1000&wait=1&event_name={SETTLING}");
    let (status, body) = open.call(Method::GET, &route, Bytes::new()).await?;
    if !status.is_success() {
        bail!("status {status}");
    }
    *wire = Some(open);
    Ok(body)
}

/// Where to go on.
fn enter(load: &Load, page: &Page<'_>, after: u64) -> u64 {
    let (now, mut book) = (load.now(), load.book());
    for event in &page.events {
        if let (Some(number), Some(outcome)) = (load.bodies.number(&event.pk), outcome(&event.event_name)) {
            book.settle(number, outcome, now);
        }
    }
    page.next.max(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_whatever_else_its_events_carry() {
        let body = br#"{"events":[{"position":7,"pk":"EVENTS#ORDER_ID#a\"b","sk":"EVENT#Settlement","data":"{\"x\":1}",
            "event_name":"InventoryCommitted","counters":[{"sku":"s"}]}],"next":9,"head":12}"#;
        let page: Page<'_> = serde_json::from_slice(body).unwrap();
        assert_eq!((page.next, &*page.events[0].pk), (9, "EVENTS#ORDER_ID#a\"b"));
        assert!(matches!(page.events[0].event_name, Cow::Borrowed("InventoryCommitted")));
    }

    #[test]
    fn every_event_that_is_asked_for_is_an_outcome() {
        assert!(SETTLING.split(',').all(|name| outcome(name).is_some()));
        assert_eq!(outcome("OrderPlaced"), None);
    }
}
