//! A stack is deployed again whenever something changes that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{arrows, yaml};

/// The crates whose programs are deployed; each stack has programs of both.
const DEPLOYED: [&str; 2] = ["worker-functions", "api-functions"];

/// What no crate says of itself: how it is built, configured and tried.
const AROUND: [&str; 10] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "samconfig.toml",
    "xtask/src/deploy.rs",
    "xtask/src/functions.rs",
    "xtask/src/plan.rs",
    "xtask/src/smoke.rs",
    "xtask/src/stamp.rs",
    "xtask/src/tools.rs",
];

/// Compares the paths of the deploying workflows with what the functions are made of.
///
/// # Errors
/// A change that would not be deployed, or a path that is none.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let crates = folders(&arrows::metadata(root)?, root)?;
    let mut wrong = Vec::new();
    for stack in ["oms", "ims"] {
        let workflow = format!(".github/workflows/deploy-{stack}.yml");
        let text =
            fs::read_to_string(root.join(&workflow)).with_context(|| format!("failed to read {workflow}"))?;
        let workflow_says = yaml::parse(&text).with_context(|| format!("failed to read {workflow}"))?;
        let paths = workflow_says["on"]["push"]["paths"].as_array().into_iter().flatten();
        let paths: Vec<&str> = paths.filter_map(Value::as_str).collect();
        let mut parts = crates.clone();
        parts.extend(AROUND.map(str::to_owned));
        parts.extend([workflow.clone(), format!("template-{stack}.yaml")]);
        wrong.extend(faults(&parts, &paths).into_iter().map(|fault| format!("{workflow}: {fault}")));
    }
    if !wrong.is_empty() {
        bail!("deployments that would not start, or start for nothing:\n  {}", wrong.join("\n  "));
    }
    println!("--- deployments start by {} crates and what is around them", crates.len());
    Ok(())
}

/// The folders of the deployed crates and of all that they depend on here, below the workspace's.
fn folders(metadata: &Value, root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let packages: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|package| Some((package["name"].as_str()?, package))).collect();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&str> = DEPLOYED.into();
    while let Some(name) = left.pop() {
        let package = packages.get(name).with_context(|| format!("there is no crate {name}"))?;
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        // What only its tests need is not deployed.
        let ours = dependencies.filter(|it| it["path"].is_string() && it["kind"] != "dev");
        if names.insert(name) {
            left.extend(ours.filter_map(|it| it["name"].as_str()));
        }
    }
    let folder = |name: &str| {
        let manifest = packages[name]["manifest_path"].as_str().context("a crate has a manifest")?;
        let folder = Path::new(manifest).parent().and_then(|folder| folder.strip_prefix(root).ok());
        Ok(folder.with_context(|| format!("{name} lies elsewhere"))?.to_string_lossy().into_owned())
    };
    names.into_iter().map(folder).collect()
}

fn faults(parts: &BTreeSet<String>, paths: &[&str]) -> Vec<String> {
    let leads_to = |path: &str, part: &str| match path.strip_suffix("/**") {
        Some(folder) => part == folder || part.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
        None => path == part,
    };
    let unwatched = parts.iter().filter(|part| !paths.iter().any(|path| leads_to(path, part)));
    let useless = paths.iter().filter(|path| !parts.iter().any(|part| leads_to(path, part)));
    let unwatched = unwatched.map(|part| format!("a change of {part} starts no deployment"));
    unwatched.chain(useless.map(|path| format!("{path} is part of no function"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_change_of_what_a_function_is_made_of_starts_its_deployment() {
        check(&crate::root()).unwrap();
    }

    #[test]
    fn a_crate_is_made_of_what_it_depends_on_and_not_of_what_its_tests_do() {
        let package = |name: &str, uses: &[(&str, Value)]| {
            let dependencies =
                uses.iter().map(|(name, kind)| json!({ "name": name, "kind": kind, "path": "/w" }));
            let dependencies: Vec<Value> = dependencies.collect();
            json!({ "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "dependencies": dependencies })
        };
        let metadata = json!({ "packages": [
            package("worker-functions", &[("a", Value::Null), ("tests", json!("dev"))]),
            package("api-functions", &[]),
            package("a", &[("b", json!("build"))]),
            package("b", &[("a", Value::Null)]),
            package("tests", &[]),
            package("other", &[]),
        ] });
        let found = folders(&metadata, Path::new("/w")).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "api-functions", "b", "worker-functions"]);
    }

    #[test]
    fn a_part_that_no_path_leads_to_is_found_and_so_is_a_path_that_leads_nowhere() {
        let parts: BTreeSet<String> = ["a/b", "telemetry", "Cargo.lock"].map(str::to_owned).into();
        assert_eq!(faults(&parts, &["a/**", "telemetry/**", "Cargo.lock"]), Vec::<String>::new());
        assert_eq!(
            faults(&parts, &["a/**", "tele/**", "Cargo.lock"]),
            ["a change of telemetry starts no deployment", "tele/** is part of no function"]
        );
    }
}
