//! `event-docs [--check]`: writes the events' documentation, or says whether it is what the code says.

use std::env;
use std::path::Path;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("event-docs is a folder of the project")?;
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => println!("{} files written", event_docs::write(root)?),
        ["--check"] => println!("{} files are what the code says", event_docs::check(root)?),
        _ => bail!("usage: event-docs [--check]"),
    }
    Ok(())
}
