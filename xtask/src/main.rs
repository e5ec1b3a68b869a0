//! The project's everyday commands: `cargo xtask <command>`.

mod arrows;
mod await_ci;
mod cold_start;
mod coverage;
mod deploy;
mod dist;
mod doubles;
mod functions;
mod fuzz;
mod k6;
mod mutants;
mod openapi;
mod paths;
mod plan;
mod references;
mod server;
mod sim;
mod smoke;
mod tools;
mod workflows;
mod yaml;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, bail};
use doubles::Doubles;

const USAGE: &str = "\
usage: cargo xtask <command>

  test            everything that CI checks: lint, tests, simulator, fuzzers, release build
  test AREA       the tests of one area: domains, store, aws, e2e, topology, workers, api, openapi, local, cli, sim
  lint            format, clippy, arrows, templates, licences
  lint templates  the templates alone
  arrows          which crate may depend on which
  release         build the one-machine binary and check what is in it
  fuzz            every parser of outside bytes over its kept corpus and some new inputs, in about two minutes
  fuzz TARGET --minutes N
                  one of them for as long as you like; what it finds out is kept in fuzz/target
  sim [--orders N] [--seed N --trace] …
                  the whole system under virtual time and faults; --help says all it takes
  coverage [PACKAGE…]
                  how many lines the tests run: a floor of 80 %, and pages in target/coverage/html
  functions [--host | --check FOLDER]
                  every function as a zip for Lambda, in target/functions; --host builds for this machine;
                  --check says whether Lambda could start what sam build put into a folder
  bench cold-start [--starts N]
                  how soon each function is ready and what it takes, beside a Node handler
  k6 smoke|baseline|spike|soak [--url URL]
                  a load of chaos/k6, by k6, on a server of its own whose log is audited afterwards; baseline is kept
                  in docs/baseline.json and compared with the last one
  deploy oms|ims dev|prod [--dry-run]
                  build a stack and bring it into the account of the credentials at hand
  rollback oms|ims VERSION [--env dev|prod] [--dry-run]
                  deploy a tagged version again, to prod if nothing else is said
  await-ci COMMIT wait until ci.yml on GitHub has passed a commit, and fail if it has not
  smoke URL [--inventory URL]
                  one order through a running system, with the key in SAGALINE_API_KEY
  dist            what a release consists of, in target/dist
  publish TAG [--dry-run]
                  make a release on GitHub of what dist left
  mutants [NAME…] whether tests notice each small change of a crate; by hand, it takes an hour for all";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["test"] => test_everything(),
        ["test", "openapi"] => openapi::test(),
        ["test", area] => test_area(area),
        ["lint"] => lint(),
        ["lint", "templates"] => lint_templates(&tools::install(&root())?),
        ["arrows"] => arrows::check(&root()),
        ["release"] => release(),
        ["fuzz"] => fuzz::briefly(),
        ["fuzz", target, "--minutes", minutes] => fuzz::long(target, minutes),
        ["sim", words @ ..] => sim::run(words),
        ["coverage", packages @ ..] => coverage::run(packages),
        ["bench", words @ ..] => cold_start::run(words),
        ["k6", words @ ..] => k6::run(words),
        ["functions", words @ ..] => functions::run(words),
        ["deploy", words @ ..] => deploy::deploy(words),
        ["rollback", words @ ..] => deploy::rollback(words),
        ["await-ci", words @ ..] => await_ci::run(words),
        ["smoke", words @ ..] => smoke::run(words),
        ["dist"] => dist::run(),
        ["publish", words @ ..] => dist::publish(words),
        ["mutants", packages @ ..] => mutants::check(&root(), packages),
        _ => bail!("{USAGE}"),
    }
}

/// The project's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the project").to_owned()
}

fn test_everything() -> anyhow::Result<()> {
    lint()?;
    // Building takes far longer than the doubles like to wait.
    step("build of the tests", cargo(&["test", "--workspace", "--all-features", "--no-run"]))?;
    // What is deployed into the double is what is deployed: optimised, stripped, and zipped.
    let functions = functions::zips_for_host()?;
    {
        let doubles = Doubles::start(&root())?;
        let mut test = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
        test.env("SAGALINE_FUNCTIONS", functions);
        doubles.tell(&mut test);
        step("test", test)?;
    }
    sim::ci()?;
    fuzz::briefly()?;
    openapi::test()?;
    release()?;
    k6::run(&["smoke"])
}

