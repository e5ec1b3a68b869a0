//! The project's everyday commands: `cargo xtask <command>`.

mod arrows;
mod asyncapi;
mod await_ci;
mod baseline;
mod bench;
mod cold_start;
mod coverage;
mod deploy;
mod dist;
mod doubles;
mod everyday;
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
mod stamp;
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

  up [WORDS…]     build the server and run it from this folder; its logs go to target/sagaline.log
  logs            the last of them, and what follows
  status          whether the server is ready, and what waits in its queues
  reset [--yes]   remove its store, after asking; not while it has it open
  test            everything that CI checks, but for the floor of coverage: lint, tests, simulator, fuzzers, release build,
                  schemathesis, a load of k6
  test AREA       the tests of one area: domains, store, aws, e2e, topology, workers, queues, api, auth, local, cli, sim,
                  openapi
  lint            format, clippy, arrows, templates, licences
  lint templates  the templates alone
  arrows          which crate may depend on which
  docs [--check]  write the events' pages, schemas and AsyncAPI document, or say whether they are what the code says
  release         build the one-machine binary and check what is in it
  fuzz            every parser of outside bytes over its kept corpus and some new inputs, in about two minutes
  fuzz TARGET --minutes N
                  one of them for as long as you like; what it finds out is kept in fuzz/target
  sim [--orders N] [--seed N --trace] …
                  the whole system under virtual time and faults; --help says all it takes
  coverage [PACKAGE…]
                  how many lines the tests run: a floor of 80 %, and pages in target/coverage/html
  functions [--host | --check FOLDER | --stamp FOLDER]
                  every function as a zip for Lambda, in target/functions; --host builds for this machine;
                  --check says whether Lambda could start what sam build put into a folder,
                  --stamp marks it, so that it publishes a version of every function
  bench orders [--orders N] [--clients N]
                  how soon orders are accepted and settled, on a server of its own
  bench replay [--orders N]
                  how fast read models are rebuilt from a log of so many orders
  bench store [--clients N]
                  how many events the embedded store takes in a second
  bench cold-start [--starts N]
                  how soon each function is ready and what it takes, beside a Node handler
  k6 smoke|baseline|spike|soak [--url URL]
                  a load of chaos/k6, by k6, on a server of its own whose log is audited afterwards; baseline is kept
                  in docs/baseline.json and compared with the last one
  deploy oms|ims dev|prod [--only build|deploy] [--dry-run]
                  build a stack and bring it into the account of the credentials at hand; --only build leaves it in
                  target/STACK-ENVIRONMENT.tar, from where --only deploy takes it, perhaps on another machine
  rollback oms|ims VERSION [--env dev|prod] [--only build|deploy] [--dry-run]
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

/// What a command does with the words behind it.
type Run = fn(&[&str]) -> anyhow::Result<()>;

/// Every command, by its first word. USAGE tells of each.
const COMMANDS: [(&str, Run); 22] = [
    ("up", everyday::up),
    ("logs", everyday::logs),
    ("status", everyday::status),
    ("reset", everyday::reset),
    ("test", test),
    ("lint", lint),
    ("arrows", |_| arrows::check(&root())),
    ("docs", docs),
    ("release", |_| release()),
    ("fuzz", fuzz::run),
    ("sim", sim::run),
    ("coverage", coverage::run),
    ("bench", bench::run),
    ("k6", k6::run),
    ("functions", functions::run),
    ("deploy", deploy::deploy),
    ("rollback", deploy::rollback),
    ("await-ci", await_ci::run),
    ("smoke", smoke::run),
    ("dist", |_| dist::run()),
    ("publish", dist::publish),
    ("mutants", |packages| mutants::check(&root(), packages)),
];

fn run(words: &[&str]) -> anyhow::Result<()> {
    let [word, words @ ..] = words else { bail!("{USAGE}") };
    let Some((_, run)) = COMMANDS.iter().find(|(name, _)| name == word) else {
        bail!("there is no command {word}\n\n{USAGE}")
    };
    run(words)
}

/// The project's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the project").to_owned()
}

fn test(words: &[&str]) -> anyhow::Result<()> {
    match words {
        [] => test_everything(),
        ["openapi"] => openapi::test(),
        [area] => test_area(area),
        _ => bail!("test takes an area, or nothing"),
    }
}

fn test_everything() -> anyhow::Result<()> {
    lint(&[])?;
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

/// Every area, and what cargo is told to test of it, one run after the other.
const AREAS: [(&str, &[&[&str]]); 12] = [
    ("domains", &[&["-p=events", "-p=orders", "-p=inventory", "-p=payments", "-p=catalog"]]),
    ("store", &[&["-p=event-store", "-p=event-store-embedded", "-p=storage-simulator"]]),
    (
        "aws",
        &[&[
            "-p=event-store-dynamodb",
            "-p=account",
            "-p=functions",
            "-p=worker-functions",
            "-p=api-functions",
            "-p=sagaline",
        ]],
    ),
    // With the packages whose programs are deployed.
    ("e2e", &[&["-p=end-to-end", "-p=worker-functions", "-p=api-functions"]]),
    ("topology", &[&["-p=topology"]]),
    ("workers", &[&["-p=views", "-p=workers", "-p=event-docs"]]),
    // From the rules that route an event, through what holds messages, to the batches that workers get.
    (
        "queues",
        &[
            &["-p=topology", "-p=local"],
            &["-p=workers", "--lib", "--", "batch", "saga", "sweeper"],
            &["-p=sagaline", "--test=raw_events"],
        ],
    ),
    ("api", &[&["-p=apis"]]),
    // Keys, passwords and tokens, and who may ask for what.
    (
        "auth",
        &[
            &["-p=auth"],
            &["-p=apis", "--test=api", "--", "access", "erasing"],
            &["-p=sagaline", "--test=keys"],
        ],
    ),
    ("local", &[&["-p=local"]]),
    ("cli", &[&["-p=sagaline"]]),
    ("sim", &[&["-p=simulator"]]),
];

/// The areas by their names, and the description of the API, which needs a server.
fn areas_there_are() -> Vec<&'static str> {
    AREAS.into_iter().map(|(area, _)| area).chain(["openapi"]).collect()
}

