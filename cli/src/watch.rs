//! `sagaline order watch`: an order's events as they come, until it ends; a server that restarts is waited for.

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use crate::Session;
use crate::client::{Client, path};
use crate::event::line;
use crate::failure::Failure;
use crate::list::rows;
use crate::order::status;
use crate::output::{Format, print, text};

#[derive(Args)]
pub struct Watch {
    /// The order.
    order_id: String,
    /// Stop watching after so many seconds, with exit code 5; without it, until the order ends.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// An order is looked at soon after something happened, then less and less often, at least so often.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Prints what is there, then what comes, until the order's row says that nothing more is owed.
pub async fn run(watch: Watch, session: &Session) -> anyhow::Result<()> {
    let until = watch.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut watcher = Watcher {
        client: session.client(),
        order: path(&["orders", &watch.order_id]),
        seen: HashSet::new(),
        is_lost: false,
    };
    let mut pause = LOOKS.0;
    // Who is not there from the beginning is not waited for: that is a wrong address.
    let mut looked = watcher.look().await?;
    loop {
        for event in &looked.news {
            match session.output {
                Format::Json => print(&event.to_string())?,
                Format::Table => print(&line(event))?,
            }
        }
        if let Some(order) = looked.ended {
            return ended(session, &watch.order_id, &order);
        }
        pause = if looked.news.is_empty() { (pause * 2).min(LOOKS.1) } else { LOOKS.0 };
        if until.is_some_and(|until| Instant::now() + pause > until) {
            let seconds = watch.timeout.unwrap_or_default();
            return Err(Failure::TimedOut { what: watch.order_id, seconds }.into());
        }
        tokio::time::sleep(pause).await;
        looked = watcher.look_again().await?;
    }
}

/// Says how it ended, and fails if it came to nothing.
fn ended(session: &Session, id: &str, order: &Value) -> anyhow::Result<()> {
    if order["status"] == "CANCELLED" {
        return Err(Failure::CameToNothing { order: id.to_owned(), status: text(&status(order)) }.into());
    }
    if session.output == Format::Table {
        print(&format!("{id} is {}", text(&status(order))))?;
    }
    Ok(())
}

/// What a look found.
#[derive(Default)]
struct Looked {
    /// Events that were not seen before.
    news: Vec<Value>,
    /// The order, once nothing more is owed.
    ended: Option<Value>,
}

struct Watcher {
    client: Client,
    /// The route of the order.
    order: String,
    /// The ids of events that were seen.
    seen: HashSet<String>,
    /// Whether the server was gone at the last look.
    is_lost: bool,
}

impl Watcher {
    async fn look(&mut self) -> Result<Looked, Failure> {
        // The row is read first: once it says that the order has ended, the stream has all of its events.
        let order = known(self.client.look(&self.order).await)?;
        let stream = self.client.look(&format!("{}/events", self.order)).await?;
        let mut news = rows(&stream, "events").to_vec();
        news.retain(|event| self.seen.insert(text(&event["event_id"])));
        Ok(Looked { news, ended: order.filter(|order| order["open"] == false) })
    }

    /// Looks again; finds nothing where the server is gone for the moment.
    async fn look_again(&mut self) -> Result<Looked, Failure> {
        match self.look().await {
            Err(failure) if is_for_now(&failure) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    eprintln!("the server does not answer; waiting for it");
                }
                Ok(Looked::default())
            }
            answer => {
                self.is_lost = false;
                answer
            }
        }
    }
}

/// Whether asking again may help.
fn is_for_now(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(refusal) => refusal.is_for_now(),
        _ => false,
    }
}

/// A stream without a placed order, made by raw events, is waited for too.
fn known(order: Result<Value, Failure>) -> Result<Option<Value>, Failure> {
    match order {
        Ok(order) => Ok(Some(order)),
        Err(Failure::Refused(refusal)) if refusal.status == 404 => Ok(None),
        Err(failure) => Err(failure),
    }
}
