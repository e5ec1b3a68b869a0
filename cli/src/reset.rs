//! `sagaline reset`: removes a store, so that the next start begins with an empty one.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::failure::Failure;
use crate::output::print;

#[derive(Args)]
pub struct Options {
    /// The folder of the embedded store.
    #[arg(long, env = "SAGALINE_DATA", default_value = "sagaline-data")]
    data: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Removes the store of a folder that no server has open; what is not of the store stays.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let folder = options.data.display();
    if !local::is_store(&options.data) {
        return Ok(print(&format!("there is no store in {folder}"))?);
    }
    if !options.yes && !is_wanted(&format!("remove the store in {folder}, with every order in it?"))? {
        return Ok(print("nothing was removed")?);
    }
    local::erase(&options.data).with_context(|| format!("failed to remove the store in {folder}"))?;
    Ok(print(&format!("removed the store in {folder}"))?)
}

/// Asks a person; where there is none to ask, the answer has to be on the command line.
fn is_wanted(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Nobody is there to ask; say --yes")).into());
    }
    print(&format!("{question} Type yes:"))?;
    let answer = io::stdin().lock().lines().next().transpose().context("failed to read the answer")?;
    Ok(answer.is_some_and(|answer| answer.trim() == "yes"))
}
