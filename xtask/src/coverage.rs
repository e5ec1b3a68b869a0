//! `cargo xtask coverage`: how many lines the tests run, as pages to look at and as a floor that holds.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::doubles::Doubles;
use crate::{cargo, root, step, tools};

/// Of a hundred lines so many are run by some test.
const FLOOR: &str = "80";

/// `coverage [PACKAGE…]`: of the whole workspace, which has the floor, or what the tests of some packages run of them
/// and of what they use. The pages are in `target/coverage/html`.
///
/// # Errors
/// A tool that is missing, a test that fails, or fewer lines than the floor.
pub fn run(packages: &[&str]) -> anyhow::Result<()> {
    let root = root();
    check_llvm_tools()?;
    tools::install_cargo(&root, "cargo-llvm-cov", tools::CARGO_LLVM_COV)?;
    // What an earlier run left would be counted too.
    step("forget earlier counts", llvm_cov(&root, &["clean", "--workspace"])?)?;
    let mut test = llvm_cov(&root, &["--no-report", "--all-features"])?;
    if packages.is_empty() {
        // What checks the project is not the project.
        test.args(["--workspace", "--exclude", "xtask"]);
        let doubles = Doubles::start(&root)?;
        doubles.tell(&mut test);
        step("test, counting lines", test)?;
    } else {
        for package in packages {
            test.args(["--package", package]);
        }
        step("test, counting lines", test)?;
    }
    step(
        "pages in target/coverage/html",
        llvm_cov(&root, &["report", "--html", "--output-dir", "target/coverage"])?,
    )?;
    let mut summary = llvm_cov(&root, &["report", "--summary-only"])?;
    if !packages.is_empty() {
        return step("lines", summary);
    }
    summary.args(["--fail-under-lines", FLOOR]);
    step(&format!("at least {FLOOR} % of lines"), summary)
}

fn llvm_cov(root: &Path, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = cargo(&["llvm-cov"]);
    command.args(words).env("PATH", crate::plan::path(root, &[tools::CARGO_PROGRAMS])?);
    Ok(command)
}

/// LLVM's tools have to be those of the compiler's LLVM, which distributions rarely have: rustup brings them.
fn check_llvm_tools() -> anyhow::Result<()> {
    let given = |name| env::var_os(name).is_some();
    let brought = tools::rustlib()?.join(tools::rustc_says("host: ")?).join("bin").join("llvm-profdata");
    if (given("LLVM_COV") && given("LLVM_PROFDATA")) || brought.exists() {
        return Ok(());
    }
    bail!(
        "to count lines, install the compiler's own tools: rustup component add llvm-tools\n\
         (or name those of LLVM {} in LLVM_COV and LLVM_PROFDATA)",
        tools::rustc_says("LLVM version: ")?
    )
}
