//! A server of one's own, for what asks one from outside.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};

use crate::root;

/// The one-machine binary over a fresh store, on a free port. Ends when it is dropped.
pub struct Server {
    process: Child,
    said: BufReader<ChildStdout>,
    /// The binary.
    pub program: PathBuf,
    /// Where it listens.
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    /// Starts what was built under a profile, with a folder of this name below `target` for its store, and a file beside
    /// it for what it logs.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub fn start(profile: &str, name: &str, words: &[&str]) -> anyhow::Result<Server> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let program = target.join(profile).join("sagaline");
        // What is tried on it by the thousand, it warns of by the thousand.
        let log = root().join("target").join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
        let mut process = Command::new(&program)
            .args(["up", "--port", "0", "--fresh", "--data"])
            .arg(root().join("target").join(name))
            .args(words)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to run {}", program.display()))?;
        let said = BufReader::new(process.stdout.take().context("a server says where it is")?);
        let mut server = Server { process, said, program, url: String::new() };
        let line = server.line_with("http://")?;
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default();
        server.url = url.trim_end_matches(',').to_owned();
        Ok(server)
    }

    /// The first key, which is shown once.
    ///
    /// # Errors
    /// None is shown.
    pub fn first_key(&mut self) -> anyhow::Result<String> {
        let line = self.line_with("SAGALINE_API_KEY=")?;
        Ok(line.split_once('=').map(|(_, key)| key.trim().to_owned()).unwrap_or_default())
    }

    fn line_with(&mut self, what: &str) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            if self.said.read_line(&mut line).context("failed to read what the server says")? == 0 {
                bail!("the server ended, and had not said {what}");
            }
            if line.contains(what) {
                return Ok(line);
            }
        }
    }
}
