//! `sagaline dlq`: messages that no worker could handle, and sending them back once the cause is gone.

use std::num::NonZeroU32;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::account::{OfStacks, Task};
use crate::client::{path, query};
use crate::failure::Failure;
use crate::list::rows;
use crate::output::{Column, facts, field, made, short, table};

#[derive(Subcommand)]
pub enum Command {
    /// Lists dead letters. Of stacks: the dead-letter queues and how full they are, or some letters of one.
    List {
        #[command(flatten)]
        of: OfStacks,
        /// Of this dead-letter queue.
        #[arg(long)]
        queue: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u16,
    },
    /// Shows one dead letter with its body.
    Show {
        #[command(flatten)]
        of: OfStacks,
        /// Its number, or what SQS calls it, from the list.
        id: String,
        /// The dead-letter queue of a stack that it lies in. Its letters are read until it is found.
        #[arg(long, requires = "stacks")]
        queue: Option<String>,
    },
    /// Sends dead letters back to the queues they came from.
    Redrive(Redrive),
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "queue", "all"]))]
pub struct Redrive {
    #[command(flatten)]
    of: OfStacks,
    /// Their numbers, from the list. SQS finds no message by what it calls it.
    #[arg(conflicts_with = "stacks")]
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
    /// At most so many a second, to the queues of stacks.
    #[arg(long, requires = "stacks", default_value = "50", value_name = "PER SECOND")]
    rate: NonZeroU32,
    /// Look at the letters of stacks, and only say what would be done.
    #[arg(long, requires = "stacks")]
    dry_run: bool,
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

const QUEUES: [Column; 5] = [
    field("QUEUE", "queue"),
    field("LETTERS", "letters"),
    field("IN FLIGHT", "in_flight"),
    field("HOLDS", "holds"),
    made("GO BACK TO", |queue| {
        let names = queue["goes_back_to"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ").into()
    }),
];

const LETTERS_OF_STACKS: [Column; 7] = [
    field("ID", "id"),
    field("QUEUE", "queue"),
    field("EVENT", "event_name"),
    field("STREAM", "pk"),
    field("RECEIVED", "receive_count"),
    field("SENT", "sent_at"),
    made("GOES BACK TO", |letter| match letter["stays"].as_str() {
        Some(why) => format!("stays: {why}").into(),
        None => letter["goes_back_to"].clone(),
    }),
];

const REDRIVEN: [Column; 5] = [
    field("QUEUE", "queue"),
    field("BEFORE", "before"),
    made("SENT BACK", |queue| counts(&queue["sent_back"])),
    made("STAYED", |queue| counts(&queue["stayed"])),
    field("LEFT", "left"),
];

/// How many of what, in one line: `3 to here, 1 to there`.
fn counts(of: &Value) -> Value {
    let counts = of.as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(what, count)| format!("{count}: {what}")).collect();
    if counts.is_empty() { Value::Null } else { counts.join("; ").into() }
}

pub async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    match command {
        Command::List { of, queue: Some(queue), limit } if of.are_named() => {
            let letters = Task::Look(&of, &queue, limit.into()).run().await?;
            session.output.show(&letters, |letters| table(rows(letters, "dead_letters"), &LETTERS_OF_STACKS))
        }
        Command::List { of, queue: None, .. } if of.are_named() => {
            let queues = Task::Depths(&of).run().await?;
            session.output.show(&queues, |queues| table(rows(queues, "queues"), &QUEUES))
        }
        Command::List { queue, limit, .. } => {
            let limit = limit.to_string();
            let route = query("/ops/dead-letters", &[("queue", queue.as_deref()), ("limit", Some(&limit))]);
            let letters = client.get(&route).await?;
            session.output.show(&letters, |letters| table(rows(letters, "dead_letters"), &LETTERS))
        }
        Command::Show { of, id, queue } if of.are_named() => {
            let queue = queue.ok_or_else(|| Failure::Usage("say with --queue where it lies".to_owned()))?;
            let letters = Task::Look(&of, &queue, u64::MAX).run().await?;
            let letter = rows(&letters, "dead_letters").iter().find(|letter| letter["id"] == *id);
            session.output.show(letter.context("there is no such dead letter")?, in_words)
        }
        Command::Show { id, .. } => {
            let letter = client.get(&path(&["ops", "dead-letters", &id])).await?;
            session.output.show(&letter, in_words)
        }
        Command::Redrive(Redrive { of, queue, limit, rate, dry_run, .. }) if of.are_named() => {
            let task = Task::Redrive { of: &of, queue: queue.as_deref(), limit, rate, dry_run };
            let done = task.run().await?;
            session.output.show(&done, |done| table(rows(done, "queues"), &REDRIVEN))
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
        ("goes back to", "goes_back_to"),
        ("stays", "stays"),
        ("event", "event_name"),
        ("event id", "event_id"),
        ("stream", "pk"),
        ("slot", "sk"),
        ("received", "receive_count"),
        ("sent", "sent_at"),
        ("died", "dead_at"),
        ("error", "error"),
        ("body", "body"),
    ];
    facts(&pairs.map(|(name, field)| (name, letter[field].clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn line(words: &[&str]) -> Result<Command, clap::Error> {
        let words = [&["dlq"], words].concat();
        <Line as clap::Parser>::try_parse_from(words).map(|line| line.command)
    }

    fn redrive(words: &[&str]) -> Redrive {
        match line(words) {
            Ok(Command::Redrive(redrive)) => redrive,
            _ => panic!("{words:?}"),
        }
    }

    #[test]
    fn a_redrive_asks_for_those_that_were_named() {
        assert_eq!(request(&redrive(&["redrive", "--all"])), json!({}));
        let words = ["redrive", "3", "4", "--queue", "OMS-OrderEventsDLQ", "--limit", "1"];
        let expected = json!({"ids": [3, 4], "queue": "OMS-OrderEventsDLQ", "limit": 1});
        assert_eq!(request(&redrive(&words)), expected);
    }

    #[test]
    fn what_only_stacks_can_do_is_asked_of_stacks_alone() {
        let of_stacks = redrive(&["redrive", "--all", "--stack", "oms,ims", "--rate", "5", "--dry-run"]);
        assert_eq!((of_stacks.of.stacks.len(), of_stacks.rate.get(), of_stacks.dry_run), (2, 5, true));
        assert_eq!(redrive(&["redrive", "--all"]).rate.get(), 50);
        for wrong in [
            &["redrive", "--stack", "oms"][..],
            &["redrive", "--all", "--dry-run"],
            &["redrive", "--all", "--rate", "5"],
            &["redrive", "--all", "--stack", "oms", "--rate", "0"],
            &["redrive", "3", "--stack", "oms"],
            &["list", "--endpoint-url", "http://127.0.0.1:4566"],
        ] {
            assert!(line(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn counts_are_said_in_one_line() {
        assert_eq!(counts(&json!({ "A": 2, "B": 1 })), "2: A; 1: B");
        assert_eq!(counts(&json!({})), Value::Null);
    }
}
