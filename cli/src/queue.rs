//! `sagaline queue`: what waits between the log and the workers.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::list::rows;
use crate::output::{Column, facts, field, table};

#[derive(Subcommand)]
pub enum Command {
    /// Lists every queue and what it holds.
    List,
    /// Receives what waits in a queue by hand, beside the worker that reads it and by the same rules.
    Drain(Drain),
}

#[derive(Args)]
pub struct Drain {
    /// The queue; that of orders if nothing is said.
    queue: Option<String>,
    /// At most so many messages; 100 if nothing is said.
    #[arg(long)]
    limit: Option<u64>,
    /// Begin with no more after so many seconds; 10 if nothing is said.
    #[arg(long)]
    seconds: Option<u64>,
}

const QUEUES: [Column; 10] = [
    field("QUEUE", "name"),
    field("FUNCTION", "function"),
    field("VISIBLE", "visible"),
    field("IN FLIGHT", "in_flight"),
    field("DELAYED", "delayed"),
    field("OLDEST", "oldest_sent_at"),
    field("BEHIND", "behind"),
    field("RECEIVED", "received"),
    field("DELETED", "deleted"),
    field("DEAD-LETTERED", "dead_lettered"),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    match command {
        Command::List => {
            let queues = client.get("/ops/queues").await?;
            session.output.show(&queues, |queues| table(rows(queues, "queues"), &QUEUES))
        }
        Command::Drain(drain) => {
            let drained = client.post("/orders/process-queue", &request(&drain)).await?.body;
            session.output.show(&drained, in_words)
        }
    }
}

fn request(drain: &Drain) -> Value {
    let mut request = json!({});
    let said = [
        ("queue", drain.queue.as_deref().map(Value::from)),
        ("limit", drain.limit.map(Value::from)),
        ("seconds", drain.seconds.map(Value::from)),
    ];
    for (field, value) in said {
        if let Some(value) = value {
            request[field] = value;
        }
    }
    request
}

fn in_words(drained: &Value) -> String {
    facts(&["queue", "done", "failed", "left"].map(|field| (field, drained[field].clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_servers_to_choose() {
        let drain = Drain { queue: None, limit: None, seconds: None };
        assert_eq!(request(&drain), json!({}));
        let drain = Drain { queue: Some("OMS-PaymentsQueue".into()), limit: Some(5), seconds: Some(2) };
        let expected = json!({ "queue": "OMS-PaymentsQueue", "limit": 5, "seconds": 2 });
        assert_eq!(request(&drain), expected);
    }
}
