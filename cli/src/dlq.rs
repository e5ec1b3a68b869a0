//! `sagaline dlq`: messages that no worker could handle, and sending them back once the cause is gone.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::client::{path, query};
use crate::list::rows;
use crate::output::{Column, facts, field, made, short, table};

#[derive(Subcommand)]
pub enum Command {
    /// Lists dead letters.
    List {
        /// Of this dead-letter queue.
        #[arg(long)]
        queue: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u16,
    },
    /// Shows one dead letter with its body.
    Show {
        /// Its number, from the list.
        id: String,
    },
    /// Sends dead letters back to the queues they came from.
    Redrive(Redrive),
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "queue", "all"]))]
pub struct Redrive {
    /// Their numbers, from the list.
    ids: Vec<u64>,
    /// Those of this dead-letter queue.
    #[arg(long)]
    queue: Option<String>,
    /// Every one.
    #[arg(long, conflicts_with_all = ["ids", "queue"])]
    all: bool,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
}

const LETTERS: [Column; 7] = [
    field("ID", "id"),
    field("QUEUE", "queue"),
    field("EVENT", "event_name"),
    field("STREAM", "pk"),
    field("RECEIVED", "receive_count"),
    field("DIED", "dead_at"),
    made("ERROR", |letter| short(letter["error"].as_str().unwrap_or("-"), 80).into()),
];

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    match command {
        Command::List { queue, limit } => {
            let limit = limit.to_string();
            let route = query("/ops/dead-letters", &[("queue", queue.as_deref()), ("limit", Some(&limit))]);
            let letters = client.get(&route).await?;
            session.output.show(&letters, |letters| table(rows(letters, "dead_letters"), &LETTERS))
        }
        Command::Show { id } => {
            let letter = client.get(&path(&["ops", "dead-letters", &id])).await?;
            session.output.show(&letter, in_words)
        }
        Command::Redrive(redrive) => {
            let done = client.post("/ops/dead-letters/redrive", &request(&redrive)).await?.body;
            let pairs =
                |done: &Value| [("sent back", done["redriven"].clone()), ("left", done["left"].clone())];
            session.output.show(&done, |done| facts(&pairs(done)))
        }
    }
}

fn request(redrive: &Redrive) -> Value {
    let mut request = json!({});
    if let Some(queue) = &redrive.queue {
        request["queue"] = queue.as_str().into();
    }
    if !redrive.ids.is_empty() {
        request["ids"] = redrive.ids.clone().into();
    }
    if let Some(limit) = redrive.limit {
        request["limit"] = limit.into();
    }
    request
}

fn in_words(letter: &Value) -> String {
    let pairs = [
        ("id", "id"),
        ("queue", "queue"),
        ("came from", "source_queue"),
        ("event", "event_name"),
        ("event id", "event_id"),
        ("stream", "pk"),
        ("slot", "sk"),
        ("received", "receive_count"),
        ("died", "dead_at"),
        ("error", "error"),
        ("body", "body"),
    ];
    facts(&pairs.map(|(name, field)| (name, letter[field].clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_asks_for_those_that_were_named() {
        let all = Redrive { ids: vec![], queue: None, all: true, limit: None };
        assert_eq!(request(&all), json!({}));
        let some =
            Redrive { ids: vec![3, 4], queue: Some("OMS-OrderEventsDLQ".into()), all: false, limit: Some(1) };
        let expected = json!({"ids": [3, 4], "queue": "OMS-OrderEventsDLQ", "limit": 1});
        assert_eq!(request(&some), expected);
    }
}
