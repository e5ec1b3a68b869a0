//! `cargo xtask functions`: every function of the templates as a zip that Lambda takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::tools::{self, CROSS_PROGRAMS};
use crate::{cargo, plan, root, stamp, step, yaml};

const TEMPLATES: [&str; 2] = ["template-oms.yaml", "template-ims.yaml"];

/// The newest function of glibc that Amazon Linux 2023 has, which the runtime `provided.al2023` is.
const GLIBC: u32 = 34;

/// A function that a template declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// What the template calls it, and `sam build` its folder.
    id: String,
    /// Its binary, which is also its name.
    pub name: String,
    /// What it runs on, as Lambda says it: `arm64` or `x86_64`.
    pub architecture: String,
    /// Whether it may be in dev only.
    pub dev_only: bool,
}

/// `functions [--host]`: builds and packs all into `target/functions`, with their checksums; `--host` for this machine
/// instead of the one that the templates name, which needs no other tools and is no good for Lambda.
/// `functions --check FOLDER`: whether Lambda could start what `sam build` put there; `--stamp FOLDER`: marks it as a
/// deployment of its own.
///
/// # Errors
/// A function that no crate builds, a tool that is missing, or a binary that Lambda could not start.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let functions = declared(&root())?;
    if let ["--check", folder] = words {
        return check_built(&functions, &root().join(folder));
    }
    match words {
        ["--stamp", folder] => stamp::built(&root().join(folder)),
        [] => {
            let workspace = Workspace::read()?;
            zip(&build_for_lambda(&functions, &workspace)?, &workspace).map(drop)
        }
        ["--host"] => zips_for_host().map(drop),
        _ => bail!("functions takes --host, or --check or --stamp and a folder, or nothing"),
    }
}

/// Builds and packs all for this machine, and gives the folder of the zips.
///
/// # Errors
/// As [`run`].
pub fn zips_for_host() -> anyhow::Result<PathBuf> {
    let workspace = Workspace::read()?;
    zip(&build_for_host(&declared(&root())?, &workspace)?, &workspace)
}

fn zip(binaries: &BTreeMap<String, PathBuf>, workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = empty(&workspace.target.join("functions"))?;
    let packed = binaries.iter().map(|(name, binary)| {
        let out = folder.join(format!("{name}.zip"));
        pack(&out, &[("bootstrap", binary)])
    });
    write_checksums(&folder, packed.collect::<anyhow::Result<Vec<_>>>()?)?;
    Ok(folder)
}

/// The functions of both templates.
///
/// # Errors
/// A template that cannot be read.
pub fn declared(root: &Path) -> anyhow::Result<Vec<Function>> {
    let mut functions = Vec::new();
    for template in TEMPLATES {
        let text =
            fs::read_to_string(root.join(template)).with_context(|| format!("failed to read {template}"))?;
        functions.extend(functions_of(&text).with_context(|| format!("failed to read {template}"))?);
    }
    Ok(functions)
}

fn functions_of(text: &str) -> anyhow::Result<Vec<Function>> {
    let template = yaml::parse(text)?;
    let shared = &template["Globals"]["Function"]["Architectures"][0];
    let resources = template["Resources"].as_object().context("it has no resources")?;
    let functions = resources.iter().filter(|(_, it)| it["Type"] == "AWS::Serverless::Function");
    functions
        .map(|(id, function)| {
            let name = function["Metadata"]["BuildProperties"]["Binary"].as_str();
            let own = function["Properties"]["Architectures"][0].as_str();
            Ok(Function {
                id: id.clone(),
                name: name.with_context(|| format!("{id} names no Binary"))?.to_owned(),
                architecture: own.or(shared.as_str()).unwrap_or("x86_64").to_owned(),
                dev_only: function["Condition"] == "IsDev",
            })
        })
        .collect()
}

