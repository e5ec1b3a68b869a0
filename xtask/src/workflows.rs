//! What every GitHub workflow keeps to: pinned actions, `cargo xtask` steps, few rights, an end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::yaml;

/// Steps that are no command of ours: a toolchain has to be there before the first of them.
const TOOLCHAIN: [&str; 4] = [
    "rustup toolchain install 1.95.0 --profile minimal",
    "rustup toolchain install 1.95.0 --profile minimal --component rustfmt --component clippy",
    "rustup toolchain install 1.95.0 --profile minimal --component llvm-tools",
    "rustup toolchain install 1.95.0 --profile minimal --target aarch64-unknown-linux-gnu",
];

/// Reads every workflow.
///
/// # Errors
/// None that can be read, or one that does not keep to the rules.
pub fn check(root: &Path, commands: &str) -> anyhow::Result<()> {
    let folder = root.join(".github").join("workflows");
    let mut pins = Pins::default();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in fs::read_dir(&folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {name}"))?;
        wrong.extend(faults(&text, commands, &mut pins).into_iter().map(|fault| format!("{name}: {fault}")));
        count += 1;
    }
    if count == 0 {
        bail!("there are no workflows in {}", folder.display());
    }
    if !wrong.is_empty() {
        bail!("workflows that do not keep to the rules of xtask/src/workflows.rs:\n  {}", wrong.join("\n  "));
    }
    println!("--- {count} workflows keep to their rules, with {} actions", pins.0.len());
    Ok(())
}

/// Each action, and the one commit and version of it that all workflows use.
#[derive(Default)]
struct Pins(BTreeMap<String, String>);

/// What is wrong with a workflow. `commands` is the text that names every command there is.
fn faults(text: &str, commands: &str, pins: &mut Pins) -> Vec<String> {
    let workflow = match yaml::parse(text) {
        Ok(workflow) => workflow,
        Err(error) => return vec![format!("it cannot be read: {error:#}")],
    };
    let mut faults = rights_and_ends(&workflow);
    faults.extend(hasty_deployments(&workflow));
    faults.extend(trusting_builds(&workflow));
    // The version behind a commit is a comment, which the tree does not hold, nor the order of its jobs.
    let lines: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, line)| line).collect();
    for step in steps(&workflow) {
        match (step["uses"].as_str(), step["run"].as_str()) {
            (Some(action), None) => {
                let mut comments: Vec<&str> =
                    lines.iter().filter_map(|line| line.strip_prefix(action)).collect();
                if comments.is_empty() {
                    comments.push("");
                }
                faults.extend(
                    comments.into_iter().filter_map(|comment| wrong_action(action, comment, step, pins)),
                );
            }
            (None, Some(line)) => faults.extend(wrong_command(line, commands)),
            _ => faults.push(format!("a step either uses an action or runs a command: {step}")),
        }
    }
    faults
}

/// Every step of every job.
fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().into_iter().flat_map(|jobs| jobs.values());
    jobs.filter_map(|job| job["steps"].as_array()).flatten().collect()
}

fn rights_and_ends(workflow: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    must(
        workflow["permissions"] == "" || workflow["permissions"].is_object(),
        "it names no permissions".into(),
    );
    must(workflow["on"]["pull_request_target"].is_null(), "it runs a stranger's code with our rights".into());
    let jobs = workflow["jobs"].as_object();
    must(jobs.is_some_and(|jobs| !jobs.is_empty()), "it has no jobs".into());
    for (name, job) in jobs.into_iter().flatten() {
        must(job["permissions"].is_object(), format!("job {name} names no permissions"));
        must(job["timeout-minutes"].is_string(), format!("job {name} has no timeout-minutes"));
        let limited = workflow["concurrency"]["group"].is_string() || job["concurrency"]["group"].is_string();
        must(limited, format!("job {name} is in no concurrency group"));
        // Another workflow of somebody else's would bring steps that are not seen here.
        must(job["uses"].is_null() && job["steps"].is_array(), format!("job {name} lists no steps"));
    }
    faults
}

