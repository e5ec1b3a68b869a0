//! The description of the HTTP API, OpenAPI 3.1, made from the routes that are served when somebody asks for it.
//!
//! A route cannot be in the table without its description, and most of a description is not written: paths, methods and
//! who may ask are the table's, bodies and parameters are what the parsers ask for when nothing is there to be parsed,
//! headers and refusals are said by whoever takes the one and answers the other.

mod asks;
mod operation;
mod rows;
mod shape;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde_json::{Map, Value, json};

pub(crate) use asks::{Arguments, Asks};
pub use operation::Operation;
pub use shape::{Object, Schemas, Shape};

use crate::access::Needs;
use crate::edge;
use crate::table::{Route, Table};

/// Adds the route that describes all routes of the table, itself too, and those that are served beside them.
pub(crate) fn routes(table: Table, beside: Vec<Route>) -> Table {
    let described: Arc<OnceLock<Vec<Route>>> = Arc::default();
    let (mine, text) = (described.clone(), Arc::new(OnceLock::<String>::new()));
    // Nothing is written before somebody asks: a function should start as if this were not here.
    let answer = move || {
        let text = text.get_or_init(|| document(mine.get().map_or(&[], Vec::as_slice)).to_string()).clone();
        async move { of_json(text) }
    };
    let table = table.get(Needs::Nothing, "/openapi.json", answer, says);
    described.get_or_init(|| [table.routes.clone(), beside].concat());
    table
}

fn of_json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn says(says: &mut Operation) {
    says.summary("This document").answers_with(
        200,
        "OpenAPI 3.1, of the routes that are served here.",
        json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
        json!({ "openapi": "3.1.0", "info": { "title": "Sagaline", "version": "1.0.0" }, "paths": {} }),
    );
}

/// What is said of a route: by its handler's arguments, by its handler, and by what is around all of them.
fn said(route: &Route) -> Operation {
    let mut operation = Operation::on(route.path);
    (route.asks)(&mut operation);
    (route.says)(&mut operation);
    edge::say(route, &mut operation);
    operation
}

/// The description of some routes.
pub(crate) fn document(routes: &[Route]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for route in routes {
        let operation = said(route);
        let written = operation.written(&id(route), tag(route.path));
        paths.entry(route.path).or_insert_with(|| json!({}))[route.method.to_ascii_lowercase()] = written;
        schemas.extend(operation.schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    }
    let responses = share(&mut paths);
    let mut components = components(schemas);
    components["responses"] = responses.into();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sagaline",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Orders and stock, whose only truth is an event log",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": ".", "description": "Where this document comes from" }],
        "tags": TAGS.iter().map(|(_, name, what)| json!({ "name": name, "description": what })).collect::<Value>(),
        "paths": paths,
        "components": components,
    })
}

/// Says once what several routes refuse in the same words, and has each refer to it. Gives what has a name now.
fn share(paths: &mut Map<String, Value>) -> Map<String, Value> {
    let mut said: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    each_refusal(paths, |name, answer| {
        *said.entry(name).or_default().entry(answer.to_string()).or_default() += 1;
    });
    let mut named: BTreeMap<(String, String), String> = BTreeMap::new();
    for (name, times) in said {
        let mut repeated: Vec<(String, usize)> = times.into_iter().filter(|(_, times)| *times > 1).collect();
        repeated.sort_by_key(|(_, times)| Reverse(*times));
        // Of several that have the same codes, the one that is said most often has the plain name.
        for (at, (text, _)) in repeated.into_iter().enumerate() {
            let shared = if at == 0 { name.clone() } else { format!("{name}-{}", at + 1) };
            named.insert((name.clone(), text), shared);
        }
    }
    let mut shared = Map::new();
    each_refusal(paths, |name, answer| {
        if let Some(name) = named.get(&(name, answer.to_string())) {
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            shared.insert(name.clone(), std::mem::replace(answer, reference));
        }
    });
    shared
}

/// Looks at every answer with problems in it, by a name that says which: `401-invalid_credentials-unauthenticated`.
fn each_refusal(paths: &mut Map<String, Value>, mut look: impl FnMut(String, &mut Value)) {
    let methods = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for answers in methods.filter_map(|said| said["responses"].as_object_mut()) {
        for (status, answer) in answers {
            let codes =
                answer.pointer("/content/application~1problem+json/examples").and_then(Value::as_object);
            let Some(codes) = codes else { continue };
            let words = std::iter::once(status.as_str()).chain(codes.keys().map(String::as_str));
            let name = words.collect::<Vec<_>>().join("-");
            look(name, answer);
        }
    }
}

