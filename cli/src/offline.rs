//! Replay and audit of a store folder that no server has open: the seam to the embedded store.

use std::path::Path;

use anyhow::bail;
use serde_json::Value;

/// What to do with the rebuilt rows.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Compare them with the live ones.
    pub diff: bool,
    /// Put them in the place of the live ones.
    pub swap: bool,
}

/// Rebuilds a read model of the store in `data`; the report is the document of `GET /ops/replays/{id}`.
pub async fn replay(data: &Path, view: &str, mode: Mode) -> anyhow::Result<Value> {
    let Mode { diff, swap } = mode;
    bail!("failed to replay {view} of {} (diff {diff}, swap {swap}): not built yet", data.display())
}

/// Audits the store in `data`; the report is the document of `GET /ops/audits/{id}`.
pub async fn audit(data: &Path) -> anyhow::Result<Value> {
    bail!("failed to audit {}: not built yet", data.display())
}