/// Jobs that deploy or release what was pushed before CI has passed it. What a person starts by hand is theirs to answer
/// for.
fn hasty_deployments(workflow: &Value) -> Vec<String> {
    if workflow["on"]["push"].is_null() {
        return Vec::new();
    }
    let runs = |job: &str, command: &str| {
        let steps = workflow["jobs"][job]["steps"].as_array().into_iter().flatten();
        steps.filter_map(|step| step["run"].as_str()).any(|line| line.trim().starts_with(command))
    };
    let jobs = workflow["jobs"].as_object().into_iter().flat_map(|jobs| jobs.keys());
    let takes_effect = |job: &&String| runs(job, "cargo xtask deploy ") || runs(job, "cargo xtask publish ");
    let hasty = jobs.filter(takes_effect).filter(|job| {
        let before = jobs_before(workflow, job);
        !before.iter().any(|job| runs(job, "cargo xtask await-ci \"$GITHUB_SHA\""))
    });
    hasty.map(|job| format!("job {job} deploys what CI may not have passed")).collect()
}

/// Jobs that build what they deploy or publish: whatever the crates of others run while they are built could write, too.
fn trusting_builds(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    let may_write =
        |job: &Value| job["permissions"].as_object().is_some_and(|all| all.values().any(|it| it == "write"));
    let trusting = jobs.filter(|(_, job)| may_write(job)).filter(|(_, job)| {
        let lines = job["steps"].as_array().into_iter().flatten().filter_map(|step| step["run"].as_str());
        let mut lines = lines.map(str::trim).filter(|line| {
            ["deploy ", "rollback ", "dist"]
                .iter()
                .any(|it| line.strip_prefix("cargo xtask ").is_some_and(|line| line.starts_with(it)))
        });
        lines.any(|line| !line.ends_with(" --only deploy"))
    });
    trusting.map(|(job, _)| format!("job {job} builds where it may write")).collect()
}

/// The jobs that have to succeed before a job begins.
fn jobs_before(workflow: &Value, job: &str) -> BTreeSet<String> {
    let (mut before, mut left) = (BTreeSet::new(), vec![job.to_owned()]);
    while let Some(job) = left.pop() {
        let needs = &workflow["jobs"][job.as_str()]["needs"];
        let needs = needs.as_array().into_iter().flatten().chain([needs]).filter_map(Value::as_str);
        left.extend(needs.map(str::to_owned).filter(|job| before.insert(job.clone())));
    }
    before
}

fn wrong_action(action: &str, comment: &str, step: &Value, pins: &mut Pins) -> Option<String> {
    let Some((name, commit)) = action.split_once('@') else {
        return Some(format!("{action} is pinned to nothing"));
    };
    if commit.len() != 40 || !commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(format!("{action} is not pinned by a commit of 40 hexadecimal digits"));
    }
    let version = comment.trim().strip_prefix("# v").unwrap_or_default();
    if version.split('.').count() != 3 || !version.split('.').all(|part| part.parse::<u32>().is_ok()) {
        return Some(format!("{action} has no version behind it, such as `# v1.2.3`"));
    }
    if name == "actions/checkout" && step["with"]["persist-credentials"] != "false" {
        return Some("actions/checkout leaves a token on the disk; say persist-credentials: false".into());
    }
    let pin = format!("{commit} # v{version}");
    let pinned = pins.0.entry(name.to_owned()).or_insert_with(|| pin.clone());
    (*pinned != pin).then(|| format!("{name} is pinned to {pin} here and to {pinned} elsewhere"))
}

