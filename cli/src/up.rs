//! `sagaline up`: the whole system in this process.

use clap::Args;

/// How the system runs.
#[derive(Args)]
pub struct Options {}

pub async fn run(options: Options) -> anyhow::Result<()> {
    let Options {} = options;
    anyhow::bail!("not built yet")
}