/// What is said of nothing, or not said of something, by route. Empty where the description is whole.
pub(crate) fn mistakes(routes: &[Route]) -> Vec<String> {
    let of = |route: &Route| {
        let mut mistakes = said(route).mistakes();
        if tag(route.path) == OTHER {
            mistakes.push("its path is under no tag".to_owned());
        }
        let name = format!("{} {}", route.method, route.path);
        mistakes.into_iter().map(move |mistake| format!("{name}: {mistake}"))
    };
    routes.iter().flat_map(of).collect()
}

/// `get_orders_by_id_events`.
fn id(route: &Route) -> String {
    let steps = route.path.split('/').filter(|step| !step.is_empty());
    let steps = steps.map(|step| step.replace('{', "by_").replace(['}', '.'], "").replace('-', "_"));
    [route.method.to_ascii_lowercase()].into_iter().chain(steps).collect::<Vec<_>>().join("_")
}

const OTHER: &str = "Other";

/// How paths begin, what is under them, and what that is.
const TAGS: [(&[&str], &str, &str); 9] = [
    (
        &["/orders"],
        "Orders",
        "From a wish to a parcel. Each step is an event, and no two settle one decision.",
    ),
    (
        &["/customers"],
        "Customers",
        "Who orders. What is known of a person is in one table, and can be erased.",
    ),
    (&["/products"], "Catalogue", "What can be ordered, and at which price."),
    (&["/inventory"], "Stock", "What is on the shelf, and the event that explains each movement."),
    (&["/users", "/login", "/keys"], "Access", "Who may ask: people who log in, and keys of programs."),
    (&["/chaos"], "Chaos", "Events that are written by hand, to see what readers make of them. Not in prod."),
    (
        &["/ops", "/events"],
        "Operations",
        "What an operator of one machine sees and does. In an account, `sagaline` asks AWS itself.",
    ),
    (&["/livez", "/readyz", "/openapi.json", "/docs"], "Service", "The service itself."),
    (
        &["/api/v1"],
        "Compatibility",
        "Six routes in camelCase for clients of an older system. What is wrong they do not explain.",
    ),
];

fn tag(path: &str) -> &'static str {
    let is_under =
        |begin: &&str| path.strip_prefix(*begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    TAGS.iter().find(|(begins, ..)| begins.iter().any(is_under)).map_or(OTHER, |(_, name, _)| name)
}

const ABOUT: &str = "\
Requests become events; the log of events and what is folded from it become answers.

**Who asks** shows an API key as `x-api-key`, or as `Authorization: Bearer` the token that `POST /login` gives, never both. \
A role may what those before it may: customer, operator, admin. What is not a customer's business is as if it were not there: 404.

**Errors** are RFC 9457 problem documents. Rely on `status` and `code`; the words may change. `errors` names every bad field by \
its JSON pointer; an operator's route says it in `detail`. A 503 says that the same request may be repeated, and when. A path that is nowhere is 404 `route_not_found`, \
a method that a path does not take 405 `method_not_allowed`. Unknown fields and parameters are refused. A body has at most 64 KiB.

**Asking twice** is safe: what has an id of its own is done once, and everything else is done once under its `Idempotency-Key`. \
`POST /users`, `POST /login` and the routes under `/api/v1` take none: a name, a password or an id of theirs says what is meant.

**Lists** are newest first and stable while others write. `next_token` asks for the next page of the same query.

**Versions**: the `ETag` of an order or a product is from how many events it was folded; elsewhere it is a digest of what is shown. \
`If-Match` refuses a change of an order or a product that is not any more what was read: its version is compared just before the \
change is stored. Of two changes in that very moment that settle one decision (shipping and cancelling) one is refused; two of \
different decisions (a price and a withdrawal) both happen, one after the other.";

