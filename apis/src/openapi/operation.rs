//! What is said of one route: what it takes, and everything that it may answer.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::shape::{Schemas, Shape};
use crate::problem::title;

/// What is said of one route.
///
/// Most of it nobody has to say: what the extractors of its handler take from a request they say themselves, and what
/// happens to every request is said where it happens. Left for the handler's own description are what it does, what its
/// answers look like, and why it refuses what it could read.
#[derive(Debug)]
pub struct Operation {
    path: &'static str,
    summary: &'static str,
    detail: String,
    parameters: Vec<Value>,
    body: Option<Body>,
    answers: BTreeMap<u16, Answered>,
    /// Headers of all answers with one of these statuses, whoever says that there are such answers.
    headers: Vec<(&'static [u16], &'static str)>,
    security: Value,
    /// Schemas that it refers to.
    pub(super) schemas: Schemas,
    /// What is said of nothing, or not said of something.
    mistakes: Vec<String>,
}

#[derive(Debug)]
struct Body {
    schema: Value,
    is_required: bool,
    examples: Map<String, Value>,
}

/// What a status means.
#[derive(Debug, Default)]
struct Answered {
    what: Vec<String>,
    content: BTreeMap<&'static str, (Value, Value)>,
    /// The codes of its problems, and when each is answered.
    codes: BTreeMap<&'static str, String>,
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

impl Operation {
    /// Nothing is said yet.
    pub(crate) fn on(path: &'static str) -> Operation {
        Operation {
            path,
            summary: "",
            detail: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            headers: Vec::new(),
            security: json!([]),
            schemas: Schemas::new(),
            mistakes: Vec::new(),
        }
    }

    /// What it does, in a few words.
    pub fn summary(&mut self, summary: &'static str) -> &mut Self {
        self.summary = summary;
        self
    }

    /// What else whoever uses it has to know.
    pub fn detail(&mut self, detail: &str) -> &mut Self {
        if !self.detail.is_empty() {
            self.detail.push_str("\n\n");
        }
        self.detail.push_str(detail);
        self
    }

    /// The names in braces of its path.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('{').skip(1).filter_map(|part| part.split('}').next())
    }

