//! What every request goes through: an id and a trace, strict query strings, CORS, one line in the log.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use auth::Principal;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{Instrument, Span, field};

use crate::Api;
use crate::access::{self, Needs, challenge};
use crate::answer::AboutOrder;
use crate::health;
use crate::idempotency::{self, Once};
use crate::limits::{Origin, Standing};
use crate::openapi::Operation;
use crate::params::Params;
use crate::preconditions::Known;
use crate::problem::{Cause, Problem};
use crate::request::Caller;
use crate::table::{Query, Route, Table};

/// The router of a table, with the edge around it.
pub(crate) fn around(table: Table, api: Arc<Api>) -> Router {
    let router = table.router.fallback(no_such_route);
    enclose(router.with_state(api.clone()), table.routes, api)
}

/// Routes, with the edge around them.
pub(crate) fn enclose(router: Router, routes: Vec<Route>, api: Arc<Api>) -> Router {
    let router = router.method_not_allowed_fallback(no_such_method);
    let mut by_path: BTreeMap<_, Vec<Route>> = BTreeMap::new();
    for route in routes {
        by_path.entry(route.path).or_default().push(route);
    }
    router.layer(from_fn_with_state(Arc::new(Edge { api, routes: by_path }), pass))
}

/// What is said of every route: what is around it takes and answers this, whatever the route itself does.
pub(crate) fn say(route: &Route, operation: &mut Operation) {
    access::say(route.needs, operation);
    match route.query {
        Query::Refused => {
            let when = "There is a query string, and this takes none.";
            operation.refuses(StatusCode::BAD_REQUEST, "invalid_parameters", when);
        }
        Query::Read | Query::Ignored => {}
    }
    if route.method != "GET" && route.is_kept() {
        idempotency::say(operation);
    }
    let when = "The path with its query is longer than 8 KiB.";
    operation.refuses(StatusCode::URI_TOO_LONG, "uri_too_long", when);
    let when = "All headers together are larger than 10 KiB.";
    operation.refuses(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", when);
    if route.path.contains('{') {
        let when = "The path cannot be read: it is percent-encoded UTF-8.";
        operation.refuses(StatusCode::BAD_REQUEST, "unreadable_request", when);
    }
    if !health::PATHS.contains(&route.path) {
        let when =
            "You have sent more requests than you may; on one machine `RateLimit` says when there are more.";
        operation.refuses(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", when);
        operation.with_header(&[429], "Retry-After");
        operation.with_header(&[], "RateLimit").with_header(&[], "RateLimit-Policy");
    }
    let when = "Where nobody is asked for a key: it does not come from this machine.";
    operation.refuses(StatusCode::FORBIDDEN, "not_from_here", when);
    let when = "Something unexpected happened here; `instance` tells an operator where to look.";
    operation.refuses(StatusCode::INTERNAL_SERVER_ERROR, "internal", when);
    operation.with_header(&[503], "Retry-After").with_header(&[401], "WWW-Authenticate");
    operation.takes_header("X-Request-Id").takes_header("traceparent").with_header(&[], "X-Request-Id");
}

struct Edge {
    api: Arc<Api>,
    /// By their paths.
    routes: BTreeMap<&'static str, Vec<Route>>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

async fn no_such_route() -> Problem {
    Problem::not_found("route_not_found", "there is nothing under this path")
}

async fn no_such_method() -> Problem {
    let detail = "this path does not take this method; the Allow header names those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

async fn pass(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let asked = Asked { method: request.method().clone(), path };
    let span = asked.span();
    let mut caller = Caller::of(request.headers(), &span, &*edge.api.stamper);
    caller.origin = Origin::of(request.extensions()).into();
    span.record("trace_id", caller.trace_id());
    async {
        let response = edge.answer(&asked, caller, request, next).await;
        Span::current().record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            Span::current().record("otel.status_code", "ERROR");
        }
        response
    }
    .instrument(span)
    .await
}

/// What is asked, as it may be shown. Never a raw path or query: they may hold personal data.
struct Asked {
    method: Method,
    path: Option<MatchedPath>,
}

impl Asked {
    fn path(&self) -> &str {
        self.path.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    /// The span of its answer, named as OpenTelemetry's conventions for HTTP say.
    fn span(&self) -> Span {
        tracing::info_span!(
            "request",
            otel.name = format!("{} {}", self.method, self.path()),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.response.status_code = field::Empty,
            trace_id = field::Empty,
        )
    }
}

impl Edge {
    async fn answer(&self, asked: &Asked, mut caller: Caller, request: Request, next: Next) -> Response {
        let shared = is_compat(request.uri().path());
        let mut response = if shared && asked.method == Method::OPTIONS {
            preflight(request.headers())
        } else {
            // A handler that panics is wrong, and its client is told so like any other. What it panicked with may say what
            // was sent, so it is not looked at.
            let answer =
                AssertUnwindSafe(self.admitted(asked, &mut caller, request, next)).catch_unwind().await;
            let answer = answer.unwrap_or_else(|_| Err(Problem::internal("a handler panicked")));
            by_the_router(answer.unwrap_or_else(Problem::into_response))
        };

        let problem = response.extensions_mut().remove::<Problem>();
        if let Some(problem) = &problem {
            response = with_instance(problem, &caller, response);
            challenge(&mut response);
        }
        harden(response.headers_mut());
        let headers = response.headers_mut();
        if let Some(standing) = caller.standing {
            standing.tell(headers);
        }
        if shared {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            let exposed = HeaderValue::from_static("x-request-id, retry-after, ratelimit, ratelimit-policy");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        if let Ok(id) = HeaderValue::from_str(&caller.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        log(asked, &caller, &response, problem.as_ref());
        response
    }

    /// The answer to a request, if whoever sends it may.
    async fn admitted(
        &self,
        asked: &Asked,
        caller: &mut Caller,
        mut request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        check_size(&request)?;
        self.api.access.comes_from_here(&request)?;
        let route = self.route(asked);
        if route.is_none()
            && let Some(allow) = self.allowed(asked)
        {
            // Which methods a path takes is nobody's secret.
            let mut response = no_such_method().await.into_response();
            response.headers_mut().insert(ALLOW, allow);
            return Ok(response);
        }
        let needs = match (route, &asked.path) {
            (Some(route), _) => route.needs,
            // What is nowhere is nobody's secret; what is somewhere, and in no table, is nobody's to have.
            (None, None) => Needs::Nothing,
            (None, Some(_)) => Needs::ADMIN,
        };
        let who = self.api.access.who(needs, request.headers(), request.extensions()).await;
        if !health::PATHS.contains(&asked.path()) {
            caller.standing = self.taken(needs, &who, caller, request.headers(), request.extensions()).await;
            caller.standing.map_or(Ok(()), Standing::check)?;
        }
        caller.principal = who?;
        needs.check(&caller.principal)?;
        if let Some(route) = route {
            check_query(route, &request)?;
        }
        let known = Known::to(&request);
        let once = if route.is_some_and(Route::is_kept) { Once::of(&request, caller)? } else { None };
        let Some(once) = once else {
            request.extensions_mut().insert(caller.clone());
            return Ok(known.spare(next.run(request).await));
        };
        once.answer(&self.api, caller, request, next).await
    }

    /// The methods of a path that is in the table.
    fn allowed(&self, asked: &Asked) -> Option<HeaderValue> {
        let methods = self.routes.get(asked.path())?.iter().map(|route| match route.method {
            "GET" => "GET,HEAD",
            method => method,
        });
        HeaderValue::try_from(methods.collect::<Vec<_>>().join(",")).ok()
    }

    /// What is left to whoever sends a request, with this one taken from it.
    async fn taken(
        &self,
        needs: Needs,
        who: &Result<Principal, Problem>,
        caller: &Caller,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Option<Standing> {
        let access = &self.api.access;
        // Where nobody is asked who they are, it counts all the same.
        let asked = match needs {
            Needs::Nothing if access.limits.are_on() => access.who(Needs::Perhaps, headers, extensions).await,
            Needs::Nothing | Needs::Perhaps | Needs::Role(_) => who.clone(),
        };
        // Whoever shows what is not good is nobody.
        let counted = asked.unwrap_or_else(|_| Principal::nobody());
        access.limits.take(&counted, &caller.origin, self.api.stamper.now())
    }

    fn route(&self, asked: &Asked) -> Option<&Route> {
        let method = if asked.method == Method::HEAD { "GET" } else { asked.method.as_str() };
        self.routes.get(asked.path())?.iter().find(|route| route.method == method)
    }
}

/// Refuses a query string where the route takes none.
fn check_query(route: &Route, request: &Request) -> Result<(), Problem> {
    match (route.query, request.uri().query()) {
        (Query::Refused, Some(query)) if !query.is_empty() => Params::of(request.uri())?.finish(),
        (Query::Refused | Query::Read | Query::Ignored, _) => Ok(()),
    }
}

/// The most bytes of a path with its query.
const LONGEST_URI: usize = 8 * 1024;
/// The most bytes of all headers, as API Gateway has it: 10,240 bytes for them and the request's first line.
const LARGEST_HEADERS: usize = 10_240;

/// Refuses a path or headers that are longer than any of ours.
fn check_size(request: &Request) -> Result<(), Problem> {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri > LONGEST_URI {
        let detail = format!("a path with its query has at most {LONGEST_URI} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers > LARGEST_HEADERS {
        let detail = format!("all headers together have at most {LARGEST_HEADERS} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "headers_too_large", detail));
    }
    Ok(())
}

/// What the router refuses by itself, such as a path that is no UTF-8, it says in plain words: told as a problem.
fn by_the_router(response: Response) -> Response {
    let is_plain = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/plain");
    let status = response.status();
    if !status.is_client_error() || !response.headers().get(CONTENT_TYPE).is_some_and(is_plain) {
        return response;
    }
    let detail = "this request cannot be read; a path is percent-encoded UTF-8";
    Problem::new(status, "unreadable_request", detail).into_response()
}

/// Says to browsers and to whatever lies between that an answer is data, for whoever asked alone. Source: OWASP's REST
/// Security Cheat Sheet, "Security Headers". What has a version may be kept, and is asked for again before it is used.
fn harden(headers: &mut HeaderMap) {
    let kept = if headers.contains_key(ETAG) { "private, no-cache" } else { "no-store" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A page that has to look like something says itself what it needs for that.
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
}

pub(crate) fn is_compat(path: &str) -> bool {
    path.starts_with("/api/v1/")
}

/// The answer to a browser that asks whether a page of any origin may send a request.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let usual = HeaderValue::from_static("content-type, authorization, x-api-key, x-request-id, traceparent");
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, OPTIONS"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(usual),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// The problem's answer again, now with the request's id in it. What was put beside it stays.
fn with_instance(problem: &Problem, caller: &Caller, before: Response) -> Response {
    let mut response = problem.response(Some(&caller.request_id));
    let (before, _) = before.into_parts();
    *response.extensions_mut() = before.extensions;
    if let Some(allow) = before.headers.get(ALLOW) {
        response.headers_mut().insert(ALLOW, allow.clone());
    }
    response
}

/// One line per decision. Never a body.
fn log(asked: &Asked, caller: &Caller, response: &Response, problem: Option<&Problem>) {
    let status = response.status();
    let (method, path) = (&asked.method, asked.path());
    // What names no order may be anything.
    let about = response.extensions().get::<AboutOrder>().filter(|_| status != StatusCode::NOT_FOUND);
    let order_id = about.map(|AboutOrder(id)| id.as_str());
    let cause = response.extensions().get::<Cause>().map(|Cause(cause)| cause.as_str());
    let code = problem.map(Problem::code);
    let (request_id, status) = (&*caller.request_id, status.as_u16());
    if status >= 500 {
        tracing::warn!(%method, path, status, request_id, order_id, code, cause, "answered");
    } else if *method == Method::GET || *method == Method::HEAD || *method == Method::OPTIONS {
        tracing::debug!(%method, path, status, request_id, order_id, code, "answered");
    } else {
        tracing::info!(%method, path, status, request_id, order_id, code, "answered");
    }
}
