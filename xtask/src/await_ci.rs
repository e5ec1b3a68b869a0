//! `cargo xtask await-ci`: what is deployed has passed CI.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// Longer than the jobs of `ci.yml` may take one after the other with their wait for a machine.
const PATIENCE: Duration = Duration::from_secs(110 * 60);
const PAUSE: Duration = Duration::from_secs(30);

/// `await-ci COMMIT`: waits until `ci.yml` has run for a commit that was pushed, as GitHub's own program knows it.
///
/// # Errors
/// CI that failed or does not end, or what `gh` says.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let [commit] = words else { bail!("await-ci takes a commit") };
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("{commit} is not a commit of 40 hexadecimal digits");
    }
    let began = Instant::now();
    loop {
        match verdict(&runs_of(commit)?) {
            Verdict::Passed => {
                println!("--- CI has passed {commit}");
                return Ok(());
            }
            Verdict::Failed(conclusion) => {
                bail!("CI ended with {conclusion} for {commit}: nothing is deployed")
            }
            Verdict::Open if began.elapsed() > PATIENCE => bail!("CI does not end for {commit}"),
            Verdict::Open => sleep(PAUSE),
        }
    }
}

fn runs_of(commit: &str) -> anyhow::Result<Value> {
    let said = Command::new("gh")
        .args(["run", "list", "--workflow", "ci.yml", "--event", "push", "--commit", commit])
        .args(["--json", "status,conclusion"])
        .output()
        .context("failed to run gh, GitHub's own program")?;
    if !said.status.success() {
        bail!("gh knows no runs: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    serde_json::from_slice(&said.stdout).context("failed to read what gh says")
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It has not begun, or is at work.
    Open,
    Passed,
    /// With this conclusion.
    Failed(String),
}

/// One run that passed is enough: a run that failed can be repeated by hand.
fn verdict(runs: &Value) -> Verdict {
    let runs = || runs.as_array().into_iter().flatten();
    if runs().any(|run| run["conclusion"] == "success") {
        return Verdict::Passed;
    }
    if runs().any(|run| run["status"] != "completed") {
        return Verdict::Open;
    }
    match runs().next() {
        None => Verdict::Open,
        Some(run) => Verdict::Failed(run["conclusion"].as_str().unwrap_or("nothing").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_commit_is_waited_for_until_a_run_passed_or_all_have_failed() {
        let run = |status: &str, conclusion: &str| json!({ "status": status, "conclusion": conclusion });
        let (passed, failed) = (run("completed", "success"), run("completed", "failure"));
        let (queued, cancelled) = (run("queued", ""), run("completed", "cancelled"));
        assert_eq!(verdict(&json!([])), Verdict::Open, "it has not begun");
        assert_eq!(verdict(&json!([queued])), Verdict::Open);
        assert_eq!(verdict(&json!([queued, failed])), Verdict::Open, "it is being repeated");
        assert_eq!(verdict(&json!([failed, passed])), Verdict::Passed);
        assert_eq!(verdict(&json!([failed])), Verdict::Failed("failure".to_owned()));
        assert_eq!(verdict(&json!([cancelled])), Verdict::Failed("cancelled".to_owned()));
    }

    #[test]
    fn what_is_not_a_commit_reaches_no_command() {
        for commit in ["", "main", "--all", "0123456789abcdef0123456789abcdef0123456g"] {
            assert!(run(&[commit]).is_err(), "{commit}");
        }
    }
}
