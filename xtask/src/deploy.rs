//! `cargo xtask deploy` and `rollback`: a stack is built and brought into the account of the credentials at hand.

use anyhow::{Context, bail};

use crate::plan::{Plan, Step};
use crate::{root, tools};

/// SAM builds Rust with cargo's profile `release` and takes no other, so for it that profile says what `function`
/// says in Cargo.toml.
const PROFILE: [(&str, &str); 5] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z"),
    ("CARGO_PROFILE_RELEASE_LTO", "true"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
];

/// What is done of a deployment. Between two machines what was built goes as one file, `target/STACK-ENVIRONMENT.tar`:
/// whoever builds, and so runs what the crates of others bring, need not be trusted with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Build,
    Deploy,
}

/// `deploy oms|ims dev|prod [--only build|deploy] [--dry-run]`: what lies in this folder.
///
/// # Errors
/// No such stack or environment, a tool that cannot be installed, or what SAM says.
pub fn deploy(words: &[&str]) -> anyhow::Result<()> {
    let (words, dry_run) = without_dry_run(words);
    let (words, part) = only(&words)?;
    let [stack, environment] = words[..] else { bail!("deploy takes oms or ims, then dev or prod") };
    begin(&deployment(&known_stack(stack)?, &known_environment(environment)?, part), part, dry_run)
}

/// `rollback oms|ims VERSION [--env dev|prod] [--only build|deploy] [--dry-run]`: what a tag holds, deployed again. Functions get back the
/// code of that version, and their aliases are shifted to it as by any deployment.
///
/// # Errors
/// As [`deploy`]; or no such tag.
pub fn rollback(words: &[&str]) -> anyhow::Result<()> {
    let (words, dry_run) = without_dry_run(words);
    let (words, part) = only(&words)?;
    let (stack, version, environment) = match words[..] {
        [stack, version] => (stack, version, "prod"),
        [stack, version, "--env", environment] => (stack, version, environment),
        _ => bail!("rollback takes oms or ims, then a version such as 1.2.3, then perhaps --env dev"),
    };
    let tag = known_version(version)?;
    let plan = return_to(&tag, &known_stack(stack)?, &known_environment(environment)?, part);
    let folder = worktree(&tag);
    if !dry_run && root().join(&folder).exists() {
        bail!("an earlier rollback left {folder}: git worktree remove --force {folder}");
    }
    begin(&plan, part, dry_run)
}

fn begin(plan: &Plan, part: Part, dry_run: bool) -> anyhow::Result<()> {
    if !dry_run {
        tools::install_sam(&root())?;
    }
    if !dry_run && part != Part::Deploy {
        tools::install_cross(&root())?;
        tools::check_target("aarch64-unknown-linux-gnu")?;
    }
    plan.carry_out(&root(), dry_run)
}

fn deployment(stack: &str, environment: &str, part: Part) -> Plan {
    let mut variables = vec![("SAM_CLI_TELEMETRY", "0")];
    variables.extend(PROFILE);
    Plan {
        programs: vec![tools::CROSS_PROGRAMS, tools::SAM_PROGRAMS],
        variables,
        steps: steps(&format!("{stack}-{environment}"), None, part),
        last: None,
    }
}

/// From a folder below, if one is named. SAM builds for whatever libc cargo-lambda thinks right, so what it built is looked
/// at; then it is marked as a deployment of its own.
fn steps(name: &str, folder: Option<&str>, part: Part) -> Vec<Step> {
    let sam = |verb| {
        let step = Step::new(&["sam", verb, "--config-env", name]);
        if let Some(folder) = folder { step.within(folder) } else { step }
    };
    let builds = folder.map_or_else(|| "target/sam".to_owned(), |folder| format!("{folder}/target/sam"));
    let (built, packed) = (format!("{builds}/{name}"), format!("target/{name}.tar"));
    let look = |what| Step::new(&["cargo", "xtask", "functions", what, &built]);
    let mut steps = Vec::new();
    if part != Part::Deploy {
        steps.extend([sam("build"), look("--check"), look("--stamp")]);
    }
    match part {
        Part::All => {}
        Part::Build => steps.push(Step::new(&["tar", "-C", &builds, "-cf", &packed, name])),
        Part::Deploy => {
            let folder = Step::new(&["mkdir", "-p", &builds]);
            steps.extend([folder, Step::new(&["tar", "-C", &builds, "-xf", &packed])]);
        }
    }
    if part != Part::Build {
        steps.push(sam("deploy"));
    }
    steps
}

