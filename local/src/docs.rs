//! `/docs`: the description of the API as one page that needs nothing else, not even a script.
//!
//! A page of our own rather than one of the well-known renderers: those are a megabyte or more of somebody's script, want a
//! policy that lets it run, and have to be brought up to date for as long as this lives. What we describe is few kinds of
//! things, which HTML folds by itself.

use std::fmt::Write;
use std::sync::OnceLock;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ops::beside;

const STYLE: &str = include_str!("docs/style.css");

/// The page. It may have its own style, and nothing else.
pub(crate) async fn page() -> Response {
    static PAGE: OnceLock<String> = OnceLock::new();
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response =
        Html(PAGE.get_or_init(|| rendered(&apis::description(&beside()))).clone()).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A description as a page.
fn rendered(description: &Value) -> String {
    let page = Page { description };
    let title = text(&description["info"]["title"]);
    let tags: String = page.tags().map(|tag| page.tag(tag)).collect();
    let schemas = description["components"]["schemas"].as_object().into_iter().flatten();
    let schemas: String = schemas.map(|(name, schema)| page.named(name, schema)).collect();
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title}: the HTTP API</title><style>{STYLE}</style></head><body>\
         <nav><h1><a href=\"#top\">{title}</a></h1>{}</nav>\
         <main id=top><header><h1>{title} <small>{}</small></h1>{}\
         <p>As <a href=\"openapi.json\">OpenAPI 3.1</a>, for programs.</p></header>\
         {tags}<section id=schemas><h2>Schemas</h2>{schemas}</section></main></body></html>\n",
        page.contents(),
        text(&description["info"]["version"]),
        prose(&description["info"]["description"]),
    )
}

struct Page<'a> {
    description: &'a Value,
}

type Operation<'a> = (&'a str, &'a str, &'a Value);

