//! The documentation of the events, made of what the code and the templates say: schemas, pages, AsyncAPI.

pub mod asyncapi;
pub mod follows;
pub mod json;
pub mod knowledge;
pub mod page;
pub mod sample;
pub mod wiring;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use knowledge::Knowledge;

/// Where all of it is kept, below the project's folder.
pub const FOLDER: &str = "docs/events";
const ASYNCAPI: &str = "docs/asyncapi.json";

/// Every file, by its path below the project's folder.
///
/// # Errors
/// A template or golden file that cannot be read.
pub fn files(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let known = Knowledge::gather(root)?;
    let mut files = BTreeMap::new();
    for event in &known.events {
        files.insert(format!("{FOLDER}/{}", event.schema_file()), json::pretty(&event.schema));
        files.insert(format!("{FOLDER}/{}.md", event.name), page::event(event, &known)?);
    }
    files.insert(format!("{FOLDER}/README.md"), page::index(&known));
    files.insert(ASYNCAPI.to_owned(), json::pretty(&asyncapi::document(&known)?));
    Ok(files)
}

/// Writes every file.
///
/// # Errors
/// What [`files`] says, or a file that cannot be written.
pub fn write(root: &Path) -> anyhow::Result<usize> {
    let files = files(root)?;
    for superfluous in superfluous(root, &files)? {
        fs::remove_file(root.join(superfluous))?;
    }
    for (path, text) in &files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(files.len())
}

/// Compares what is kept with what the code says.
///
/// # Errors
/// What [`files`] says, or the files that differ.
pub fn check(root: &Path) -> anyhow::Result<usize> {
    let files = files(root)?;
    let mut wrong: Vec<String> =
        superfluous(root, &files)?.iter().map(|path| format!("{path} is nobody's")).collect();
    for (path, text) in &files {
        match fs::read_to_string(root.join(path)) {
            Ok(kept) if kept == *text => {}
            Ok(_) => wrong.push(format!("{path} says something else")),
            Err(_) => wrong.push(format!("{path} is missing")),
        }
    }
    for event in EventVersion::older() {
        if !root.join(FOLDER).join(event.schema_file()).exists() {
            wrong.push(format!("{} of an older version is missing", event.schema_file()));
        }
    }
    if !wrong.is_empty() {
        bail!(
            "the events' documentation is not what the code says; run cargo xtask docs:\n  {}",
            wrong.join("\n  ")
        );
    }
    Ok(files.len())
}

/// Files that are kept and are of no event. A schema of an older version is never made again, and never thrown away.
fn superfluous(root: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let older: Vec<String> = EventVersion::older().iter().map(|event| event.schema_file()).collect();
    let mut superfluous = Vec::new();
    for folder in [FOLDER.to_owned(), format!("{FOLDER}/schemas")] {
        let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let is_older = older.iter().any(|file| path == format!("{FOLDER}/{file}"));
            if entry.file_type()?.is_file() && !files.contains_key(&path) && !is_older {
                superfluous.push(path);
            }
        }
    }
    superfluous.sort();
    Ok(superfluous)
}

/// One version of an event.
struct EventVersion {
    name: events::EventName,
    version: u32,
}

impl EventVersion {
    /// Every version that this code reads and no longer writes.
    fn older() -> Vec<EventVersion> {
        let of = |name: &events::EventName| {
            let name = *name;
            (1..name.version()).map(move |version| EventVersion { name, version })
        };
        events::EventName::ALL.iter().flat_map(of).collect()
    }

    fn schema_file(&self) -> String {
        format!("schemas/{}.v{}.json", self.name, self.version)
    }
}