/// What many routes refer to by name.
fn components(mut schemas: Map<String, Value>) -> Value {
    schemas.insert("Problem".to_owned(), problem());
    let header = |what: &str, schema: Value| json!({ "description": what, "schema": schema });
    let parameter = |name: &str, what: &str, schema: Value, example: &str| json!({ "name": name, "in": "header", "description": what, "schema": schema, "example": example });
    let text = || json!({ "type": "string" });
    json!({
        "schemas": schemas,
        "securitySchemes": {
            "ApiKey": {
                "type": "apiKey", "in": "header", "name": "x-api-key",
                "description": "A program's key. `sagaline key create` makes one; it is shown once.",
            },
            "Bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "A person's token, as `POST /login` gives it.",
            },
        },
        "parameters": {
            "Idempotency-Key": parameter(
                "Idempotency-Key",
                "Names this request among the caller's to this method and path: sent again under the same key within a day, \
                 byte for byte, it is carried out once and gets the same answer. 1 to 255 visible ASCII characters, such \
                 as a UUID.",
                json!({ "type": "string", "maxLength": 255, "pattern": "^[!-~]{1,255}$" }),
                "8e03978e-40d5-43e8-bc93-6894a57f9324",
            ),
            "If-Match": parameter(
                "If-Match",
                "The ETag of the version from which the change was decided: it is refused if there is another one now. \
                 What is stored in that very moment, about another decision, does not stop it.",
                text(),
                "\"6\"",
            ),
            "If-None-Match": parameter(
                "If-None-Match", "The ETag of the version you have: it is not sent again.", text(), "\"6\"",
            ),
            "Prefer": parameter(
                "Prefer",
                "`wait=5`: answer as soon as the order has settled, or after so many seconds; 5 at most. Other preferences \
                 are passed over.",
                text(),
                "wait=5",
            ),
            "X-Request-Id": parameter(
                "X-Request-Id",
                "Your name for this request, 1 to 128 visible ASCII characters without quotation marks and backslashes; what \
                 is none is replaced. Logs, events and problems carry it.",
                text(),
                "checkout-4711",
            ),
            "traceparent": parameter(
                "traceparent",
                "The W3C trace that the request belongs to; what is none is replaced. The order's events carry it.",
                text(),
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
        },
        "headers": {
            "ETag": header(
                "The version: of an order or a product from how many events it was folded, elsewhere a digest.",
                json!({ "type": "string", "pattern": "^\"[0-9a-f]+\"$" }),
            ),
            "Location": header("Where to find it.", json!({ "type": "string", "format": "uri-reference" })),
            "Retry-After": header(
                "After how many seconds it may be worth asking again.",
                json!({ "type": "integer", "minimum": 1 }),
            ),
            "Idempotent-Replayed": header(
                "Says that the request was carried out before, and that this is the answer it got; who people are and what \
                 secrets are is not kept, and left out or empty.",
                json!({ "const": "true" }),
            ),
            "Preference-Applied": header(
                "Says that it was waited for, and up to how many seconds.",
                json!({ "type": "string", "pattern": "^wait=[1-5]$" }),
            ),
            "RateLimit": header(
                "How many requests you have left, and in how many seconds all of them. Not for admins; and not in an account, \
                 where API Gateway counts, and does not say.",
                text(),
            ),
            "RateLimit-Policy": header(
                "How many requests you may send in how many seconds. Where `RateLimit` is.", text(),
            ),
            "X-Request-Id": header("The request's name: yours, or the one it was given.", text()),
            "WWW-Authenticate": header("How to prove who you are.", text()),
        },
    })
}

fn problem() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    json!({
        "type": "object",
        "description": "Why a request was refused: RFC 9457. Rely on `status` and `code`; the words may change.",
        "required": ["type", "title", "status", "detail", "code", "instance"],
        "properties": {
            "type": text("`urn:sagaline:problem:` and the code."),
            "title": text("The code as people write it."),
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": text("What you can do about it."),
            "code": text("What it is, for programs. Stable."),
            "instance": text("The request's id, under which logs know it."),
            "errors": {
                "type": "array",
                "description": "Each bad field or parameter; 256 at most.",
                "items": {
                    "type": "object",
                    "required": ["code", "detail"],
                    "properties": {
                        "pointer": text("Where in the body: a JSON pointer."),
                        "parameter": text("Which parameter of the query string."),
                        "detail": text("What it must be."),
                        "code": text("What is wrong with it, for programs."),
                    },
                },
            },
            "current_status": text("What the order is now."),
            "allowed": {
                "type": "array", "items": { "type": "string" }, "description": "What the order can become now.",
            },
            "current_etag": text("The version that there is."),
            "violated-policies": {
                "type": "array", "items": { "type": "string" }, "description": "Which of the policies in `RateLimit-Policy`.",
            },
        },
    })
}
