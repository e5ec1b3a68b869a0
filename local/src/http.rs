//! The routes that the templates declare, and beside them the operator's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use apis::Api;
use apis::access::Needs;
use apis::limits::Origin;
use apis::problem::Problem;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use topology::Topology;
use tracing::Instrument;

use crate::ops::{self, Ops};

/// Routes that this process has and the templates leave out on purpose, in this environment.
const RAW_EVENTS: [&str; 2] = ["/chaos/raw-events", "/api/v1/testing/simulateRawEvent"];

/// How requests get here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// So long a request may take that only reads.
    pub(crate) longest: Duration,
    /// Whether they come through a proxy, which says from where.
    pub(crate) behind_proxy: bool,
}

pub(crate) fn router(topology: &Topology, api: Arc<Api>, ops: Arc<Ops>, way: Way) -> anyhow::Result<Router> {
    let needs = apis::needs();
    let mut declared = BTreeSet::new();
    for function in &topology.functions {
        let routes = function.routes.iter().map(|route| (route.method.as_str(), route.path.as_str()));
        let (routes, served) = (routes.collect(), apis::routes_of(&function.binary).into_iter().collect());
        refuse_difference(&function.binary, &routes, &served)?;
        refuse_open_doors(&function.routes, &needs)?;
        declared.extend(routes);
    }
    // What both APIs serve, each in its template, this process serves once.
    let mut served: BTreeSet<Route<'_>> = apis::routes().into_iter().collect();
    served.retain(|(_, path)| !RAW_EVENTS.contains(path));
    declared.retain(|(_, path)| !RAW_EVENTS.contains(path));
    refuse_difference("this process", &declared, &served)?;
    let pass = move |request, next| pass(way, request, next);
    Ok(apis::router_beside(ops::router(ops), &ops::beside(), api).layer(from_fn(pass)))
}

/// Answers in time, or that a client may ask again. Carries out a request that changes something whether its client stays
/// or not, and however long it takes: one that hangs up in the middle and asks again should find an answer, and not that
/// somebody is at it; nor may a dead letter be left between two places.
async fn pass(way: Way, mut request: Request, next: Next) -> Response {
    if let Some(origin) = way.behind_proxy.then(|| forwarded(request.headers())).flatten() {
        request.extensions_mut().insert(origin);
    }
    let changes = matches!(*request.method(), Method::POST | Method::PATCH | Method::DELETE);
    let answer = next.run(request).in_current_span();
    let late = || Problem::late().into_response();
    if !changes {
        return timeout(way.longest, answer).await.unwrap_or_else(|_| late());
    }
    match timeout(way.longest, tokio::spawn(answer)).await {
        Ok(answer) => answer.unwrap_or_else(|_| Problem::internal("a request broke off").into_response()),
        Err(_) => late(),
    }
}

/// Where a request comes from that a proxy handed on: what it saw itself, which it wrote behind what it was told.
fn forwarded(headers: &HeaderMap) -> Option<Origin> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok().map(Origin)
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

/// On AWS a route that needs somebody has an authorizer, and one that does not is not kept waiting for it.
fn refuse_open_doors(
    declared: &[topology::Route],
    needs: &[(&'static str, &'static str, Needs)],
) -> anyhow::Result<()> {
    for topology::Route { method, path, authorized } in declared {
        let route = needs.iter().find(|route| (route.0, route.1) == (&**method, &**path));
        let asks = route.is_some_and(|(.., needs)| *needs != Needs::Nothing);
        if asks != *authorized {
            let not = if asks { "not " } else { "" };
            bail!(
                "the templates do {not}have {method} {path} authorized, and its handler wants it otherwise"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(path: &str, authorized: bool) -> topology::Route {
        topology::Route { method: "POST".into(), path: path.into(), authorized }
    }

    #[test]
    fn templates_that_open_a_door_which_is_guarded_here_are_refused_and_so_is_the_opposite() {
        let needs = apis::needs();
        let tried = |path: &str, authorized: bool| refuse_open_doors(&[declared(path, authorized)], &needs);
        for (path, asks) in [("/orders", true), ("/users", true), ("/login", false)] {
            tried(path, asks).unwrap();
            let refused = tried(path, !asks).unwrap_err().to_string();
            assert!(refused.contains(&format!("POST {path} authorized")), "{refused}");
        }
    }

    #[test]
    fn a_proxy_is_believed_what_it_saw_and_not_what_it_was_told() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().expect("a header's value"));
            }
            forwarded(&headers).map(|Origin(address)| address.to_string())
        };
        assert_eq!(of(&["198.51.100.7, 192.0.2.1"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(of(&["192.0.2.1", "2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        assert_eq!([of(&[]), of(&["unknown"]), of(&["192.0.2.1,"])], [None, None, None]);
    }
}