fn test_area(area: &str) -> anyhow::Result<()> {
    let packages: &[&str] = match area {
        "domains" => &["events", "orders", "inventory", "payments", "catalog"],
        "store" => &["event-store", "event-store-embedded", "storage-simulator"],
        "aws" => {
            &["event-store-dynamodb", "account", "functions", "worker-functions", "api-functions", "sagaline"]
        }
        // With the packages whose programs are deployed.
        "e2e" => &["end-to-end", "worker-functions", "api-functions"],
        "topology" => &["topology"],
        "workers" => &["views", "workers"],
        "api" => &["apis"],
        "local" => &["local"],
        "cli" => &["sagaline"],
        "sim" => &["simulator"],
        other => bail!("there is no area {other}\n\n{USAGE}"),
    };
    let mut test = cargo(&["test", "--all-features"]);
    for package in packages {
        test.args(["--package", package]);
    }
    if area == "e2e" {
        // The command that asks the deployed stacks; its own tests are of another area.
        step("build", cargo(&["build", "--package", "sagaline", "--all-features"]))?;
    }
    // Only what talks to servers of AWS's protocols needs them.
    let doubles = if ["aws", "e2e"].contains(&area) { Some(Doubles::start(&root())?) } else { None };
    if let Some(doubles) = &doubles {
        doubles.tell(&mut test);
    }
    step("test", test)
}

fn lint() -> anyhow::Result<()> {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    println!("--- arrows");
    arrows::check(&root())?;
    workflows::check(&root(), USAGE)?;
    paths::check(&root())?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    step("clippy", cargo(&clippy))?;
    let tools = tools::install(&root())?;
    lint_templates(&tools)?;
    // Licences are read from the sources of every platform's crates, which a build does not all fetch.
    step("fetch", cargo(&["fetch", "--locked"]))?;
    // The fuzz targets have a lock file of their own, which is forgotten easily.
    step("fetch for fuzz", cargo(&["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))?;
    let mut licences = tools.program("cargo-deny");
    licences.args(["--offline", "--log-level", "error", "check", "licenses", "bans", "sources"]);
    licences.current_dir(root());
    step("licences", licences)?;
    k6::check(&root())
}

/// Whether AWS would take the templates, and whether what they say is safe.
fn lint_templates(tools: &tools::Tools) -> anyhow::Result<()> {
    let templates = ["template-oms.yaml", "template-ims.yaml"];
    let mut cfn_lint = tools.program("cfn-lint");
    cfn_lint.args(templates).current_dir(root());
    step("templates", cfn_lint)?;
    for template in templates {
        // It asks for a region, and looks up nothing there.
        let mut sam = tools.program("sam");
        sam.args(["validate", "--lint", "--region", "us-east-1", "--template", template]);
        sam.current_dir(root());
        step(&format!("sam validate {template}"), sam)?;
    }
    references::check(&root(), tools, &templates)?;
    let mut checkov = tools.checkov();
    checkov.args(["--framework", "cloudformation", "--skip-download", "--compact", "--quiet", "--file"]);
    checkov.args(templates).current_dir(root());
    step("checkov", checkov)
}

/// Builds the binary that users run, and proves that no AWS crate is in it.
fn release() -> anyhow::Result<()> {
    step("release build", cargo(&["build", "--release", "--package", "sagaline"]))?;
    let tree = cargo(&["tree", "--package", "sagaline", "--edges", "normal,build", "--prefix", "none"])
        .output()
        .context("failed to run cargo tree")?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let is_of_aws = |name: &&str| name.starts_with("aws") || name.starts_with("lambda_");
    let found: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).filter(is_of_aws).collect();
    if tree.is_empty() || !found.is_empty() {
        bail!("the one-machine binary must contain no AWS crate, and has {found:?}");
    }
    let features = cargo(&["tree", "--package", "sagaline", "--edges", "features", "--prefix", "none"])
        .output()
        .context("failed to run cargo tree")?;
    let features = String::from_utf8_lossy(&features.stdout).into_owned();
    if let Some(planted) = features.lines().find(|line| line.contains("feature \"planted\"")) {
        bail!("the one-machine binary must have no planted bugs, and has {planted}");
    }
    println!("--- no AWS crate among the {} of the one-machine binary", tree.lines().count());
    Ok(())
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(root());
    command
}

/// Runs a command and shows what it takes.
fn step(name: &str, mut command: Command) -> anyhow::Result<()> {
    println!("--- {name}");
    let began = Instant::now();
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    if !status.success() {
        bail!("{name} failed ({status}): {command:?}");
    }
    println!("--- {name}: {} s", began.elapsed().as_secs());
    Ok(())
}
