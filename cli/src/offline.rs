//! Replay and audit of a store folder that no server has open: the seam to the embedded store.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use event_store::{Role, View};
use events::{CustomerId, Timestamp};
use serde_json::{Value, json};
use views::personal::PersonalReport;

use crate::progress::Progress;

/// What to do with the rebuilt rows.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Compare them with the live ones.
    pub diff: bool,
    /// Put them in the place of the live ones.
    pub swap: bool,
}

/// Rebuilds a read model of the store in `data`; the report is the document of `GET /ops/replays/{id}`.
pub async fn replay(data: &Path, view: &str, mode: Mode) -> anyhow::Result<Value> {
    let view = parse(view)?;
    let mode = views::replay::Mode { diff: mode.diff, swap: mode.swap };
    let (progress, began) = (Progress::new(format!("replay of {view}"), 0), Instant::now());
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = local::offline_replay(data, view, mode, &observe).await?;
    progress.finish();
    let events = report.events;
    Ok(done(json!(report), events, began))
}

/// The read model of that name.
pub fn parse(view: &str) -> anyhow::Result<View> {
    View::parse(view).with_context(|| format!("there is no read model {view}"))
}

/// Audits the store in `data`, where what has not moved since a moment is at rest; the report is the document of `GET /ops/audits/{id}`.
pub async fn audit(data: &Path, still_since: Timestamp) -> anyhow::Result<Value> {
    let (progress, began) = (Progress::new("audit", 0), Instant::now());
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = local::offline_audit(data, still_since, &observe).await?;
    progress.finish();
    Ok(report_of_audit(&report, began))
}

/// Looks for what is left of people who were erased in the store in `data`, and for words in the bytes of its files; the
/// report is the document of `GET /ops/audits/{id}`, with what was found in the files under `files`.
pub async fn personal(data: &Path, words: &[String]) -> anyhow::Result<Value> {
    // Before it is opened, which empties its write-ahead log.
    let files = files_with(data, words).context("failed to read the files of the store")?;
    let (progress, began) = (Progress::new("audit", 0), Instant::now());
    let observe = |events: u64, total: u64| progress.at(events, total.max(events));
    let report = local::offline_personal(data, &observe).await?;
    progress.finish();
    let mut shown = report_of_personal(&report, began);
    shown["clean"] = (report.is_clean() && files.is_empty()).into();
    shown["files"] = files.into();
    Ok(shown)
}

/// The files of a folder in which any of the words stands, with the number of the word: it need not be said again.
fn files_with(data: &Path, words: &[String]) -> io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(data)?.collect::<io::Result<Vec<_>>>()? {
        if words.is_empty() || !file.file_type()?.is_file() {
            continue;
        }
        for (number, holds) in holds(&mut File::open(file.path())?, words)?.into_iter().enumerate() {
            if holds {
                found.push(json!({ "file": file.file_name().to_string_lossy(), "word": number + 1 }));
            }
        }
    }
    Ok(found)
}

/// Which of the words stand in a file, however large it is.
fn holds(file: &mut impl Read, words: &[String]) -> io::Result<Vec<bool>> {
    let longest = words.iter().map(String::len).max().unwrap_or(0);
    let (mut found, mut window) = (vec![false; words.len()], Vec::new());
    let mut part = vec![0; 1024 * 1024];
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok(found);
        }
        window.extend_from_slice(&part[..read]);
        for (word, found) in words.iter().zip(&mut found) {
            *found = *found || find(&window, word.as_bytes());
        }
        // A word may stand across two parts.
        let keep = window.len().min(longest.saturating_sub(1));
        window.drain(..window.len() - keep);
    }
}

fn find(bytes: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else { return false };
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.any(|(at, _)| bytes[at + 1..].starts_with(rest))
}

/// The document of an audit that has ended.
pub fn report_of_audit(report: &views::AuditReport, began: Instant) -> Value {
    let mut shown = done(json!(report), report.events, began);
    shown["clean"] = report.is_clean().into();
    shown
}

/// The document of an audit for what is left of people that has ended.
pub fn report_of_personal(report: &PersonalReport, began: Instant) -> Value {
    let mut shown = done(json!(report), report.events, began);
    shown["clean"] = report.is_clean().into();
    shown
}

/// The document of a run that has ended, over so many events.
pub fn done(mut report: Value, events: u64, began: Instant) -> Value {
    report["state"] = "done".into();
    report["events_per_second"] = (events as f64 / began.elapsed().as_secs_f64().max(1e-6)).round().into();
    report
}

/// Makes a key in the store in `data`; the answer is the document of `POST /keys`.
pub async fn create_key(
    data: &Path,
    name: &str,
    role: Role,
    customer: Option<&str>,
) -> anyhow::Result<Value> {
    let customer = customer.map(CustomerId::parse).transpose()?;
    let (row, shown) = local::offline_key(data, name, role, customer).await?;
    let mut made = json!(row);
    made["api_key"] = shown.into();
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a few bytes at a time, wherever words may stand.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let many = self.0.len().min(3);
            into[..many].copy_from_slice(&self.0[..many]);
            self.0 = &self.0[many..];
            Ok(many)
        }
    }

    #[test]
    fn a_word_is_found_wherever_it_stands() {
        let words = ["Bert Meier", "x", "anna", "Meierx"].map(str::to_owned);
        let found = holds(&mut Dripping("..aanna\0Bert Meier".as_bytes()), &words).expect("it can be read");
        assert_eq!(found, [true, false, true, false]);
    }
}
