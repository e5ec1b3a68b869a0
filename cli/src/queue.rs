//! `sagaline queue`: what waits between the log and the workers.

use clap::Subcommand;

use crate::Session;
use crate::list::rows;
use crate::output::{Column, field, table};

#[derive(Subcommand)]
pub enum Command {
    /// Lists every queue and what it holds.
    List,
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
    let Command::List = command;
    let queues = session.client().get("/ops/queues").await?;
    session.output.show(&queues, |queues| table(rows(queues, "queues"), &QUEUES))
}