impl<'a> Page<'a> {
    fn tags(&self) -> impl Iterator<Item = &'a Value> {
        let tags = self.description["tags"].as_array().into_iter().flatten();
        tags.filter(|tag| self.operations(tag).next().is_some())
    }

    /// The operations under a tag, path by path.
    fn operations(&self, tag: &'a Value) -> impl Iterator<Item = Operation<'a>> {
        let paths = self.description["paths"].as_object().into_iter().flatten();
        let each = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, said)| (method.as_str(), path.as_str(), said))
        });
        each.filter(move |(_, _, said)| said["tags"][0] == tag["name"])
    }

    fn contents(&self) -> String {
        let mut list = String::new();
        for tag in self.tags() {
            let name = text(&tag["name"]);
            let _ = write!(list, "<details><summary>{name}</summary><ul>");
            for (method, path, said) in self.operations(tag) {
                let (id, summary) = (text(&said["operationId"]), text(&said["summary"]));
                let _ = write!(
                    list,
                    "<li><a href=\"#{id}\" title=\"{}\"><b class={method}>{method}</b> {summary}</a>",
                    escaped(path)
                );
            }
            list.push_str("</ul></details>");
        }
        list.push_str("<p><a href=\"#schemas\">Schemas</a></p>");
        list
    }

    fn tag(&self, tag: &'a Value) -> String {
        let operations: String = self.operations(tag).map(|operation| self.operation(operation)).collect();
        let (name, what) = (text(&tag["name"]), prose(&tag["description"]));
        format!("<section><h2>{name}</h2>{what}{operations}</section>")
    }

    fn operation(&self, (method, path, said): Operation<'a>) -> String {
        let answers = said["responses"].as_object().into_iter().flatten();
        let answers: String =
            answers.map(|(status, answer)| self.answer(status, self.meant(answer))).collect();
        format!(
            "<details class=operation><summary><b class={method}>{method}</b> <code>{}</code> <span>{}</span></summary>\
             <div id={}>{}{}{}{}<h4>Answers</h4>{answers}</div></details>",
            breakable(path),
            text(&said["summary"]),
            text(&said["operationId"]),
            prose(&said["description"]),
            curl(method, path, said),
            self.parameters(said),
            self.body(&said["requestBody"]),
        )
    }

    fn parameters(&self, said: &Value) -> String {
        let parameters = said["parameters"].as_array().into_iter().flatten();
        let rows: String = parameters
            .map(|parameter| {
                let parameter = self.meant(parameter);
                let is_required = parameter["required"] == true;
                let kind = format!("{}, {}", text(&parameter["in"]), self.kind(&parameter["schema"]));
                row(&text(&parameter["name"]), &kind, is_required, &parameter["description"])
            })
            .collect();
        titled("Parameters", &rows)
    }

    fn body(&self, body: &Value) -> String {
        let Some(content) = body["content"].as_object().and_then(|content| content.values().next()) else {
            return String::new();
        };
        let examples = content["examples"].as_object().into_iter().flatten();
        let examples: String =
            examples.map(|(name, example)| shown(&escaped(name), &example["value"])).collect();
        let optional = if body["required"] == true { "" } else { " <small>may be missing</small>" };
        format!("<h4>Body{optional}</h4>{}{examples}", table(&self.rows(&content["schema"], "")))
    }

    fn answer(&self, status: &str, answer: &Value) -> String {
        let headers = answer["headers"].as_object().into_iter().flatten();
        let headers: Vec<String> =
            headers.map(|(name, _)| format!("<code>{}</code>", escaped(name))).collect();
        let mut inside = format!("<p class=headers>Headers: {}</p>", headers.join(", "));
        for (kind, content) in answer["content"].as_object().into_iter().flatten() {
            let is_problem = kind == "application/problem+json";
            let what =
                if is_problem { String::new() } else { format!(": {}", self.kind(&content["schema"])) };
            let _ = write!(inside, "<p><code>{}</code>{what}</p>", escaped(kind));
            if !is_problem && content["schema"].get("$ref").is_none() {
                inside.push_str(&table(&self.rows(&content["schema"], "")));
            }
            let several = content["examples"].as_object().into_iter().flatten();
            let several = several.map(|(name, example)| (escaped(name), &example["value"]));
            let one = content.get("example").map(|example| ("Example".to_owned(), example));
            one.into_iter()
                .chain(several)
                .for_each(|(name, example)| inside.push_str(&shown(&name, example)));
        }
        let class = status.chars().next().unwrap_or('0');
        let what = prose(&answer["description"]);
        format!(
            "<details class=answer><summary><b class=s{class}>{}</b><div>{what}</div></summary>{inside}</details>",
            escaped(status)
        )
    }

    fn named(&self, name: &str, schema: &Value) -> String {
        let (name, rows) = (escaped(name), self.rows(schema, ""));
        let what = prose(&schema["description"]);
        format!(
            "<details class=schema><summary>{name}</summary><div id=\"schema-{name}\">{what}{}</div></details>",
            table(&rows)
        )
    }

    /// The fields of an object, and of the objects in its lists.
    fn rows(&self, schema: &Value, at: &str) -> String {
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fields = schema["properties"].as_object().into_iter().flatten();
        let mut rows = String::new();
        for (name, field) in fields {
            let is_required = required.iter().any(|required| required == name.as_str());
            let path = format!("{at}{name}");
            rows.push_str(&row(&escaped(&path), &self.kind(field), is_required, &field["description"]));
            rows.push_str(&self.rows(field.get("items").unwrap_or(field), &format!("{path}/")));
        }
        rows
    }

    /// What kind of value a schema says, in words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            let name = escaped(name);
            return format!("<a href=\"#schema-{name}\">{name}</a>");
        }
        let alternatives = schema["anyOf"]
            .as_array()
            .map(|several| several.iter().map(|one| self.kind(one)).collect::<Vec<_>>().join(" or "));
        let words = schema["enum"].as_array().map(|words| {
            words.iter().map(|word| format!("<code>{}</code>", text(word))).collect::<Vec<_>>().join(" ")
        });
        if let Some(said) = alternatives.or(words) {
            return said;
        }
        let kind = match &schema["type"] {
            Value::String(kind) if kind == "array" => format!("list of {}", self.kind(&schema["items"])),
            Value::String(kind) => schema["format"].as_str().unwrap_or(kind).to_owned(),
            Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
            _ => schema["format"].as_str().unwrap_or("any").to_owned(),
        };
        let bounds = [("minimum", "from"), ("maximum", "to"), ("minLength", "from"), ("maxLength", "up to")];
        let bounds = bounds.iter().filter_map(|(bound, word)| match &schema[*bound] {
            // The least and the most that there is, is nothing to be told.
            Value::Number(number) if number.as_f64().is_some_and(|number| number.abs() < 1e15) => {
                Some(format!(" {word} {number}"))
            }
            _ => None,
        });
        let bounds: String = bounds.collect();
        let unit = if schema.get("maxLength").is_some() { " characters" } else { "" };
        format!("{kind}{bounds}{unit}")
    }

    /// What a reference refers to.
    fn meant(&self, said: &'a Value) -> &'a Value {
        let pointer = said["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        pointer.and_then(|pointer| self.description.pointer(pointer)).unwrap_or(said)
    }
}

/// The request as somebody would try it.
fn curl(method: &str, path: &str, said: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in said["parameters"].as_array().into_iter().flatten().filter(|said| said["in"] == "path") {
        let (name, example) = (parameter["name"].as_str(), parameter["example"].as_str());
        let example = example.unwrap_or_default().replace(' ', "%20");
        path = path.replace(&format!("{{{}}}", name.unwrap_or_default()), &example);
    }
    let mut line = "curl".to_owned();
    if method != "get" {
        let _ = write!(line, " -X {}", method.to_uppercase());
    }
    let _ = write!(line, " http://127.0.0.1:3000{path}");
    let is_asked = said["security"].as_array().is_some_and(|several| {
        !several.is_empty() && !several.iter().any(|one| one.as_object().is_some_and(Map::is_empty))
    });
    if is_asked {
        line.push_str(" \\\n  -H \"x-api-key: $SAGALINE_API_KEY\"");
    }
    let examples = &said["requestBody"]["content"]["application/json"]["examples"];
    if let Some(example) = examples.as_object().and_then(|examples| examples.values().next()) {
        let _ = write!(line, " \\\n  -H 'content-type: application/json' \\\n  -d '{}'", example["value"]);
    }
    format!("<pre>{}</pre>", escaped(&line))
}

fn row(name: &str, kind: &str, is_required: bool, what: &Value) -> String {
    let required = if is_required { " <em>required</em>" } else { "" };
    format!("<tr><th><code>{name}</code>{required}<td>{kind}<td>{}", prose(what))
}

fn table(rows: &str) -> String {
    if rows.is_empty() { String::new() } else { format!("<div class=table><table>{rows}</table></div>") }
}

fn titled(title: &str, rows: &str) -> String {
    if rows.is_empty() { String::new() } else { format!("<h4>{title}</h4>{}", table(rows)) }
}

fn shown(name: &str, example: &Value) -> String {
    let example = example.as_str().map_or_else(|| format!("{example:#}"), str::to_owned);
    format!("<figure><figcaption>{name}</figcaption><pre>{}</pre></figure>", escaped(&example))
}

/// The text of a string.
fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// Paragraphs, in which `code` and **what matters** are marked.
fn prose(value: &Value) -> String {
    let paragraph =
        |text: &str| format!("<p>{}</p>", marked(&marked(&escaped(text), "**", "strong"), "`", "code"));
    let text = value.as_str().unwrap_or_default();
    text.split("\n\n").filter(|text| !text.is_empty()).map(paragraph).collect()
}

fn marked(text: &str, mark: &str, element: &str) -> String {
    let parts = text.split(mark).enumerate();
    let part = |(at, part): (usize, &str)| {
        if at % 2 == 0 { part.to_owned() } else { format!("<{element}>{part}</{element}>") }
    };
    parts.map(part).collect()
}

/// A path that may be broken behind its slashes where there is little room.
fn breakable(path: &str) -> String {
    escaped(path).replace('/', "/<wbr>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_schema_and_every_link_in_it_leads_somewhere() {
        let description = apis::description(&beside());
        let page = rendered(&description);
        let operations = description["paths"].as_object().into_iter().flatten();
        let operations: Vec<&Value> = operations
            .flat_map(|(_, methods)| methods.as_object().into_iter().flatten())
            .map(|(_, said)| said)
            .collect();
        assert!(operations.len() > 45, "{}", operations.len());
        for said in operations {
            assert!(
                page.contains(&format!("<div id={}>", text(&said["operationId"]))),
                "{}",
                said["operationId"]
            );
        }
        for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            let (quoted, bare) = (format!("id=\"{link}\""), format!("id={link}>"));
            assert!(page.contains(&quoted) || page.contains(&bare), "{link} leads nowhere");
        }
    }

    #[test]
    fn what_is_said_is_text_and_not_part_of_the_page() {
        let said = Value::from("1 < 2 & `a<b` is **\"so\"**\n\nnext");
        assert_eq!(
            prose(&said),
            "<p>1 &lt; 2 &amp; <code>a&lt;b</code> is <strong>&quot;so&quot;</strong></p><p>next</p>"
        );
    }

    #[tokio::test]
    async fn the_page_may_have_its_own_style_and_needs_nothing_else() {
        let response = page().await;
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap_or_default().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        let page = rendered(&apis::description(&beside()));
        for other in ["<script", "<img", "<link", "src=", "style=", "@import", "url(", "https://"] {
            assert!(!page.contains(other), "{other}");
        }
    }
}
