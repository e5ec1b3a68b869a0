//! Fuzzing: every parser of outside bytes, briefly over its kept corpus, or one of them for as long as you like.
//!
//! The targets are a `cargo fuzz` project, so its tools work on them too, but nothing has to be installed to run
//! them: instrumentation is a pass of the compiler at hand, and libFuzzer comes with its crate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{cargo, step};

/// Each target, and how many inputs a brief run tries, its corpus included: five to ten seconds each.
const TARGETS: [(&str, u64); 10] = [
    ("request_body", 15_000),
    ("event_payload", 30_000),
    ("event_pattern", 600_000),
    ("cursor", 15_000),
    ("template", 10_000),
    ("input_template", 500_000),
    ("store_file", 1_000),
    ("import_file", 15_000),
    ("credentials", 100_000),
    ("message", 15_000),
];

/// A brief run ends after so many seconds, however far it is.
const BRIEF_SECONDS: u64 = 20;

/// The compiler's own instrumentation, which libFuzzer follows: as `cargo fuzz --sanitizer none` sets it.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// `fuzz`, or `fuzz TARGET --minutes N`.
///
/// # Errors
/// As [`briefly`] and [`long`].
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        [] => briefly(),
        [target, "--minutes", minutes] => long(target, minutes),
        _ => bail!("fuzz takes a target and --minutes with how many, or nothing"),
    }
}

/// Runs every target over its corpus and some new inputs.
///
/// # Errors
/// A target that cannot be built, or an input that breaks one; it is kept in `fuzz/artifacts`.
pub fn briefly() -> anyhow::Result<()> {
    let fuzzer = Fuzzer::build(&[])?;
    for (target, runs) in TARGETS {
        let limits = [format!("-runs={runs}"), format!("-max_total_time={BRIEF_SECONDS}")];
        fuzzer.run(target, &limits)?;
    }
    Ok(())
}

/// Runs one target for some minutes.
///
/// # Errors
/// As [`briefly`]; or no such target.
fn long(target: &str, minutes: &str) -> anyhow::Result<()> {
    let Some((target, _)) = TARGETS.into_iter().find(|(name, _)| *name == target) else {
        bail!("there is no target {target}; there are {}", TARGETS.map(|(name, _)| name).join(", "));
    };
    let minutes: u64 = minutes.parse().context("--minutes takes a whole number")?;
    let fuzzer = Fuzzer::build(&["--bin", target])?;
    fuzzer.run(target, &[format!("-max_total_time={}", minutes * 60)])
}

/// The built targets, and where their files are.
struct Fuzzer {
    folder: PathBuf,
    programs: PathBuf,
}

impl Fuzzer {
    fn build(which: &[&str]) -> anyhow::Result<Fuzzer> {
        let folder = crate::root().join("fuzz");
        let host = host()?;
        let mut build = cargo(&["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
        // With a target named, what runs while building is not instrumented.
        build.args(["--target", &host]).args(which);
        build.env("RUSTFLAGS", INSTRUMENTED).env("CARGO_TARGET_DIR", folder.join("target"));
        step("build the fuzz targets", build)?;
        Ok(Fuzzer { programs: folder.join("target").join(host).join("release"), folder })
    }

    /// Runs a target over its committed corpus and over what earlier runs on this machine found, which stays in an
    /// ignored folder.
    fn run(&self, target: &str, limits: &[String]) -> anyhow::Result<()> {
        let (found, artifacts) =
            (self.made(&["target", "corpus", target])?, self.made(&["artifacts", target])?);
        let mut fuzz = Command::new(self.programs.join(target));
        fuzz.arg(found).arg(self.corpus(target)).args(limits);
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        // An input that takes longer than seconds, or this much memory, is a find.
        fuzz.args(["-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1"]);
        let again =
            format!("what broke it is in fuzz/artifacts/{target}; give it to the program to see it again");
        self.with_stores(&format!("fuzz {target}"), fuzz).context(again)
    }

    /// Runs a target with a folder for the stores that it opens, which goes away. Syncs of a disk would take most
    /// of the time, so it is in memory where the system has such a folder.
    fn with_stores(&self, name: &str, mut program: Command) -> anyhow::Result<()> {
        let in_memory = Path::new("/dev/shm");
        let around = if in_memory.is_dir() { in_memory.to_owned() } else { self.made(&["target"])? };
        let stores = around.join(format!("sagaline-fuzz-{}", std::process::id()));
        fs::create_dir_all(&stores).with_context(|| format!("failed to make {}", stores.display()))?;
        program.env("TMPDIR", &stores).current_dir(&self.folder);
        let outcome = step(name, program);
        fs::remove_dir_all(&stores).with_context(|| format!("failed to remove {}", stores.display()))?;
        outcome
    }

    fn corpus(&self, target: &str) -> PathBuf {
        self.folder.join("corpus").join(target)
    }

    fn made(&self, steps: &[&str]) -> anyhow::Result<PathBuf> {
        let folder = steps.iter().fold(self.folder.clone(), |folder, step| folder.join(step));
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(folder)
    }
}

/// The machine's own triple.
fn host() -> anyhow::Result<String> {
    let about = Command::new("rustc").arg("-vV").output().context("failed to run rustc")?;
    let about = String::from_utf8(about.stdout).context("failed to read what rustc says of itself")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for which machine it is")?.to_owned())
}
