//! The seam to an account: what is asked of deployed stacks, and who answers if the binary was built for it.

#[cfg(feature = "aws")]
mod built_in;

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use event_store::{Role, View};
use events::Timestamp;
use serde_json::Value;

use crate::offline::Mode;

/// Which stacks of an account a command is about.
#[derive(Debug, Args)]
pub struct OfStacks {
    /// Ask these deployed stacks, not a server; several with commas between them. Needs a binary that was built with
    /// the feature `aws`, and the variables AWS_REGION, AWS_ACCESS_KEY_ID and so on.
    #[arg(long = "stack", value_enum, value_delimiter = ',', value_name = "STACK,…")]
    pub stacks: Vec<Stack>,
    /// Ask a double of AWS at this address, not AWS.
    #[arg(long, requires = "stacks")]
    pub endpoint_url: Option<String>,
}

impl OfStacks {
    /// Whether a command is about stacks at all.
    pub fn are_named(&self) -> bool {
        !self.stacks.is_empty()
    }
}

/// A deployed stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stack {
    /// Orders, payments, customers and products, and the log.
    Oms,
    /// Stock.
    Ims,
}

/// Which tables a command is about, if it is about tables.
#[derive(Debug, Args)]
pub struct OfTables {
    /// Ask tables, not a server. Needs a binary that was built with the feature `aws`, and the variables AWS_REGION,
    /// AWS_ACCESS_KEY_ID and so on.
    #[arg(long, value_enum, conflicts_with = "data")]
    pub store: Option<Kept>,
    /// Ask DynamoDB Local, or another double, at this address, not AWS.
    #[arg(long, requires = "store")]
    pub endpoint_url: Option<String>,
    /// What the names of the tables begin with; if nothing is said, they are those of the deployed stacks.
    #[arg(long, requires = "store")]
    pub table_prefix: Option<String>,
    /// Read units that reading the log may take in a second; as many as there are if nothing is said.
    #[arg(long, requires = "store", value_parser = clap::value_parser!(u32).range(1..))]
    pub read_units: Option<u32>,
}

/// Where the log and the read models are kept that no server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kept {
    /// In DynamoDB.
    Dynamodb,
}

/// What is asked of an account.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "nobody reads what nobody can answer"))]
pub enum Task<'a> {
    /// Every dead-letter queue, and how full it is.
    Depths(&'a OfStacks),
    /// So many letters of a queue.
    Look(&'a OfStacks, &'a str, u64),
    /// Sending letters back.
    Redrive { of: &'a OfStacks, queue: Option<&'a str>, limit: Option<u64>, rate: NonZeroU32, dry_run: bool },
    /// Rebuilding a read model.
    Replay { of: &'a OfTables, view: View, mode: Mode, segments: u32 },
    /// Dropping what a replay left half done.
    Discard(&'a OfTables, View),
    /// Making a key.
    CreateKey { of: &'a OfStacks, name: &'a str, role: Role },
    /// Auditing the log and what is folded from it, where what has not moved since a moment is at rest.
    Audit(&'a OfTables, Timestamp),
    /// Looking for what is left of people who were erased.
    Personal(&'a OfTables),
}

impl Task<'_> {
    /// Does it; gives what the server would have answered.
    #[cfg(feature = "aws")]
    pub async fn run(self) -> anyhow::Result<Value> {
        built_in::run(self).await
    }

    /// Says which binary could do it.
    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_async, reason = "the binary that can do it has to wait")]
    pub async fn run(self) -> anyhow::Result<Value> {
        anyhow::bail!(
            "this binary was built without AWS; build one with \
             `cargo build --release --package sagaline --features aws`"
        )
    }
}
