//! A server of a run's own over a fresh store, on a free port.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::functions::Workspace;
use crate::{cargo, step};

/// It is killed when it is dropped.
pub struct Server {
    process: Child,
    said: BufReader<ChildStdout>,
    program: PathBuf,
    pub url: String,
    /// The key that its first start shows, where it asks who asks.
    pub first_key: Option<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    /// Builds the release binary, and starts it over an empty folder of this name below the folder of what is built.
    ///
    /// # Errors
    /// It does not build, or does not start.
    pub fn start(name: &str) -> anyhow::Result<Server> {
        step("release build", cargo(&["build", "--release", "--package", "sagaline"]))?;
        Server::under("release", name, &[])
    }

    /// Starts what was built under a profile, with what it logs in a file beside the folder of its store.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub fn under(profile: &str, name: &str, words: &[&str]) -> anyhow::Result<Server> {
        let target = Workspace::read()?.target;
        let program = target.join(profile).join("sagaline");
        // What is tried on it by the thousand, it warns of by the thousand.
        let log = target.join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
        let mut up = Command::new(&program);
        up.args(["up", "--port", "0", "--fresh", "--data"]).arg(target.join(name)).args(words);
        without_settings(&mut up);
        let up = up.stdout(Stdio::piped()).stderr(log).spawn();
        let mut process = up.with_context(|| format!("failed to run {}", program.display()))?;
        let said = BufReader::new(process.stdout.take().context("a server says where it is")?);
        let mut server = Server { process, said, program, url: String::new(), first_key: None };
        while server.url.is_empty() {
            let mut line = String::new();
            if server.said.read_line(&mut line).context("failed to read what the server says")? == 0 {
                bail!("{} ended, and had not said where it is", server.program.display());
            }
            if let Some((_, key)) = line.split_once("SAGALINE_API_KEY=") {
                server.first_key = Some(key.trim().to_owned());
            }
            let url = line.split_whitespace().find(|word| word.starts_with("http://"));
            server.url = url.map_or(String::new(), |url| url.trim_end_matches(',').to_owned());
        }
        Ok(server)
    }

    /// A command of the same binary that talks to it.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        without_settings(&mut command);
        command.args(words).args(["--url", &self.url]).envs(self.environment());
        command
    }

    /// Who asks: an admin, by the first key.
    pub fn environment(&self) -> Option<(&'static str, &str)> {
        self.first_key.as_deref().map(|key| ("SAGALINE_API_KEY", key))
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