    /// A parameter in its path.
    pub fn in_path(&mut self, name: &str, what: &str, example: &str) -> &mut Self {
        self.parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": what,
            "schema": { "type": "string", "minLength": 1 }, "example": example,
        }));
        self
    }

    /// A parameter of its query string, which may be missing.
    pub fn in_query(&mut self, name: &str, what: &str, schema: Value) -> &mut Self {
        self.parameters.push(json!({ "name": name, "in": "query", "description": what, "schema": schema }));
        self
    }

    /// Whether it says anything of a query string.
    pub(crate) fn reads_query(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter["in"] == "query")
    }

    /// A header that it looks at, by its name among those that [`super::components`] describes.
    pub(crate) fn takes_header(&mut self, name: &str) -> &mut Self {
        self.parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
        self
    }

    /// A body of this schema.
    pub fn takes(&mut self, schema: Value) -> &mut Self {
        self.body = Some(Body { schema, is_required: true, examples: Map::new() });
        self
    }

    /// The body may be missing.
    pub fn perhaps_without_a_body(&mut self) -> &mut Self {
        if let Some(body) = &mut self.body {
            body.is_required = false;
        }
        self
    }

    /// What a field of the body is, or a parameter of the query string. A field of the objects in a list is named behind
    /// it: `items/sku`.
    pub fn field(&mut self, path: &str, what: &str) -> &mut Self {
        let mut found = self.body.as_mut().map(|body| &mut body.schema);
        for name in path.split('/') {
            found = found.and_then(|schema| match schema.get_mut("items") {
                Some(_) => schema["items"]["properties"].get_mut(name),
                None => schema["properties"].get_mut(name),
            });
        }
        let is_it = |parameter: &&mut Value| parameter["in"] == "query" && parameter["name"] == path;
        match found.or_else(|| self.parameters.iter_mut().find(is_it)) {
            Some(told) => told["description"] = what.into(),
            None => self.mistakes.push(format!("{path} is described, and is not taken")),
        }
        self
    }

    /// A body that is accepted, in a world that has what it names.
    pub fn example(&mut self, name: &str, value: Value) -> &mut Self {
        match &mut self.body {
            Some(body) => {
                body.examples.insert(name.to_owned(), json!({ "value": value }));
            }
            None => self.mistakes.push(format!("{name} is an example of a body, and none is taken")),
        }
        self
    }

    /// An answer with this in it.
    pub fn answers<T: Shape>(&mut self, status: u16, what: &str) -> &mut Self {
        let (schema, example) = (T::schema(&mut self.schemas), T::example());
        self.answers_with(status, what, schema, example)
    }

    /// An answer with JSON of this schema in it.
    pub fn answers_with(&mut self, status: u16, what: &str, schema: Value, example: Value) -> &mut Self {
        self.answers_in(JSON, status, what, (schema, example))
    }

    /// An answer in another format.
    pub fn answers_in(
        &mut self,
        media: &'static str,
        status: u16,
        what: &str,
        shown: (Value, Value),
    ) -> &mut Self {
        let answered = self.answers.entry(status).or_default();
        answered.what.push(what.to_owned());
        answered.content.insert(media, shown);
        self
    }

    /// A page of a list.
    pub fn lists<T: Shape>(&mut self, name: &'static str, what: &str) -> &mut Self {
        let token = json!({
            "type": "string", "description": "Asks for the next page, as next_token. Missing on the last one.",
        });
        let rows = Vec::<T>::schema(&mut self.schemas);
        let schema = json!({
            "type": "object", "required": [name], "properties": { name: rows, "next_token": token },
        });
        self.answers_with(200, what, schema, json!({ name: Vec::<T>::example() }))
    }

    /// Its answers of these statuses, whoever says that there are any, have a header, by its name among those that
    /// [`super::components`] describes. Of no statuses: all of its answers.
    pub fn with_header(&mut self, statuses: &'static [u16], name: &'static str) -> &mut Self {
        self.headers.push((statuses, name));
        self
    }

    /// What it answers has a version.
    pub(crate) fn versioned(&mut self) -> &mut Self {
        self.with_header(&[200, 201, 202], "ETag")
    }

    /// What it shows has a version, and whoever has it need not be sent it again.
    pub(crate) fn spares(&mut self) -> &mut Self {
        self.versioned().takes_header("If-None-Match").with_header(&[304], "ETag");
        self.answers.entry(304).or_default().what.push("It is what If-None-Match says you have.".to_owned());
        self
    }

    /// A refusal: its status, its code, and when.
    pub fn refuses(&mut self, status: StatusCode, code: &'static str, when: &str) -> &mut Self {
        let answered = self.answers.entry(status.as_u16()).or_default();
        let other = answered.codes.insert(code, when.to_owned()).filter(|other| other != when);
        if let Some(other) = other {
            self.mistakes.push(format!("{status} {code} is said twice: {other} {when}"));
        }
        self
    }

    /// Some store may not answer.
    pub(crate) fn may_be_unavailable(&mut self) -> &mut Self {
        let when = "The store does not answer; repeat the same request, which is safe.";
        self.refuses(StatusCode::SERVICE_UNAVAILABLE, "unavailable", when)
    }

    /// How whoever asks proves who they are.
    pub(crate) fn secured(&mut self, security: Value) -> &mut Self {
        self.security = security;
        self
    }

    /// What is said of nothing, or not said of something: nothing, where nobody made a mistake.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = self.mistakes.clone();
        if self.summary.is_empty() {
            mistakes.push("it has no summary".to_owned());
        }
        if let Some(body) = &self.body {
            undescribed(&body.schema, "", &mut mistakes);
            if body.examples.is_empty() {
                mistakes.push("its body has no example".to_owned());
            }
        }
        for parameter in &self.parameters {
            if parameter.get("$ref").is_none() && parameter.get("description").is_none() {
                mistakes.push(format!("the parameter {} is not described", parameter["name"]));
            }
        }
        if !self.answers.keys().any(|status| *status < 300) {
            mistakes.push("it never says yes".to_owned());
        }
        mistakes
    }

    /// As OpenAPI writes it.
    pub(crate) fn written(&self, id: &str, tag: &str) -> Value {
        let mut written = json!({
            "operationId": id,
            "tags": [tag],
            "summary": self.summary,
            "security": self.security,
            "responses": self.answers.iter().map(|(status, answered)| {
                let has = |(statuses, _): &&(&[u16], _)| statuses.is_empty() || statuses.contains(status);
                let headers = self.headers.iter().filter(has).map(|(_, name)| *name);
                (status.to_string(), answered.written(*status, headers.collect()))
            }).collect::<Map<_, _>>(),
        });
        if !self.detail.is_empty() {
            written["description"] = self.detail.clone().into();
        }
        if !self.parameters.is_empty() {
            written["parameters"] = self.parameters.clone().into();
        }
        if let Some(body) = &self.body {
            let content = json!({ "schema": body.schema, "examples": body.examples });
            written["requestBody"] = json!({ "required": body.is_required, "content": { JSON: content } });
        }
        written
    }
}

impl Answered {
    fn written(&self, status: u16, headers: BTreeSet<&str>) -> Value {
        let mut what = self.what.clone();
        what.extend(self.codes.iter().map(|(code, when)| format!("`{code}`: {when}")));
        let mut content: Map<String, Value> = self
            .content
            .iter()
            .map(|(media, (schema, example))| {
                ((*media).to_owned(), json!({ "schema": schema, "example": example }))
            })
            .collect();
        if !self.codes.is_empty() {
            content.insert(PROBLEM.to_owned(), self.problem(status));
        }
        let headers = headers
            .into_iter()
            .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })));
        let mut written =
            json!({ "description": what.join("\n\n"), "headers": headers.collect::<Map<_, _>>() });
        if !content.is_empty() {
            written["content"] = content.into();
        }
        written
    }

    /// The problems that this status comes with, each with an example.
    fn problem(&self, status: u16) -> Value {
        let example = |code: &str, when: &str| {
            json!({ "value": {
                "type": format!("urn:sagaline:problem:{code}"), "title": title(code), "status": status,
                "detail": when, "code": code, "instance": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            }})
        };
        let codes: Vec<&str> = self.codes.keys().copied().collect();
        json!({
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Problem" }],
                "properties": { "status": { "const": status }, "code": { "enum": codes } },
            },
            "examples": self.codes.iter().map(|(code, when)| {
                ((*code).to_owned(), example(code, when))
            }).collect::<Map<_, _>>(),
        })
    }
}

/// Names the fields that nobody described.
fn undescribed(schema: &Value, at: &str, mistakes: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if field.get("description").is_none() {
            mistakes.push(format!("the field {at}{name} is not described"));
        }
        undescribed(field, &format!("{at}{name}/"), mistakes);
    }
}
