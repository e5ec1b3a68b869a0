//! The events' AsyncAPI document is one, by the official JSON Schema of AsyncAPI.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::tools::{ASYNCAPI_SPECS, JSONSCHEMA, install_node, install_python};

/// Looks at `docs/asyncapi.json`.
///
/// # Errors
/// What in it the schema does not allow.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let folder = root.join(".tools").join("asyncapi");
    let specs = install_node(&folder, &ASYNCAPI_SPECS)?.join("@asyncapi").join("specs").join("schemas");
    let python = install_python(&folder.join("python"), &JSONSCHEMA)?.join("python");
    let mut command = Command::new(python);
    command.args(["-c", include_str!("asyncapi.py")]).arg(specs.join("3.0.0-without-$id.json"));
    command.arg(root.join("docs").join("asyncapi.json"));
    let said = command.output().with_context(|| format!("failed to run {command:?}"))?;
    if !said.status.success() || !said.stdout.is_empty() {
        let (wrong, cause) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        bail!("docs/asyncapi.json is no AsyncAPI document:\n{wrong}{cause}");
    }
    println!("--- docs/asyncapi.json is an AsyncAPI document");
    Ok(())
}
