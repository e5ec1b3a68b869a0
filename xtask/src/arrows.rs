//! Which crate may depend on which: the arrows of ARCHITECTURE.md, as a table that fails the build.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

/// Each crate of the workspace and the ones of the workspace that it may use. Tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("orders", &["events"]),
    ("inventory", &["events"]),
    ("payments", &["events"]),
    ("catalog", &["events"]),
    ("event-store", &["events", "orders", "payments"]),
    ("views", &["events", "orders", "inventory", "payments", "catalog", "event-store"]),
    ("telemetry", &[]),
    (
        "workers",
        &["events", "orders", "inventory", "payments", "catalog", "event-store", "telemetry", "views"],
    ),
    ("auth", &["events", "event-store"]),
    (
        "apis",
        &[
            "events",
            "orders",
            "inventory",
            "payments",
            "catalog",
            "event-store",
            "auth",
            "telemetry",
            "views",
        ],
    ),
    ("topology", &[]),
    // Adapters.
    ("event-store-embedded", &["events", "orders", "payments", "event-store"]),
    ("event-store-dynamodb", &["events", "orders", "payments", "event-store", "telemetry"]),
    // Functions.
    ("functions", &["event-store-dynamodb", "telemetry"]),
    (
        "worker-functions",
        &["events", "event-store", "event-store-dynamodb", "functions", "telemetry", "topology", "workers"],
    ),
    (
        "api-functions",
        &["event-store", "event-store-dynamodb", "auth", "functions", "telemetry", "views", "apis"],
    ),
    // What an operator does to an account.
    ("account", &["events", "event-store", "event-store-dynamodb", "auth", "topology", "views"]),
    // What puts it together.
    (
        "local",
        &[
            "events",
            "event-store",
            "event-store-embedded",
            "event-store-dynamodb",
            "auth",
            "views",
            "workers",
            "apis",
            "topology",
        ],
    ),
    ("sagaline", &["events", "event-store", "account", "local", "orders", "telemetry", "views"]),
    ("end-to-end", &["events", "event-store", "event-store-dynamodb", "topology", "worker-functions"]),
    (
        "simulator",
        &[
            "events",
            "orders",
            "payments",
            "event-store",
            "auth",
            "views",
            "workers",
            "apis",
            "topology",
            "local",
        ],
    ),
    // What is written down of the events.
    ("event-docs", &["events", "orders", "inventory", "payments", "apis", "topology", "workers"]),
    ("storage-simulator", &["events", "event-store", "event-store-embedded", "views", "payments"]),
    ("xtask", &["topology"]),
];

/// Crates of the outside that a domain may use: none that has a clock, a network or a thread.
const PURE: &[&str] = &["jiff", "schemars", "serde", "serde_json", "thiserror", "ulid"];
const DOMAINS: &[&str] = &["events", "orders", "inventory", "payments", "catalog"];

/// Compares the table with what `cargo metadata` says.
///
/// # Errors
/// A wrong arrow, or a crate that the table does not name.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let wrong = wrong_arrows(&metadata(root)?)?;
    if !wrong.is_empty() {
        bail!("wrong arrows, see ARCHITECTURE.md:\n  {}", wrong.join("\n  "));
    }
    println!("--- every arrow points inward ({} crates)", ARROWS.len());
    Ok(())
}

/// What `cargo metadata` says of the crates of the workspace.
///
/// # Errors
/// Cargo does not run, or says something else than JSON.
pub fn metadata(root: &Path) -> anyhow::Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root)
        .output()
        .context("failed to run cargo metadata")?;
    serde_json::from_slice(&output.stdout).context("failed to read cargo metadata")
}

fn wrong_arrows(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has a name")?;
        let Some(may_use) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the table of xtask/src/arrows.rs"));
            continue;
        };
        let dependencies = package["dependencies"].as_array().context("a package lists dependencies")?;
        for dependency in dependencies.iter().filter(|dependency| dependency["kind"].is_null()) {
            let used = dependency["name"].as_str().context("a dependency has a name")?;
            let is_ours = dependency["path"].is_string();
            if is_ours && !may_use.contains(&used) {
                wrong.push(format!("{name} -> {used}"));
            }
            if !is_ours && DOMAINS.contains(&name) && !PURE.contains(&used) {
                wrong.push(format!("{name} -> {used}: a domain is pure"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(name: &str, uses: &str, ours: bool) -> Value {
        let path = if ours { json!("/somewhere") } else { Value::Null };
        json!({ "packages": [{ "name": name, "dependencies": [{ "name": uses, "kind": null, "path": path }] }] })
    }

    #[test]
    fn a_wrong_arrow_is_found() {
        assert_eq!(wrong_arrows(&workspace("orders", "events", true)).unwrap(), Vec::<String>::new());
        assert_eq!(wrong_arrows(&workspace("orders", "payments", true)).unwrap(), ["orders -> payments"]);
        assert_eq!(wrong_arrows(&workspace("apis", "event-store-embedded", true)).unwrap().len(), 1);
    }

    #[test]
    fn a_domain_that_is_not_pure_is_found() {
        let found = wrong_arrows(&workspace("payments", "tokio", false)).unwrap();
        assert_eq!(found, ["payments -> tokio: a domain is pure"]);
        assert_eq!(wrong_arrows(&workspace("apis", "tokio", false)).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        assert_eq!(wrong_arrows(&workspace("surprise", "serde", false)).unwrap().len(), 1);
    }
}