/// Builds functions for the machines that the templates name, whatever this one is.
///
/// # Errors
/// As [`run`].
pub fn build_for_lambda(
    functions: &[Function],
    workspace: &Workspace,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    tools::install_cross(&root())?;
    let mut binaries = BTreeMap::new();
    for architecture in ["arm64", "x86_64"] {
        let names = functions.iter().filter(|function| function.architecture == architecture);
        let names: Vec<&str> = names.map(|function| function.name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let triple = triple(architecture)?;
        let mut build = cross(triple, GLIBC)?;
        build.args(["--profile", "function"]).args(workspace.selection(&names)?);
        step(&format!("functions for {architecture}"), build)?;
        for name in names {
            let binary = workspace.target.join(triple).join("function").join(name);
            let bytes = fs::read(&binary).with_context(|| format!("failed to read {}", binary.display()))?;
            check_binary(&bytes, architecture).with_context(|| format!("{name} would not start"))?;
            binaries.insert(name.to_owned(), binary);
        }
    }
    Ok(binaries)
}

/// Builds functions for this machine.
///
/// # Errors
/// As [`run`].
pub fn build_for_host(
    functions: &[Function],
    workspace: &Workspace,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    let mut build = cargo(&["build", "--locked", "--profile", "function"]);
    build.args(workspace.selection(&names)?);
    step("functions for this machine, not for Lambda", build)?;
    let binary = |name: &str| (name.to_owned(), workspace.target.join("function").join(name));
    Ok(names.into_iter().map(binary).collect())
}

/// A build for another machine, and for a glibc that is no newer than 2.`glibc`.
///
/// # Errors
/// Rust has no library for that machine.
pub fn cross(triple: &str, glibc: u32) -> anyhow::Result<Command> {
    tools::check_target(triple)?;
    let mut build = cargo(&["zigbuild", "--locked", "--target", &format!("{triple}.2.{glibc}")]);
    build.env("PATH", plan::path(&root(), &[CROSS_PROGRAMS])?);
    Ok(build)
}

/// What Rust calls a machine that Lambda calls something else.
///
/// # Errors
/// A machine that Lambda does not have.
pub fn triple(architecture: &str) -> anyhow::Result<&'static str> {
    match architecture {
        "arm64" => Ok("aarch64-unknown-linux-gnu"),
        "x86_64" => Ok("x86_64-unknown-linux-gnu"),
        other => bail!("there is no architecture {other}"),
    }
}

/// The workspace, as far as building its functions asks.
pub struct Workspace {
    /// Where what is built is put.
    pub target: PathBuf,
    /// Each binary, and the package that has it.
    packages: BTreeMap<String, String>,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// It does not answer.
    pub fn read() -> anyhow::Result<Workspace> {
        let said = cargo(&["metadata", "--format-version", "1", "--no-deps"]).output();
        let said = said.context("failed to run cargo metadata")?.stdout;
        let metadata: Value = serde_json::from_slice(&said).context("failed to read cargo metadata")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target")?;
        let mut packages = BTreeMap::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            for target in package["targets"].as_array().into_iter().flatten() {
                if target["kind"][0] == "bin" {
                    let [package, binary] = [&package["name"], &target["name"]].map(Value::as_str);
                    let both = package.zip(binary).context("packages and binaries have names")?;
                    packages.insert(both.1.to_owned(), both.0.to_owned());
                }
            }
        }
        Ok(Workspace { target: target.into(), packages })
    }

    /// How cargo is told to build these binaries and no others.
    fn selection(&self, names: &[&str]) -> anyhow::Result<Vec<String>> {
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !self.packages.contains_key(*name)).collect();
        if !missing.is_empty() {
            bail!("no crate builds what the templates name: {}", missing.join(", "));
        }
        let mut words = Vec::new();
        for name in names {
            words.extend(["--package".to_owned(), self.packages[*name].clone()]);
            words.extend(["--bin".to_owned(), (*name).to_owned()]);
        }
        Ok(words)
    }
}

/// What SAM built, a folder for each function that was not left out.
fn check_built(functions: &[Function], folder: &Path) -> anyhow::Result<()> {
    let mut checked = Vec::new();
    for function in functions {
        let binary = folder.join(&function.id).join("bootstrap");
        if binary.exists() {
            let bytes = fs::read(&binary).with_context(|| format!("failed to read {}", binary.display()))?;
            check_binary(&bytes, &function.architecture)
                .with_context(|| format!("{} would not start", function.name))?;
            checked.push(function.name.as_str());
        }
    }
    if checked.is_empty() {
        bail!("there is no function in {}", folder.display());
    }
    println!("--- Lambda can start {}", checked.join(", "));
    Ok(())
}

/// Whether a binary can start where it will be run: built for that machine, and asking for no newer glibc.
fn check_binary(binary: &[u8], architecture: &str) -> anyhow::Result<()> {
    // In the header of an ELF file the machine is two bytes at 18.
    let machine = match (binary.starts_with(b"\x7fELF"), binary.get(18..20)) {
        (true, Some([183, 0])) => "arm64",
        (true, Some([62, 0])) => "x86_64",
        _ => bail!("it is no Linux program of a known machine"),
    };
    if machine != architecture {
        bail!("it is for {machine}, and the template says {architecture}");
    }
    let newest = newest_glibc(binary);
    if newest > GLIBC {
        bail!("it asks for glibc 2.{newest}, and provided.al2023 has 2.{GLIBC}");
    }
    Ok(())
}

