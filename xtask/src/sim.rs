//! `cargo xtask sim`: the simulator, built for speed, with the words that follow handed on to it.

use crate::{cargo, step};

/// Runs the simulator with these words.
///
/// # Errors
/// It does not build, or it found something.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    simulate(words.contains(&"--bug"), words)
}

/// What CI runs: every planted bug, and many orders. One build serves both.
///
/// # Errors
/// Something was found, or a planted bug was not.
pub fn ci() -> anyhow::Result<()> {
    simulate(true, &["--bug", "all"])?;
    simulate(true, &["--orders", "300000", "--require-coverage"])
}

fn simulate(planted: bool, words: &[&str]) -> anyhow::Result<()> {
    let mut command =
        cargo(&["run", "--quiet", "--profile", "sim", "--package", "simulator", "--bin", "sim"]);
    if planted {
        command.args(["--features", "planted"]);
    }
    command.arg("--").args(words);
    step("sim", command)
}
