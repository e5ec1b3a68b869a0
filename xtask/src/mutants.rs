//! Mutation testing: changes the code in every small way that could be a mistake, and asks whether a test notices.
//!
//! Run by hand and not by CI: a mutant takes seconds, and there are hundreds. The code is changed in a copy.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::{cargo, step};

const VERSION: &str = "27.1.0";

/// The crates whose mutants are tested, each with the crates whose tests are asked when its own noticed nothing.
/// The tests of payments run the saga over every domain; the simulator runs everything.
const TESTED_BY: &[(&str, &[&str])] = &[
    ("events", &["orders", "inventory", "payments", "catalog", "simulator"]),
    ("orders", &["payments", "simulator"]),
    ("inventory", &["payments", "simulator"]),
    ("payments", &["simulator"]),
    ("catalog", &["payments", "simulator"]),
    ("workers", &["simulator"]),
];

/// So many of a hundred must be noticed.
const WANTED: f64 = 90.0;

/// How many sagas a mutant has to survive: the fewest in which every event is met often enough for the test.
const SAGA_SEEDS: &str = "3000";

/// Tests the mutants of some packages, or of all that have a line in the table.
///
/// # Errors
/// Too few are noticed, or one survives that `docs/mutants.md` gives no reason for.
pub fn check(root: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let known: Vec<&str> = TESTED_BY.iter().map(|(package, _)| *package).collect();
    if let Some(unknown) = packages.iter().find(|package| !known.contains(package)) {
        bail!("no mutants are made of {unknown}, only of {}", known.join(", "));
    }
    let accepted = fs::read_to_string(root.join("docs").join("mutants.md"))
        .context("failed to read the list of accepted survivors")?;
    let accepted = accepted_survivors(&accepted);
    let program = install(root)?;
    let (mut unexplained, mut too_few) = (Vec::new(), Vec::new());
    for (package, others) in TESTED_BY {
        if !packages.is_empty() && !packages.contains(package) {
            continue;
        }
        let began = Instant::now();
        let outcome = test(root, &program, package, others)?;
        println!("--- {package}: {outcome}, {} s", began.elapsed().as_secs());
        if outcome.percent() < WANTED {
            too_few.push(*package);
        }
        unexplained.extend(without_reason(&[outcome.missed, outcome.timed_out].concat(), &accepted));
    }
    if !unexplained.is_empty() {
        bail!("survivors that docs/mutants.md gives no reason for:\n  {}", unexplained.join("\n  "));
    }
    if !too_few.is_empty() {
        bail!("fewer than {WANTED} % were noticed in {}", too_few.join(", "));
    }
    Ok(())
}

/// Installs cargo-mutants into `.tools/cargo`, once, and gives its program.
fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(".tools").join("cargo");
    let program = folder.join("bin").join("cargo-mutants");
    let version = Command::new(&program).args(["mutants", "--version"]).output();
    if version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(VERSION)) {
        return Ok(program);
    }
    let mut install = cargo(&["install", "cargo-mutants", "--version", VERSION, "--locked", "--root"]);
    install.arg(&folder);
    step("install cargo-mutants into .tools", install)?;
    Ok(program)
}

/// Runs one package's mutants: first its own tests alone, which build in a moment, then for what survived those
/// of the others too. What each mutant did is left in `target/mutants/<package>`.
fn test(root: &Path, program: &Path, package: &str, others: &[&str]) -> anyhow::Result<Outcome> {
    let folder = root.join("target").join("mutants");
    let output = folder.join(package);
    if output.exists() {
        fs::remove_dir_all(&output).context("failed to remove what came of the mutants before")?;
    }
    fs::create_dir_all(&output).context("failed to make room for what comes of the mutants")?;
    let run = |more: &[&str]| -> anyhow::Result<Outcome> {
        let mut command = Command::new(program);
        command.args(["mutants", "--package", package, "--test-package", package, "--output"]).arg(&output);
        command.args(more).current_dir(root);
        command.env("CARGO_TARGET_DIR", folder.join("build")).env("SAGA_SEEDS", SAGA_SEEDS);
        let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
        // 2 says that mutants survived and 3 that tests of some took too long: both are counted.
        if !matches!(status.code(), Some(0 | 2 | 3)) {
            bail!("{command:?} failed ({status})");
        }
        Outcome::read(&output.join("mutants.out"))
    };
    let own = run(&[])?;
    if own.missed.is_empty() || others.is_empty() {
        return Ok(own);
    }
    let also = run(&["--iterate", "--test-package", &others.join(",")])?;
    Ok(Outcome { caught: own.caught + also.caught, unviable: own.unviable, ..also })
}

