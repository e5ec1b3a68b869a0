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
    let mut declared = BTreeSet::new();
    for function in &topology.functions {
        let routes = function.routes.iter().map(|route| (route.method.as_str(), route.path.as_str()));
        let (routes, served) = (routes.collect(), apis::routes_of(&function.binary).into_iter().collect());
        refuse_difference(&function.binary, &routes, &served)?;
        declared.extend(routes);
    }
    // What both APIs serve, each in its template, this process serves once.
    let mut served: BTreeSet<Route<'_>> = apis::routes().into_iter().collect();
    served.retain(|(_, path)| !RAW_EVENTS.contains(path));
    declared.retain(|(_, path)| !RAW_EVENTS.contains(path));
    refuse_difference("this process", &declared, &served)?;
    Ok(apis::router(api).merge(ops::router(ops)))
}

type Route<'a> = (&'a str, &'a str);

fn refuse_difference(
    who: &str,
    declared: &BTreeSet<Route<'_>>,
    served: &BTreeSet<Route<'_>>,
) -> anyhow::Result<()> {
    if let Some((method, path)) = declared.difference(served).next() {
        bail!("the templates declare {method} {path}, which no handler of {who} serves");
    }
    if let Some((method, path)) = served.difference(declared).next() {
        bail!("{method} {path} is served by {who}, and no template declares it");
    }
    Ok(())
}
