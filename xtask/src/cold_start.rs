//! `cargo xtask bench cold-start`: how soon every function asks for its first event, and answers it.
//!
//! Each is started as Lambda starts it, a process of its own every time, in turns with a Node handler that bundles its
//! SDK and with a bare Rust program: whatever else the machine does, all of them share it. So figures of one run can be
//! compared, and those of two runs by what they are of Node's.

mod contender;
mod report;
mod runtime;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use self::contender::Contender;
use self::report::Row;
use self::runtime::{Runtime, Seen};
use crate::functions::{self, Workspace};
use crate::root;

/// How often each is started, if nothing is said.
const STARTS: usize = 40;

/// `bench cold-start [--starts N]`: builds the functions of prod for this machine, starts each as often, and prints a
/// table for `docs/performance.md`.
///
/// # Errors
/// What does not build, no Node or npm, or a program that does not answer as it should.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let starts = match words {
        [] => STARTS,
        ["--starts", starts] => starts.parse().context("--starts takes a number")?,
        _ => bail!("bench cold-start takes --starts and how often each is started, or nothing"),
    };
    if starts == 0 {
        bail!("nothing is measured without a start");
    }
    let workspace = Workspace::read()?;
    let folder = functions::empty(&workspace.target.join("cold-start"))?;
    let mut contenders = contender::functions(&workspace)?;
    contenders.push(contender::node(&root(), &folder)?);
    contenders.push(contender::floor(&root(), &folder)?);

    let load = fs::read_to_string("/proc/loadavg").context("memory and load are read as Linux shows them")?;
    let runtime = Runtime::start()?;
    // Once for nothing: what is read from the disk for the first time is not what is measured.
    for contender in &contenders {
        start(contender, &runtime)?;
    }
    let mut rows: Vec<Row> = contenders.iter().map(Row::of).collect();
    for turn in 0..starts {
        for n in 0..contenders.len() {
            let next = (turn + n) % contenders.len();
            rows[next].starts.push(start(&contenders[next], &runtime)?);
        }
    }
    print!("{}", report::table(&rows, load.split_whitespace().next().unwrap_or_default())?);
    Ok(())
}

/// What one start took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// From before it was started until it asked for its first event.
    polled: Duration,
    /// The most memory that it had had by then, in bytes.
    resident: u64,
    /// From being given the first event until it answered.
    answered: Duration,
    /// The most memory that it had had by then, in bytes.
    resident_then: u64,
}

/// Whoever takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(contender: &Contender, runtime: &Runtime) -> anyhow::Result<Start> {
    let outcome = first_answer(contender, runtime);
    outcome.with_context(|| format!("failed to start {}", contender.name))
}

fn first_answer(contender: &Contender, runtime: &Runtime) -> anyhow::Result<Start> {
    let mut command = Command::new(&contender.program);
    command.args(&contender.words).env_clear().envs(&contender.variables).envs(runtime.variables());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut process = Process(command.spawn().context("failed to run it")?);

    let Seen::Poll { at, event } = process.next(runtime)? else { bail!("it answered what nobody asked") };
    let (polled, resident) = (at - began, process.resident()?);
    let given = Instant::now();
    event.send(contender.event.clone()).context("it went away instead of taking an event")?;
    let (at, answer) = match process.next(runtime)? {
        Seen::Answer { at, body } => (at, body),
        Seen::Failure(what) => bail!("it answered with an error: {what}"),
        Seen::Poll { .. } => bail!("it asked for another event instead of answering"),
    };
    let (answered, resident_then) = (at - given, process.resident()?);
    if !answer.contains(contender.answer) {
        bail!("its answer should contain {}, and is {answer}", contender.answer);
    }
    // Once it waits for another event, nothing of it is under way that would be taken for the next program's.
    let waits = process.next(runtime)?;
    let Seen::Poll { .. } = &waits else { bail!("it answered twice") };
    // It waits to its end, or it would see the connection closed and complain.
    drop(process);
    drop(waits);
    Ok(Start { polled, resident, answered, resident_then })
}

/// A process that ends with the measurement.
struct Process(Child);

impl Process {
    /// What it does next.
    fn next(&mut self, runtime: &Runtime) -> anyhow::Result<Seen> {
        let began = Instant::now();
        loop {
            // Asked before: what it did before it ended is there by then.
            let ended = self.0.try_wait()?;
            if let Some(seen) = runtime.wait(Duration::from_millis(100)) {
                return Ok(seen);
            }
            if let Some(status) = ended {
                bail!("it ended ({status})");
            }
            if began.elapsed() > PATIENCE {
                bail!("it did nothing for {} s", PATIENCE.as_secs());
            }
        }
    }

    /// The most memory that it has had, in bytes.
    fn resident(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
        peak(&status).with_context(|| format!("{path} does not say VmHWM"))
    }
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::env;

    use super::*;

    /// A function that is a line of shell.
    fn shell(script: &str) -> Contender {
        Contender {
            name: "shell".to_owned(),
            size: 0,
            program: "sh".into(),
            words: vec!["-c".into(), script.into()],
            variables: BTreeMap::from([("PATH".to_owned(), env::var("PATH").unwrap())]),
            event: r#"{"number":7}"#.to_owned(),
            answer: "7",
        }
    }

    const NEXT: &str = "curl -s http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next";
    const ANSWER: &str =
        "curl -s -d @- http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/1/response";

    #[test]
    fn a_program_that_answers_its_first_event_and_waits_for_another_is_measured() {
        let runtime = Runtime::start().unwrap();
        let start = start(&shell(&format!("{NEXT} | {ANSWER}; {NEXT}")), &runtime).unwrap();
        assert!(start.polled > Duration::ZERO && start.answered > Duration::ZERO, "{start:?}");
        assert!(start.resident > 100_000 && start.resident_then >= start.resident, "{start:?}");
    }

    #[test]
    fn what_a_program_did_instead_of_answering_is_told() {
        let cases = [
            ("exit 3".to_owned(), "it ended (exit status: 3)"),
            (format!("{NEXT} > /dev/null; {NEXT}"), "it asked for another event instead of answering"),
            (
                format!("{NEXT} > /dev/null; echo 8 | {ANSWER}; {NEXT}"),
                "its answer should contain 7, and is 8",
            ),
            (
                format!("{NEXT} > /dev/null; echo no | {}", ANSWER.replace("response", "error")),
                "it answered with an error: no",
            ),
        ];
        for (script, expected) in cases {
            let runtime = Runtime::start().unwrap();
            let told = format!("{:#}", start(&shell(&script), &runtime).unwrap_err());
            assert_eq!(told.trim_end(), format!("failed to start shell: {expected}"));
        }
    }

    #[test]
    fn memory_is_read_as_linux_shows_it() {
        assert_eq!(peak("VmPeak:\t  9000 kB\nVmHWM:\t    6140 kB\nVmRSS:\t 6000 kB\n"), Some(6_287_360));
        assert_eq!(peak("VmRSS:\t 6000 kB\n"), None);
    }
}
