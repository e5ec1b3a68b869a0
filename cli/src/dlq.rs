//! `sagaline dlq`: messages that no worker could handle, sending them back once the cause is gone, or throwing them away.

use std::num::NonZeroU32;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Session;
use crate::account::{OfStacks, Task};
use crate::client::{path, query};
use crate::failure::Failure;
use crate::list::rows;
use crate::long_run;
use crate::output::{Column, facts, field, made, short, table, text};

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
    /// Throws dead letters of a server away. It cannot be undone.
    Discard(Discard),
    /// Lists what was done to dead letters of a server: who did it, when, why, and to how many.
    Log {
        /// At most so many, the latest first.
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
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
    /// At most so many a second. If nothing is said, 50 to the queues of stacks, and as many as it can to a server's.
    #[arg(long, value_name = "PER SECOND")]
    rate: Option<NonZeroU32>,
    /// Only count what would be sent back.
    #[arg(long)]
    dry_run: bool,
    /// Why, for the record that a server keeps of it.
    #[arg(long, conflicts_with = "stacks")]
    reason: Option<String>,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "queue"]))]
pub struct Discard {
    /// Their numbers, from the list.
    ids: Vec<u64>,
    /// Those of this dead-letter queue.
    #[arg(long)]
    queue: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    /// At most so many a second; as many as the server can if nothing is said.
    #[arg(long, value_name = "PER SECOND")]
    rate: Option<NonZeroU32>,
    /// Only count what would be thrown away.
    #[arg(long)]
    dry_run: bool,
    /// Why, for the record that the server keeps of it.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
}

/// So many a second go back to the queues of stacks, where nothing is said.
const RATE_OF_STACKS: NonZeroU32 = NonZeroU32::new(50).expect("50 is not 0");

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

const CHOSEN: [Column; 4] = [
    field("QUEUE", "queue"),
    field("CAME FROM", "source_queue"),
    field("LETTERS", "letters"),
    made("STAY", |chosen| {
        if chosen["stay"] == true { "yes: no worker reads it any more".into() } else { Value::Null }
    }),
];

const ACTIONS: [Column; 8] = [
    field("ID", "id"),
    field("BEGAN", "began_at"),
    field("BY", "by"),
    field("ACTION", "action"),
    made("WHICH", which),
    field("DONE", "done"),
    field("STATE", "state"),
    made("REASON", |action| short(action["reason"].as_str().unwrap_or("-"), 60).into()),
];

/// Which letters an action is about.
fn which(action: &Value) -> Value {
    let queue = action["queue"].as_str().unwrap_or("every queue");
    match action["ids"].as_array() {
        Some(ids) => format!("{} of {queue}", ids.len()).into(),
        None => queue.into(),
    }
}

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
            let rate = rate.unwrap_or(RATE_OF_STACKS);
            let task = Task::Redrive { of: &of, queue: queue.as_deref(), limit, rate, dry_run };
            let done = task.run().await?;
            session.output.show(&done, |done| table(rows(done, "queues"), &REDRIVEN))
        }
        Command::Redrive(redrive) => take(session, "redrive", "sent back", &redrive.request()).await,
        Command::Discard(discard) => take(session, "discard", "thrown away", &discard.request()).await,
        Command::Log { limit } => {
            let actions = client.get(&query("/ops/actions", &[("limit", Some(&limit.to_string()))])).await?;
            session.output.show(&actions, |actions| table(rows(actions, "actions"), &ACTIONS))
        }
    }
}

/// Has a server take letters away, and looks on. Whoever stops looking stops nothing.
async fn take(session: &Session, deed: &str, done: &str, request: &Value) -> anyhow::Result<()> {
    let client = session.client();
    let begun = client.post(&path(&["ops", "dead-letters", deed]), request).await?.body;
    if begun["dry_run"] == true {
        return session.output.show(&begun, |preview| {
            let counts = [("would be", preview["letters"].clone()), ("would stay", preview["stay"].clone())];
            format!("{}\n\n{}", facts(&counts), table(rows(preview, "queues"), &CHOSEN))
        });
    }
    let route = path(&["ops", "actions", &text(&begun["id"])]);
    let report = long_run::follow(&client, &route, "dead letters".to_owned(), ["done", "total"]).await?;
    session.output.show(&report, |report| {
        facts(&[
            ("action", report["id"].clone()),
            (done, report["done"].clone()),
            ("left", report["left"].clone()),
        ])
    })
}

impl Redrive {
    fn request(&self) -> Value {
        let Redrive { ids, queue, limit, rate, dry_run, reason, .. } = self;
        request(ids, queue.as_ref(), *limit, *rate, *dry_run, reason.as_ref())
    }
}

impl Discard {
    fn request(&self) -> Value {
        let Discard { ids, queue, limit, rate, dry_run, reason } = self;
        request(ids, queue.as_ref(), *limit, *rate, *dry_run, reason.as_ref())
    }
}

/// What was said, and nothing else.
fn request(
    ids: &[u64],
    queue: Option<&String>,
    limit: Option<u64>,
    rate: Option<NonZeroU32>,
    dry_run: bool,
    reason: Option<&String>,
) -> Value {
    let said = [
        ("ids", (!ids.is_empty()).then(|| json!(ids))),
        ("queue", queue.map(|queue| json!(queue))),
        ("limit", limit.map(|limit| json!(limit))),
        ("rate", rate.map(|rate| json!(rate))),
        ("dry_run", dry_run.then_some(json!(true))),
        ("reason", reason.map(|reason| json!(reason))),
    ];
    let said = said.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?)));
    Value::Object(said.collect())
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
        assert_eq!(redrive(&["redrive", "--all"]).request(), json!({}));
        let words = ["redrive", "3", "4", "--queue", "OMS-OrderEventsDLQ", "--limit", "1", "--rate", "5"];
        let expected = json!({"ids": [3, 4], "queue": "OMS-OrderEventsDLQ", "limit": 1, "rate": 5});
        assert_eq!(redrive(&words).request(), expected);
        let expected = json!({"dry_run": true, "reason": "mended"});
        assert_eq!(redrive(&["redrive", "--all", "--dry-run", "--reason", "mended"]).request(), expected);
    }

    #[test]
    fn what_is_thrown_away_is_named_and_why_is_said() {
        let Ok(Command::Discard(discard)) = line(&["discard", "3", "--reason", "forged"]) else {
            panic!("it is a command");
        };
        assert_eq!(discard.request(), json!({"ids": [3], "reason": "forged"}));
        assert!(line(&["discard", "--queue", "OMS-OrderEventsDLQ", "--dry-run"]).is_ok());
        for wrong in [&["discard", "--reason", "forged"][..], &["discard", "3"], &["discard", "--all"]] {
            assert!(line(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_only_stacks_can_do_is_asked_of_stacks_alone() {
        let of_stacks = redrive(&["redrive", "--all", "--stack", "oms,ims", "--rate", "5", "--dry-run"]);
        let rate = of_stacks.rate.map(NonZeroU32::get);
        assert_eq!((of_stacks.of.stacks.len(), rate, of_stacks.dry_run), (2, Some(5), true));
        for wrong in [
            &["redrive", "--stack", "oms"][..],
            &["redrive", "--all", "--stack", "oms", "--rate", "0"],
            &["redrive", "--all", "--stack", "oms", "--reason", "nobody would keep it"],
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