/// What came of the mutants of a package.
struct Outcome {
    caught: usize,
    /// Their tests did not end: noticed, if it was not the machine that was slow. So each wants a reason too.
    timed_out: Vec<String>,
    /// They did not compile, so they say nothing.
    unviable: usize,
    missed: Vec<String>,
}

impl Outcome {
    /// Reads what cargo-mutants left.
    fn read(folder: &Path) -> anyhow::Result<Outcome> {
        let mutants = |name: &str| -> anyhow::Result<Vec<String>> {
            let path = folder.join(name);
            let text =
                fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
            Ok(text.lines().map(without_place).collect())
        };
        Ok(Outcome {
            caught: mutants("caught.txt")?.len(),
            timed_out: mutants("timeout.txt")?,
            unviable: mutants("unviable.txt")?.len(),
            missed: mutants("missed.txt")?,
        })
    }

    fn percent(&self) -> f64 {
        let noticed = self.caught + self.timed_out.len();
        100.0 * noticed as f64 / (noticed + self.missed.len()).max(1) as f64
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, timed_out, missed) = (self.percent(), self.timed_out.len(), self.missed.len());
        let Outcome { caught, unviable, .. } = self;
        write!(f, "{percent:.1} % noticed: {caught} caught, {timed_out} timed out, {missed} missed")?;
        write!(f, "; {unviable} did not compile")
    }
}

/// The survivors that the document gives reasons for: each stands in backquotes at the start of a list's item.
fn accepted_survivors(document: &str) -> Vec<String> {
    let named = |line: &str| Some(line.strip_prefix("- `")?.split_once('`')?.0.to_owned());
    document.lines().filter_map(named).collect()
}

/// `file:line:column: change` without the numbers, which move with every edit.
fn without_place(mutant: &str) -> String {
    match *mutant.splitn(4, ':').collect::<Vec<_>>() {
        [file, _, _, change] => format!("{file}:{change}"),
        _ => mutant.to_owned(),
    }
}

/// What is left when each accepted survivor explains one.
fn without_reason(missed: &[String], accepted: &[String]) -> Vec<String> {
    let mut accepted: Vec<&String> = accepted.iter().collect();
    let unexplained = |survivor: &&String| match accepted.iter().position(|known| known == survivor) {
        Some(known) => {
            accepted.swap_remove(known);
            false
        }
        None => true,
    };
    missed.iter().filter(unexplained).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_known_by_its_file_and_change_wherever_it_stands() {
        let document = "Some words.\n\n- `a/src/lib.rs: replace > with >= in later`: both are one event.\n";
        let accepted = accepted_survivors(document);
        assert_eq!(accepted, ["a/src/lib.rs: replace > with >= in later"]);
        let missed = [without_place("a/src/lib.rs:161:21: replace > with >= in later")];
        assert_eq!(without_reason(&missed, &accepted), [] as [String; 0]);
        assert_eq!(
            without_place("a/src/lib.rs:8:1: replace f -> E with A::B"),
            "a/src/lib.rs: replace f -> E with A::B"
        );
    }

    #[test]
    fn a_reason_explains_one_survivor_and_not_its_twin() {
        let twins = ["a: replace == with !=".to_owned(), "a: replace == with !=".to_owned()];
        assert_eq!(without_reason(&twins, &twins[..1]), twins[..1]);
    }

    #[test]
    fn what_did_not_compile_is_neither_noticed_nor_missed_and_what_never_ended_is_noticed() {
        let outcome = Outcome {
            caught: 8,
            timed_out: vec!["one".to_owned()],
            unviable: 5,
            missed: vec!["another".to_owned()],
        };
        assert_eq!(outcome.percent(), 90.0);
    }
}
