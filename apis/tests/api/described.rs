//! Holds every answer of every test to what the description of the API says of it.

use std::sync::LazyLock;

use serde_json::Value;

use crate::world::Reply;

/// The description, as it is served.
pub static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| apis::description(&[]));

/// Headers that are described where they are sent.
const HEADERS: [&str; 9] = [
    "ETag",
    "Location",
    "Retry-After",
    "Preference-Applied",
    "Idempotent-Replayed",
    "WWW-Authenticate",
    "X-Request-Id",
    "RateLimit",
    "RateLimit-Policy",
];

/// Where the routes are that tests bring along.
const OF_TESTS: [&str; 2] = ["/numbers/", "/panics"];

/// Fails where an answer is not one that the description knows.
pub fn check(method: &str, path: &str, reply: &Reply) {
    let method = if method == "HEAD" { "GET" } else { method };
    let Some(operation) = operation(method, path) else {
        let is_of_a_test = OF_TESTS.iter().any(|of_a_test| path.starts_with(of_a_test));
        assert!(
            is_of_a_test || [204, 404, 405, 429].contains(&reply.status),
            "{method} {path} is not described: {reply:?}"
        );
        return;
    };
    let about = format!("{method} {path} answered {} {}", reply.status, reply.body);
    let answer = meant(&operation["responses"][reply.status.to_string()]);
    assert!(answer.is_object(), "this status is not described: {about}");
    for name in HEADERS.iter().filter(|name| reply.headers.contains_key(**name)) {
        assert!(answer["headers"][name].is_object(), "{name} is not described: {about}");
    }
    if reply.body.is_null() {
        return;
    }
    let kind = reply.header("content-type");
    let content = &answer["content"][kind];
    assert!(content.is_object(), "{kind} is not described: {about}");
    if let Err(wrong) = fits(&content["schema"], &reply.body) {
        panic!("{wrong}: {about}");
    }
}

/// What a reference refers to; what is none means itself.
pub fn meant(said: &'static Value) -> &'static Value {
    let pointer = said["$ref"].as_str().map(|path| path.trim_start_matches('#'));
    pointer.map_or(said, |pointer| DESCRIPTION.pointer(pointer).expect("it refers to something"))
}

/// What is said of the route that a path leads to.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let steps: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let theirs: Vec<&str> = template.split('/').collect();
        let fits =
            |(their, step): (&&str, &&str)| their == step || (their.starts_with('{') && !step.is_empty());
        theirs.len() == steps.len() && theirs.iter().zip(&steps).all(fits)
    };
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    // A step that is said literally is meant before one that may be anything.
    let template = paths.keys().filter(fits).min_by_key(|template| template.matches('{').count())?;
    paths[template].get(method.to_ascii_lowercase())
}

/// Whether a value is what a schema says. Fields that no schema names are wrong; a keyword that is not known here is a
/// mistake in the test.
pub fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, said) in schema.as_object().unwrap() {
        let is_so = match keyword.as_str() {
            "$ref" => {
                let pointer = said.as_str().unwrap().trim_start_matches('#');
                fits(DESCRIPTION.pointer(pointer).unwrap(), value)?;
                true
            }
            "type" => match said {
                Value::String(kind) => is_of(kind, value),
                kinds => kinds.as_array().unwrap().iter().any(|kind| is_of(kind.as_str().unwrap(), value)),
            },
            "enum" => said.as_array().unwrap().contains(value),
            "const" => said == value,
            "anyOf" => said.as_array().unwrap().iter().any(|one| fits(one, value).is_ok()),
            "allOf" => {
                said.as_array().unwrap().iter().try_for_each(|one| fits(one, value))?;
                true
            }
            "required" => {
                said.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                // Of a part of a whole, the whole is what is told.
                let is_whole = schema.get("allOf").is_none();
                for (name, field) in value.as_object().ok_or("an object is expected")? {
                    match said.get(name) {
                        Some(schema) => fits(schema, field).map_err(|wrong| format!("{name}: {wrong}"))?,
                        None if is_whole => return Err(format!("{name} is not described")),
                        None => (),
                    }
                }
                true
            }
            "items" => {
                value.as_array().ok_or("a list is expected")?.iter().all(|one| fits(said, one).is_ok())
            }
            "minimum" => value.as_f64() >= said.as_f64(),
            "maximum" => value.as_f64() <= said.as_f64(),
            "minItems" => value.as_array().map(Vec::len) >= said.as_u64().map(|least| least as usize),
            "minLength" => value.as_str().map(str::len) >= said.as_u64().map(|least| least as usize),
            "maxLength" => value.as_str().map(str::len) <= said.as_u64().map(|most| most as usize),
            "additionalProperties" | "description" | "default" | "pattern" | "format" | "multipleOf" => true,
            other => panic!("the keyword {other} is not known"),
        };
        if !is_so {
            return Err(format!("{keyword} is to be {said}, and {value} is not"));
        }
    }
    Ok(())
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known"),
    }
}
