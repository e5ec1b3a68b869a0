//! `cargo xtask up`, `logs`, `status` and `reset`: the `sagaline` binary, built and run from the project's folder.

use std::env;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};

use crate::functions::Workspace;
use crate::{cargo, root};

/// What the server's logs are called below the folder of what is built.
const LOG: &str = "sagaline.log";

fn sagaline(words: &[&str]) -> Command {
    let mut command = cargo(&["run", "--release", "--package", "sagaline", "--"]);
    command.args(words);
    command
}

/// `up [WORDS…]`: becomes the server, so that Ctrl-C reaches it. What is said in the environment or behind it counts.
///
/// # Errors
/// It cannot be built or run.
pub fn up(words: &[&str]) -> anyhow::Result<()> {
    let log = Workspace::read()?.target.join(LOG);
    let mut command = sagaline(&["up"]);
    command.args(words);
    for (name, value) in [("SAGALINE_LOG", "info".as_ref()), ("SAGALINE_LOG_FILE", log.as_os_str())] {
        if env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    Err(command.exec()).context("failed to run cargo")
}

/// `logs`: the last of what the server logged, and what follows.
///
/// # Errors
/// There is nothing yet.
pub fn logs(words: &[&str]) -> anyhow::Result<()> {
    nothing_behind("logs", words)?;
    let log = match env::var_os("SAGALINE_LOG_FILE") {
        Some(named) => root().join(named),
        None => Workspace::read()?.target.join(LOG),
    };
    if !log.exists() {
        bail!("there are no logs at {}; cargo xtask up writes them", log.display());
    }
    match Command::new("tail").args(["-n", "100", "-F"]).arg(log).exec() {
        error if error.kind() == ErrorKind::NotFound => bail!("install tail, which shows the logs"),
        error => Err(error).context("failed to run tail"),
    }
}

/// `status`: whether the server is ready, and what waits in it.
///
/// # Errors
/// It cannot be asked.
pub fn status(words: &[&str]) -> anyhow::Result<()> {
    nothing_behind("status", words)?;
    Err(sagaline(&["status"]).exec()).context("failed to run cargo")
}

/// `reset [--yes]`: removes the server's store.
///
/// # Errors
/// It cannot be run.
pub fn reset(words: &[&str]) -> anyhow::Result<()> {
    let mut command = sagaline(&["reset"]);
    command.args(words);
    Err(command.exec()).context("failed to run cargo")
}

fn nothing_behind(command: &str, words: &[&str]) -> anyhow::Result<()> {
    if words.is_empty() { Ok(()) } else { bail!("{command} takes no words") }
}
