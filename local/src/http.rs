//! The routes that the templates declare, and beside them the operator's.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use apis::Api;
use axum::Router;
use topology::Topology;

use crate::ops::{self, Ops};

/// Routes that this process has and the templates leave out on purpose, in this environment.
const RAW_EVENTS: [&str; 2] = ["/chaos/raw-events", "/api/v1/testing/simulateRawEvent"];

pub(crate) fn router(topology: &Topology, api: Arc<Api>, ops: Arc<Ops>) -> anyhow::Result<Router> {
    let declared: BTreeSet<(&str, &str)> = topology
        .functions
        .iter()
        .flat_map(|function| &function.routes)
        .map(|route| (route.method.as_str(), route.path.as_str()))
        .collect();
    let served: BTreeSet<(&str, &str)> = apis::routes().into_iter().collect();
    if let Some((method, path)) = declared.difference(&served).next() {
        bail!("the templates declare {method} {path}, which no handler serves");
    }
    let extra = served.difference(&declared).find(|(_, path)| !RAW_EVENTS.contains(path));
    if let Some((method, path)) = extra {
        bail!("{method} {path} is served, and no template declares it");
    }
    Ok(apis::router(api).merge(ops::router(ops)))
}
