//! The routes that the templates declare, and beside them the operator's.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use apis::Api;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use topology::Topology;
use tracing::Instrument;

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
    Ok(apis::router_beside(ops::router(ops), ops::ROUTES, api).layer(from_fn(to_the_end)))
}

/// Carries out a request that changes something whether its client stays or not: one that hangs up in the middle and
/// asks again should find an answer, and not that somebody is at it; nor may a dead letter be left between two places.
async fn to_the_end(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::POST | Method::PATCH | Method::DELETE) {
        return next.run(request).await;
    }
    let answer = tokio::spawn(next.run(request).in_current_span()).await;
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
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