fn test_area(name: &str) -> anyhow::Result<()> {
    let Some((area, runs)) = AREAS.into_iter().find(|(area, _)| *area == name) else {
        bail!("there is no area {name}; there are {}", areas_there_are().join(", "))
    };
    if area == "e2e" {
        // The command that asks the deployed stacks; its own tests are of another area.
        step("build", cargo(&["build", "--package", "sagaline", "--all-features"]))?;
    }
    // Only what talks to servers of AWS's protocols needs them.
    let doubles = if ["aws", "e2e"].contains(&area) { Some(Doubles::start(&root())?) } else { None };
    for words in runs {
        let mut test = cargo(&["test", "--all-features"]);
        test.args(*words);
        if let Some(doubles) = &doubles {
            doubles.tell(&mut test);
        }
        step(&format!("test {area}"), test)?;
    }
    Ok(())
}

fn lint(words: &[&str]) -> anyhow::Result<()> {
    match words {
        [] => {}
        ["templates"] => return lint_templates(&tools::install(&root())?),
        _ => bail!("lint takes the word templates, or nothing"),
    }
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    println!("--- arrows");
    arrows::check(&root())?;
    workflows::check(&root(), USAGE)?;
    paths::check(&root())?;
    asyncapi::check(&root())?;
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

/// Writes the documentation of events down, or says whether it is what the code says.
fn docs(words: &[&str]) -> anyhow::Result<()> {
    let generate = ["run", "--quiet", "--package", "event-docs", "--"];
    match words {
        [] => step("documentation", cargo(&generate)),
        ["--check"] => {
            step("documentation", cargo(&[&generate[..], words].concat()))?;
            asyncapi::check(&root())
        }
        _ => bail!("docs takes --check, or nothing"),
    }
}

/// Whether AWS would take the templates, and whether what they say is safe.
fn lint_templates(tools: &tools::Tools) -> anyhow::Result<()> {
    let templates = ["template-oms.yaml", "template-ims.yaml"];
    let mut cfn_lint = tools.program("cfn-lint");
    cfn_lint.args(templates).current_dir(root());
    step("templates", cfn_lint)?;
    for template in templates {
        // It asks for a region, and looks up nothing there.
        let mut sam = tools.sam("sam");
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
    for (feature, what) in [("planted", "planted bugs"), ("schema", "schemas of events")] {
        let is_there = |line: &&str| line.contains(&format!("feature \"{feature}\""));
        if let Some(there) = features.lines().find(is_there) {
            bail!("the one-machine binary must have no {what}, and has {there}");
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The first words of the lines that tell of a command.
    fn told() -> BTreeSet<&'static str> {
        let lines = USAGE.lines().filter_map(|line| line.strip_prefix("  "));
        lines
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split([' ', '\n']).next())
            .collect()
    }

    #[test]
    fn every_command_is_told_of_and_no_other() {
        assert_eq!(told(), COMMANDS.map(|(name, _)| name).into());
        assert_eq!(COMMANDS.map(|(name, _)| name).into_iter().collect::<BTreeSet<_>>().len(), COMMANDS.len());
    }

    #[test]
    fn every_area_is_told_of_and_no_other() {
        let (_, areas) = USAGE.split_once("the tests of one area: ").unwrap();
        let (areas, _) = areas.split_once("\n  lint ").unwrap();
        let areas: Vec<&str> = areas.split(',').map(str::trim).collect();
        assert_eq!(areas, areas_there_are());
    }

    #[test]
    fn every_area_tests_packages_that_there_are() {
        let said = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output().unwrap().stdout;
        let metadata: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        for (area, runs) in AREAS {
            for package in runs.iter().flat_map(|run| run.iter()).filter_map(|word| word.strip_prefix("-p="))
            {
                assert!(packages.iter().any(|known| known["name"] == package), "{area}: {package}");
            }
        }
    }

    #[test]
    fn what_is_no_command_is_told_what_there_is() {
        for wrong in [&["tset"][..], &[]] {
            assert!(run(wrong).unwrap_err().to_string().ends_with(USAGE));
        }
        for wrong in [
            &["test", "everything"][..],
            &["test", "a", "b"],
            &["lint", "all"],
            &["bench", "lunch"],
            &["k6", "storm"],
            &["logs", "--please"],
            &["deploy", "oms"],
            &["rollback", "oms"],
        ] {
            assert!(run(wrong).is_err(), "{wrong:?}");
        }
    }
}
