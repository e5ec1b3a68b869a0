//! What was measured, as a table of Markdown.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use anyhow::Context;

use super::Start;
use super::contender::{Contender, NODE};

/// A program and its starts.
pub struct Row {
    name: String,
    size: u64,
    /// In the order in which they were measured.
    pub starts: Vec<Start>,
}

impl Row {
    /// A program that was not started yet.
    pub fn of(contender: &Contender) -> Row {
        Row { name: contender.name.clone(), size: contender.size, starts: Vec::new() }
    }

    /// Of a hundred starts so many take no longer, or have no more.
    fn at<T: Ord + Copy>(&self, percent: usize, what: impl Fn(&Start) -> T) -> Option<T> {
        let mut all: Vec<T> = self.starts.iter().map(what).collect();
        all.sort_unstable();
        all.get((all.len() * percent).div_ceil(100).max(1) - 1).copied()
    }
}

/// The table, and what has to be known about it.
///
/// # Errors
/// No starts, or none of Node's.
pub fn table(rows: &[Row], load: &str) -> anyhow::Result<String> {
    let starts = rows.iter().map(|row| row.starts.len()).min().unwrap_or(0);
    let node = rows.iter().find(|row| row.name.starts_with(NODE)).context("Node was not started")?;
    let of_node = node.at(50, |start| start.polled).context("Node was not started")?;
    let mut text = format!(
        "`cargo xtask bench cold-start --starts {starts}`, version {}, {}; load before it: {load}.\n\n\
         | program | deployed | first poll p50 / p90 | of Node's | resident | first answer p50 / p90 | resident then |\n\
         |---|---|---|---|---|---|---|\n",
        env!("CARGO_PKG_VERSION"),
        machine(),
    );
    for row in rows {
        text.push_str(&line(row, of_node).context("nothing was started")?);
    }
    Ok(text)
}

fn line(row: &Row, of_node: Duration) -> Option<String> {
    let mut line = format!("| {} | {} |", row.name, megabytes(row.size));
    let polled = row.at(50, |start| start.polled)?;
    let (slow, resident) = (row.at(90, |start| start.polled)?, row.at(50, |start| start.resident)?);
    let share = 100.0 * polled.as_secs_f64() / of_node.as_secs_f64();
    write!(line, " {} / {} ms | {share:.1} % |", millis(polled), millis(slow)).ok()?;
    let (answered, slow) = (row.at(50, |start| start.answered)?, row.at(90, |start| start.answered)?);
    let then = row.at(50, |start| start.resident_then)?;
    write!(line, " {} | {} / {} ms |", megabytes(resident), millis(answered), millis(slow)).ok()?;
    writeln!(line, " {} |", megabytes(then)).ok()?;
    Some(line)
}

fn millis(time: Duration) -> String {
    format!("{:.1}", 1e3 * time.as_secs_f64())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// The processor and the kernel, as far as they are told.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed processor", |(_, model)| model);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model} ({}), Linux {}", std::env::consts::ARCH, kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, polled: &[u64]) -> Row {
        let start = |&millis| Start {
            polled: Duration::from_millis(millis),
            resident: 5_000_000,
            answered: Duration::from_millis(2 * millis),
            resident_then: 6_000_000,
        };
        Row { name: name.to_owned(), size: 1_234_567, starts: polled.iter().map(start).collect() }
    }

    #[test]
    fn a_line_says_median_and_ninth_decile_and_what_they_are_of_nodes() {
        let rows =
            [row("oms-api", &[9, 1, 2, 3, 4, 5, 6, 7, 8, 30]), row("Node handler (v20.0.0)", &[50; 10])];
        let table = table(&rows, "0.10").unwrap();
        let line = "| oms-api | 1.2 MB | 5.0 / 9.0 ms | 10.0 % | 5.0 MB | 10.0 / 18.0 ms | 6.0 MB |\n";
        assert!(table.contains(line), "{table}");
        assert!(table.contains("--starts 10`") && table.contains("load before it: 0.10."), "{table}");
    }

    #[test]
    fn nothing_is_said_about_what_was_not_started() {
        assert!(table(&[row("oms-api", &[1])], "0").is_err());
        assert!(table(&[row("Node handler", &[])], "0").is_err());
    }
}