/// The highest N of the symbol versions `GLIBC_2.N` that a binary names.
fn newest_glibc(binary: &[u8]) -> u32 {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let number = |at: usize| {
        let digits = binary[at + PREFIX.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    };
    let found = binary.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    found.map(|(at, _)| number(at)).max().unwrap_or(0)
}

/// Empties a folder, or makes it.
///
/// # Errors
/// The file system refuses.
pub fn empty(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Packs files under these names into a `.zip` or `.tar.gz`, the same bytes for the same content, and gives its name
/// and checksum.
///
/// # Errors
/// No Python 3, or a file that cannot be read.
pub fn pack(out: &Path, members: &[(&str, &Path)]) -> anyhow::Result<(String, String)> {
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("pack.py")]).arg(out);
    for (name, path) in members {
        python.arg(format!("{name}={}", path.display()));
    }
    let said = python.stderr(std::process::Stdio::inherit()).output().context("install Python 3")?;
    if !said.status.success() {
        bail!("failed to pack {} ({})", out.display(), said.status);
    }
    let name = out.file_name().context("an archive has a name")?.to_string_lossy().into_owned();
    println!("{name}: {} KB", fs::metadata(out)?.len() / 1024);
    Ok((name, String::from_utf8_lossy(&said.stdout).trim().to_owned()))
}

/// Writes `SHA256SUMS`, which `sha256sum --check` reads.
///
/// # Errors
/// The file system refuses.
pub fn write_checksums(folder: &Path, mut packed: Vec<(String, String)>) -> anyhow::Result<()> {
    packed.sort();
    let lines: String = packed.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    fs::write(folder.join("SHA256SUMS"), lines).context("failed to write checksums")?;
    println!("--- {} files in {}, with SHA256SUMS", packed.len(), folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(machine: u8, symbols: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes.extend(symbols.as_bytes());
        bytes
    }

    #[test]
    fn a_binary_that_lambda_could_not_start_is_refused() {
        check_binary(&binary(183, "GLIBC_2.17\0GLIBC_2.34\0"), "arm64").unwrap();
        check_binary(&binary(62, ""), "x86_64").unwrap();
        let wrong = |bytes: &[u8]| check_binary(bytes, "arm64").unwrap_err().to_string();
        assert_eq!(wrong(&binary(62, "")), "it is for x86_64, and the template says arm64");
        assert_eq!(
            wrong(&binary(183, "GLIBC_2.38\0GLIBC_2.4\0")),
            "it asks for glibc 2.38, and provided.al2023 has 2.34"
        );
        assert_eq!(wrong(b"#!/bin/sh"), "it is no Linux program of a known machine");
    }

    #[test]
    fn what_sam_built_is_checked_before_it_is_deployed() {
        let folder = std::env::temp_dir().join(format!("sagaline-built-{}", std::process::id()));
        let oms_api = folder.join("OmsApiFunction");
        fs::create_dir_all(&oms_api).unwrap();
        let functions = declared(&root()).unwrap();
        let check = || check_built(&functions, &folder).map_err(|error| format!("{error:#}"));
        assert!(check().unwrap_err().starts_with("there is no function in "));
        fs::write(oms_api.join("bootstrap"), binary(62, "")).unwrap();
        let expected = "oms-api would not start: it is for x86_64, and the template says arm64";
        assert_eq!(check(), Err(expected.to_owned()));
        fs::write(oms_api.join("bootstrap"), binary(183, "GLIBC_2.34\0")).unwrap();
        assert_eq!(check(), Ok(()));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_functions_of_the_templates_are_found() {
        let functions = declared(&root()).unwrap();
        let named = |name: &str| functions.iter().find(|function| function.name == name).unwrap();
        assert_eq!(named("oms-api").architecture, "arm64");
        assert!(!named("inventory-worker").dev_only);
        let dev_only: Vec<&str> =
            functions.iter().filter(|function| function.dev_only).map(|it| it.name.as_str()).collect();
        assert_eq!(dev_only, ["chaos-api"]);
    }

    #[test]
    fn a_function_that_no_crate_builds_is_named() {
        let packages = BTreeMap::from([("here".to_owned(), "crate".to_owned())]);
        let workspace = Workspace { target: PathBuf::new(), packages };
        assert_eq!(workspace.selection(&["here"]).unwrap(), ["--package", "crate", "--bin", "here"]);
        let missing = workspace.selection(&["here", "gone"]).unwrap_err().to_string();
        assert_eq!(missing, "no crate builds what the templates name: gone");
    }

    #[test]
    fn the_same_content_is_packed_to_the_same_bytes() {
        let folder = std::env::temp_dir().join(format!("sagaline-pack-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let content = folder.join("content");
        fs::write(&content, "a program").unwrap();
        for kind in ["zip", "tar.gz"] {
            let (first, second) = (folder.join(format!("1.{kind}")), folder.join(format!("2.{kind}")));
            let (name, sum) = pack(&first, &[("bootstrap", &content)]).unwrap();
            let again = fs::File::options().append(true).open(&content).unwrap();
            again.set_modified(std::time::UNIX_EPOCH).unwrap();
            pack(&second, &[("bootstrap", &content)]).unwrap();
            assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap(), "{kind}");
            assert_eq!((name, sum.len()), (format!("1.{kind}"), 64));
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