/// The same in a folder that holds the tag; what was built there is checked by what is here.
fn return_to(tag: &str, stack: &str, environment: &str, part: Part) -> Plan {
    let folder = worktree(tag);
    let out = Step::new(&["git", "worktree", "add", "--detach", &folder, tag]);
    let there = steps(&format!("{stack}-{environment}"), Some(&folder), part);
    Plan {
        steps: [out].into_iter().chain(there).collect(),
        last: Some(Step::new(&["git", "worktree", "remove", "--force", &folder])),
        ..deployment(stack, environment, part)
    }
}

fn worktree(tag: &str) -> String {
    format!("target/rollback/{tag}")
}

fn without_dry_run<'a>(words: &[&'a str]) -> (Vec<&'a str>, bool) {
    let others: Vec<&str> = words.iter().copied().filter(|word| *word != "--dry-run").collect();
    let dry_run = others.len() < words.len();
    (others, dry_run)
}

/// What is left of the words, and which part they ask for.
fn only<'a>(words: &[&'a str]) -> anyhow::Result<(Vec<&'a str>, Part)> {
    let Some(at) = words.iter().position(|word| *word == "--only") else {
        return Ok((words.to_vec(), Part::All));
    };
    let part = match words.get(at + 1) {
        Some(&"build") => Part::Build,
        Some(&"deploy") => Part::Deploy,
        _ => bail!("--only takes build or deploy"),
    };
    Ok(([&words[..at], &words[at + 2..]].concat(), part))
}

fn known_stack(stack: &str) -> anyhow::Result<String> {
    one_of(stack, &["oms", "ims"]).context("which stack?")
}

fn known_environment(environment: &str) -> anyhow::Result<String> {
    one_of(environment, &["dev", "prod"]).context("which environment?")
}

fn one_of(word: &str, known: &[&str]) -> anyhow::Result<String> {
    if !known.contains(&word) {
        bail!("{word} is not one of {}", known.join(", "));
    }
    Ok(word.to_owned())
}

