//! `cargo xtask dist` and `publish`: what a release consists of, and putting it where it can be had.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::functions::{self, Workspace};
use crate::plan::{Plan, Step};
use crate::{root, step, tools};

/// The oldest glibc that the one-machine binary runs with: that of Debian 10 and of Red Hat 8.
const GLIBC: u32 = 28;

/// `dist`: the one-machine binary for both machines and the functions of prod, into `target/dist`, with checksums.
///
/// # Errors
/// A tool that is missing, or something that does not build.
pub fn run() -> anyhow::Result<()> {
    let workspace = Workspace::read()?;
    tools::install_cross(&root())?;
    let mut binaries = Vec::new();
    for (machine, architecture) in [("x86_64", "x86_64"), ("arm64", "arm64")] {
        let triple = functions::triple(architecture)?;
        let mut build = functions::cross(triple, GLIBC)?;
        build.args(["--release", "--package", "sagaline"]);
        step(&format!("sagaline for {machine}"), build)?;
        binaries.push((machine, workspace.target.join(triple).join("release").join("sagaline")));
    }
    let mut declared = functions::declared(&root())?;
    // What can forge events is in no artefact of prod.
    declared.retain(|function| !function.dev_only);
    let built = functions::build_for_lambda(&declared, &workspace)?;

    let folder = functions::empty(&workspace.target.join("dist"))?;
    let mut sums = Vec::new();
    let beside = |name: &str| root().join(name);
    for (machine, binary) in &binaries {
        let out = folder.join(format!("sagaline-{}-linux-{machine}.tar.gz", version()));
        let (readme, mit, apache) = (beside("README.md"), beside("LICENSE-MIT"), beside("LICENSE-APACHE"));
        let members = [
            ("sagaline", binary),
            ("README.md", &readme),
            ("LICENSE-MIT", &mit),
            ("LICENSE-APACHE", &apache),
        ];
        sums.push(functions::pack(&out, &members.map(|(name, path)| (name, path.as_path())))?);
    }
    for (name, binary) in &built {
        let out = folder.join(format!("{name}.zip"));
        sums.push(functions::pack(&out, &[("bootstrap", binary)])?);
    }
    functions::write_checksums(&folder, sums)
}

/// `publish TAG [--dry-run]`: makes a release of what [`run`] left, with GitHub's own program.
///
/// # Errors
/// A tag of another version than the workspace's, nothing to publish, or what `gh` says.
pub fn publish(words: &[&str]) -> anyhow::Result<()> {
    let (tag, dry_run) = match words {
        [tag] => (*tag, false),
        [tag, "--dry-run"] | ["--dry-run", tag] => (*tag, true),
        _ => bail!("publish takes a tag such as v{}", version()),
    };
    if tag != format!("v{}", version()) {
        bail!("the tag is {tag} and the workspace is {}", version());
    }
    let folder = Workspace::read()?.target.join("dist");
    let files = std::fs::read_dir(&folder).context("there is nothing to publish: cargo xtask dist")?;
    let mut files = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.sort();
    release(tag, &files).carry_out(&root(), dry_run)
}

fn release(tag: &str, files: &[PathBuf]) -> Plan {
    let mut create = Step::new(&["gh", "release", "create", tag, "--verify-tag", "--generate-notes"]);
    create.words.extend(files.iter().map(|file| file.display().to_string()));
    Plan { steps: vec![create], ..Plan::default() }
}

/// Every crate has the workspace's version, and this one too.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_made_of_a_tag_that_exists_and_of_every_file() {
        let plan = release("v1.0.0", &["a.zip".into(), "SHA256SUMS".into()]);
        let expected = "gh release create v1.0.0 --verify-tag --generate-notes a.zip SHA256SUMS\n";
        assert_eq!(plan.to_string(), expected);
    }

    #[test]
    fn a_tag_of_another_version_is_refused() {
        let refusal = publish(&["v0.0.1", "--dry-run"]).unwrap_err().to_string();
        assert_eq!(refusal, format!("the tag is v0.0.1 and the workspace is {}", version()));
    }
}
