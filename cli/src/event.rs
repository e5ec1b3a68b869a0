//! `sagaline event`: the log itself, read as it grows, and written by hand.

use std::convert::Infallible;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::client::query;
use crate::list::rows;
use crate::output::{Format, print, short, text};

#[derive(Subcommand)]
pub enum Command {
    /// Appends an event exactly as given: any stream, any slot, any name. For trying out what should not happen.
    Raw(Raw),
    /// Prints events as they are appended, until Ctrl-C.
    Tail(Tail),
}

#[derive(Args)]
pub struct Raw {
    /// The stream, such as EVENTS#ORDER_ID#order-0001.
    #[arg(long)]
    pk: String,
    /// The slot, such as EVENT#Closing.
    #[arg(long)]
    sk: String,
    /// The name, such as OrderCancelled.
    #[arg(long, visible_alias = "event-name")]
    name: String,
    /// The payload: a JSON object, or any other text, which becomes the payload as it is.
    #[arg(long, value_parser = payload)]
    data: Option<Value>,
    /// The version of the payload.
    #[arg(long)]
    schema_version: Option<u32>,
}

#[derive(Args)]
pub struct Tail {
    /// Begin behind this position of the log; 0 is the beginning, and without it only new events are shown.
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Only events of these names, such as OrderPlaced,OrderCancelled.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    event_name: Vec<String>,
    /// Stop after so many events.
    #[arg(long)]
    limit: Option<u64>,
    /// Stop at the end of the log instead of waiting for more.
    #[arg(long)]
    no_follow: bool,
}

/// A payload that nobody can read is worth trying too.
fn payload(text: &str) -> Result<Value, Infallible> {
    let object = serde_json::from_str(text).ok().filter(Value::is_object);
    Ok(object.unwrap_or_else(|| text.into()))
}

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    match command {
        Command::Raw(raw) => append(raw, session).await,
        Command::Tail(tail) => follow(tail, session).await,
    }
}

async fn append(raw: Raw, session: &Session) -> anyhow::Result<()> {
    let mut request = json!({ "pk": raw.pk, "sk": raw.sk, "event_name": raw.name });
    if let Some(data) = raw.data {
        request["data"] = data;
    }
    if let Some(version) = raw.schema_version {
        request["schema_version"] = version.into();
    }
    let answer = session.client().post("/chaos/raw-events", &request).await?.body;
    session.output.show(&answer, |answer| {
        let what =
            if answer["stored"] == false { "the slot is taken, what is there stands" } else { "appended" };
        format!(
            "{what}: {}",
            [&answer["event_name"], &answer["pk"], &answer["sk"], &answer["event_id"]].map(text).join("  ")
        )
    })
}

/// How long one request waits at the end of the log, in seconds.
const WAIT: &str = "20";

async fn follow(tail: Tail, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let names = tail.event_name.join(",");
    let names = Some(names.as_str()).filter(|names| !names.is_empty());
    let head = client.get("/events?limit=1").await?["head"].as_u64().unwrap_or(0);
    let mut cursor =
        Cursor { next: tail.after.unwrap_or(head), left: tail.limit, until: tail.no_follow.then_some(head) };
    while !cursor.is_done() {
        // At the end of the log a wait of a second is enough to be told that nothing is left.
        let wait = if tail.no_follow { "1" } else { WAIT };
        let (after, limit) = (cursor.next.to_string(), cursor.page().to_string());
        let parameters =
            [("after", Some(&*after)), ("limit", Some(&*limit)), ("event_name", names), ("wait", Some(wait))];
        let page = client.get(&query("/events", &parameters)).await?;
        for event in cursor.take(&page) {
            match session.output {
                Format::Json => print(&event.to_string())?,
                Format::Table => print(&format!("{:>8}  {}", text(&event["position"]), line(event)))?,
            }
        }
    }
    Ok(())
}

/// Where a reader of the log stands, and when it has seen enough.
struct Cursor {
    next: u64,
    left: Option<u64>,
    until: Option<u64>,
}

impl Cursor {
    fn is_done(&self) -> bool {
        self.left == Some(0) || self.until.is_some_and(|until| self.next >= until)
    }

    /// How many events the next page may hold.
    fn page(&self) -> u64 {
        self.left.unwrap_or(1000).clamp(1, 1000)
    }

    /// The events of a page that are still wanted. Goes on behind the page, never back.
    fn take<'a>(&mut self, page: &'a Value) -> &'a [Value] {
        let events = rows(page, "events");
        // Whoever reads up to the head of a moment does not want what came later.
        let wanted =
            |event: &&Value| self.until.is_none_or(|until| event["position"].as_u64() <= Some(until));
        let wanted = &events[..events.iter().take_while(wanted).count()];
        self.next = page["next"].as_u64().map_or(self.next, |next| next.max(self.next));
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(wanted.len() as u64);
        }
        wanted
    }
}

/// An event on one line: when, what, where, and the beginning of what it says. The feed names the stream and
/// the key, an order's history only the slot.
pub fn line(event: &Value) -> String {
    let place = ["pk", "sk", "slot"].iter().filter_map(|field| event.get(field)).map(text);
    let place: Vec<String> = place.collect();
    let data = match &event["data"] {
        Value::String(data) => data.clone(),
        data => data.to_string(),
    };
    let [time, name] = ["occurred_at", "event_name"].map(|field| text(&event[field]));
    format!("{time}  {name:<26}  {:<24}  {}", place.join("  "), short(&data, 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(positions: &[u64], next: u64) -> Value {
        let events: Vec<Value> = positions.iter().map(|position| json!({ "position": position })).collect();
        json!({ "events": events, "next": next, "head": 100 })
    }

    #[test]
    fn a_cursor_goes_on_behind_each_page_even_an_empty_one() {
        let mut cursor = Cursor { next: 3, left: None, until: None };
        assert_eq!(cursor.take(&page(&[5, 7], 7)).len(), 2);
        assert_eq!(cursor.take(&page(&[], 90)).len(), 0);
        assert_eq!((cursor.next, cursor.is_done()), (90, false));
        cursor.take(&page(&[], 4));
        assert_eq!(cursor.next, 90);
    }

    #[test]
    fn a_cursor_with_a_limit_asks_for_no_more_than_is_left() {
        let mut cursor = Cursor { next: 0, left: Some(3), until: None };
        assert_eq!(cursor.page(), 3);
        cursor.take(&page(&[1, 2], 2));
        assert_eq!((cursor.page(), cursor.is_done()), (1, false));
        cursor.take(&page(&[3], 3));
        assert!(cursor.is_done());
    }

    #[test]
    fn a_cursor_that_does_not_follow_ends_at_the_head_it_began_with() {
        let mut cursor = Cursor { next: 0, left: None, until: Some(6) };
        assert_eq!(cursor.take(&page(&[5, 6, 7], 7)).len(), 2);
        assert!(cursor.is_done());
        assert!(Cursor { next: 0, left: None, until: Some(0) }.is_done());
    }

    #[test]
    fn an_event_is_one_line_whatever_it_carries() {
        let event = json!({"occurred_at": "t", "event_name": "X\n", "pk": "p", "sk": "s", "data": "{\n}"});
        assert_eq!(line(&event).lines().count(), 1);
    }
}