/// The tag of a version: `v1.2.3` of `1.2.3`, or of itself.
fn known_version(version: &str) -> anyhow::Result<String> {
    let numbers = version.strip_prefix('v').unwrap_or(version);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.split('.').count() != 3 || !numbers.split('.').all(is_number) {
        bail!("{version} is not a version such as 1.2.3");
    }
    Ok(format!("v{numbers}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EXPORTS: &str = "\
export PATH=\"$PWD/.tools/cross/bin:$PWD/.tools/sam/bin:$PATH\"
export SAM_CLI_TELEMETRY=0
export CARGO_PROFILE_RELEASE_OPT_LEVEL=z
export CARGO_PROFILE_RELEASE_LTO=true
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
export CARGO_PROFILE_RELEASE_PANIC=abort
export CARGO_PROFILE_RELEASE_STRIP=true
";

    #[test]
    fn a_deployment_builds_and_deploys_with_the_configuration_of_stack_and_environment() {
        let commands = "\
sam build --config-env ims-dev
cargo xtask functions --check target/sam/ims-dev
cargo xtask functions --stamp target/sam/ims-dev
sam deploy --config-env ims-dev
";
        assert_eq!(deployment("ims", "dev", Part::All).to_string(), format!("{EXPORTS}{commands}"));
    }

    #[test]
    fn what_one_machine_built_another_one_deploys() {
        let build = "\
sam build --config-env oms-prod
cargo xtask functions --check target/sam/oms-prod
cargo xtask functions --stamp target/sam/oms-prod
tar -C target/sam -cf target/oms-prod.tar oms-prod
";
        assert_eq!(deployment("oms", "prod", Part::Build).to_string(), format!("{EXPORTS}{build}"));
        let deploy = "\
git worktree add --detach target/rollback/v1.2.3 v1.2.3
mkdir -p target/rollback/v1.2.3/target/sam
tar -C target/rollback/v1.2.3/target/sam -xf target/oms-prod.tar
(cd target/rollback/v1.2.3 && sam deploy --config-env oms-prod)
git worktree remove --force target/rollback/v1.2.3
";
        let plan = return_to("v1.2.3", "oms", "prod", Part::Deploy);
        assert_eq!(plan.to_string(), format!("{EXPORTS}{deploy}"));
        assert_eq!(only(&["oms", "--only", "build", "dev"]).unwrap(), (vec!["oms", "dev"], Part::Build));
        assert!(only(&["oms", "dev", "--only"]).is_err() && only(&["--only", "test"]).is_err());
    }

    #[test]
    fn a_rollback_deploys_a_tag_from_a_folder_of_its_own_and_leaves_none() {
        let commands = "\
git worktree add --detach target/rollback/v1.2.3 v1.2.3
(cd target/rollback/v1.2.3 && sam build --config-env oms-prod)
cargo xtask functions --check target/rollback/v1.2.3/target/sam/oms-prod
cargo xtask functions --stamp target/rollback/v1.2.3/target/sam/oms-prod
(cd target/rollback/v1.2.3 && sam deploy --config-env oms-prod)
git worktree remove --force target/rollback/v1.2.3
";
        assert_eq!(return_to("v1.2.3", "oms", "prod", Part::All).to_string(), format!("{EXPORTS}{commands}"));
    }

    #[test]
    fn every_stack_and_environment_has_a_configuration() {
        let configuration = fs::read_to_string(root().join("samconfig.toml")).unwrap();
        for name in ["oms-dev", "oms-prod", "ims-dev", "ims-prod"] {
            for verb in ["build", "deploy"] {
                assert!(configuration.contains(&format!("[{name}.{verb}.parameters]")), "{name} {verb}");
            }
            assert!(configuration.contains(&format!("build_dir = \"target/sam/{name}\"")), "{name}");
        }
    }

    #[test]
    fn what_is_not_a_version_reaches_no_command() {
        assert_eq!(known_version("1.20.3").unwrap(), "v1.20.3");
        assert_eq!(known_version("v1.2.3").unwrap(), "v1.2.3");
        for version in ["", "1.2", "1.2.3.4", "main", "--all", "1.2.x", "1..3", "1.2.3; rm"] {
            assert!(known_version(version).is_err(), "{version:?} was taken");
        }
        assert!(rollback(&["oms", "main", "--dry-run"]).is_err());
        assert!(rollback(&["oms", "1.2.3", "--env", "test", "--dry-run"]).is_err());
        assert!(deploy(&["all", "dev", "--dry-run"]).is_err());
        assert!(deploy(&["oms", "--dry-run"]).is_err());
    }

    #[test]
    fn sam_builds_with_the_profile_of_the_functions() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (_, profile) = manifest.split_once("[profile.function]\ninherits = \"release\"\n").unwrap();
        let profile = profile.split("\n\n").next().unwrap();
        let told: Vec<(String, String)> = profile
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, value)| {
                let name = name.replace('-', "_").to_ascii_uppercase();
                (format!("CARGO_PROFILE_RELEASE_{name}"), value.trim_matches('"').to_owned())
            })
            .collect();
        let given = PROFILE.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told, given);
    }
}