fn wrong_command(line: &str, commands: &str) -> Option<String> {
    let line = line.trim();
    if TOOLCHAIN.contains(&line) {
        return None;
    }
    let Some(words) = line.strip_prefix("cargo xtask ") else {
        return Some(format!("`{line}` is no `cargo xtask` command, nor one that installs the toolchain"));
    };
    // What a stranger typed into a title or a branch's name reaches a command as a variable, or not at all.
    if words.contains("${{") || words.contains(['\n', ';', '|', '&', '`', '>', '<']) || words.contains("$(") {
        return Some(format!("`{line}` is more than one plain command; hand it values as variables"));
    }
    let command = words.split_whitespace().next().unwrap_or_default();
    let known = commands.lines().any(|usage| usage.split_whitespace().next() == Some(command));
    (!known).then(|| format!("there is no command `cargo xtask {command}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &str =
        "  test AREA  the tests\n  deploy oms|ims dev|prod  deploys\n  await-ci COMMIT  waits";
    const GOOD: &str = "\
on: { push: { branches: [main] } }
permissions: {}
concurrency: { group: all }
jobs:
  ci:
    runs-on: ubuntu-24.04
    timeout-minutes: 120
    permissions: { actions: read }
    steps:
      - run: cargo xtask await-ci \"$GITHUB_SHA\"
  test:
    needs: ci
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: { contents: read, id-token: write }
    steps:
      - uses: actions/checkout@0123456789012345678901234567890123456789 # v1.2.3
        with: { persist-credentials: false }
      - run: rustup toolchain install 1.95.0 --profile minimal --component llvm-tools
      - run: cargo xtask deploy \"$WHAT\" dev --only deploy
";

    fn found(text: &str) -> Vec<String> {
        faults(text, COMMANDS, &mut Pins::default())
    }

    #[test]
    fn a_workflow_that_keeps_to_the_rules_has_no_fault() {
        assert_eq!(found(GOOD), Vec::<String>::new());
    }

    #[test]
    fn the_workflows_of_this_project_keep_to_the_rules() {
        check(&crate::root(), crate::USAGE).unwrap();
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let cases = [
            ("@0123456789012345678901234567890123456789", "@v1", "is not pinned by a commit"),
            (
                "@0123456789012345678901234567890123456789",
                "@012345678901234567890123456789012345678Z",
                "40 hexa",
            ),
            ("@0123456789012345678901234567890123456789", "", "is pinned to nothing"),
            (" # v1.2.3", "", "has no version behind it"),
            ("uses: actions", "uses:  actions", "has no version behind it"),
            (" # v1.2.3", " # main", "has no version behind it"),
            ("persist-credentials: false", "fetch-depth: 0", "leaves a token"),
            ("cargo xtask deploy", "make deploy", "is no `cargo xtask` command"),
            ("cargo xtask deploy", "cargo xtask conquer", "there is no command"),
            ("\"$WHAT\"", "${{ github.head_ref }}", "more than one plain command"),
            ("--only deploy\n", "--only deploy && rm -rf .\n", "more than one plain command"),
            (" --only deploy", "", "job test builds where it may write"),
            ("1.95.0 --profile minimal", "nightly", "is no `cargo xtask` command"),
            ("permissions: {}\n", "", "it names no permissions"),
            ("    permissions: { contents: read, id-token: write }\n", "", "job test names no permissions"),
            ("permissions: {}", "permissions: write-all", "it names no permissions"),
            ("    timeout-minutes: 5\n", "", "no timeout-minutes"),
            ("concurrency: { group: all }\n", "", "no concurrency group"),
            ("push: {", "pull_request_target: {", "a stranger's code"),
            ("    needs: ci\n", "", "job test deploys what CI may not have passed"),
            ("    needs: ci\n", "    needs: [test]\n", "job test deploys what CI may not have passed"),
            ("$GITHUB_SHA", "$TITLE", "job test deploys what CI may not have passed"),
            ("jobs:", "jobs: {}\nothers:", "it has no jobs"),
            ("steps:", "steps: [", "it cannot be read"),
        ];
        for (good, bad, fault) in cases {
            let broken = GOOD.replacen(good, bad, 1);
            assert_ne!(broken, GOOD, "{good} is not in the workflow");
            let found = found(&broken);
            assert!(found.iter().any(|found| found.contains(fault)), "{bad:?} gave {found:?}");
        }
    }

    #[test]
    fn one_action_has_one_commit_everywhere() {
        let mut pins = Pins::default();
        assert_eq!(faults(GOOD, COMMANDS, &mut pins), Vec::<String>::new());
        let other = GOOD.replace("@0123", "@ffff");
        assert!(faults(&other, COMMANDS, &mut pins)[0].contains("elsewhere"));
    }

    #[test]
    fn the_toolchain_of_the_workflows_is_the_one_the_workspace_asks_for() {
        let manifest = fs::read_to_string(crate::root().join("Cargo.toml")).unwrap();
        let asked = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
        for line in TOOLCHAIN {
            assert!(line.contains(&format!(" {}.", asked.trim_matches('"'))), "{line} is not {asked}");
        }
    }
}
