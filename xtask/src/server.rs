//! A server of a run's own: the release binary over a fresh store, on a free port, audited before it ends.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::functions::Workspace;
use crate::{cargo, step};

/// It is killed when it is dropped.
pub struct Server {
    process: Child,
    program: PathBuf,
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    /// Builds the binary, and starts it over an empty folder of this name below the folder of what is built.
    ///
    /// # Errors
    /// It does not build, or does not start.
    pub fn start(name: &str) -> anyhow::Result<Server> {
        step("release build", cargo(&["build", "--release", "--package", "sagaline"]))?;
        let target = Workspace::read()?.target;
        let program = target.join("release").join("sagaline");
        let mut up = Command::new(&program);
        up.args(["up", "--auth", "off", "--port", "0", "--fresh", "--data"]).arg(target.join(name));
        without_settings(&mut up);
        let mut process = up
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to run {}", program.display()))?;
        let mut said = String::new();
        let output = process.stdout.take().context("a server says where it is")?;
        BufReader::new(output).read_line(&mut said)?;
        let url = said.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.map(|url| url.trim_end_matches(',').to_owned());
        let server = Server { process, program, url: url.clone().unwrap_or_default() };
        if url.is_none() {
            bail!("the server did not start: {said}");
        }
        Ok(server)
    }

    /// A command of the same binary that talks to it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        without_settings(&mut command);
        command.args(words).args(["--url", &self.url]);
        command
    }

    /// How many orders are in the log, after an audit that found everything to agree with it.
    ///
    /// # Errors
    /// It found something that does not.
    pub fn audited_orders(&self) -> anyhow::Result<u64> {
        let audit =
            self.command(&["audit", "--output", "json"]).output().context("failed to run the audit")?;
        let report: Value = serde_json::from_slice(&audit.stdout).context("failed to read the audit")?;
        if !audit.status.success() {
            bail!("the audit found differences: {report:#}");
        }
        let orders = report["orders"].as_object().into_iter().flat_map(|orders| orders.values());
        Ok(orders.filter_map(Value::as_u64).sum())
    }
}

/// What somebody set up for their own server says nothing about this one.
fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("SAGALINE_")) {
        command.env_remove(name);
    }
}
