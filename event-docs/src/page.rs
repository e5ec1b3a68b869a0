//! What is known of an event as a page, and of all of them as an index.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Context;
use events::EventName;
use payments::MAX_ATTEMPTS;
use serde_json::Value;
use workers::Worker;

use crate::follows::{Condition, Feature, Follows};
use crate::json;
use crate::knowledge::{Appender, Knowledge, Known};
use crate::wiring;

const MADE: &str = "<!-- Made by `cargo xtask docs` of what the code and the templates say. -->\n";

/// The page of one event.
///
/// # Errors
/// A template of the pipe that asks for what no event has.
pub fn event(event: &Known, all: &Knowledge) -> anyhow::Result<String> {
    let mut page = format!("# {}\n\n{MADE}\n{}\n\n", event.name, event.name.says());
    let (stream, slot) = &event.key;
    let others: Vec<String> = event.rivals.iter().map(|other| link(*other)).collect();
    let shared = match others.is_empty() {
        true => String::new(),
        false => format!(", which {} settles too: the first of them counts", others.join(" or ")),
    };
    let also = quoted(event.name.also());
    let version = event.name.version();
    page += "| | |\n|---|---|\n";
    writeln!(page, "| stream | `{stream}` |")?;
    writeln!(page, "| slot | `{slot}`{shared} |")?;
    writeln!(page, "| also spelled | {} |", if also.is_empty() { "nothing else" } else { &also })?;
    writeln!(page, "| version | {version}: [JSON Schema]({}) |", event.schema_file())?;
    page += "\n## Who appends it\n\n";
    page += &appended_by(event);
    page += "\n## Who listens\n\n";
    page += &listeners(event);
    page += "\n## What follows\n\n";
    page += &follows(event);
    page += "\n## Payload\n\n";
    page += &payload(event)?;
    page += "\n## In a queue\n\n";
    page += &in_a_queue(event, all)?;
    page += "\n## Versions\n\n";
    page += &versions(event);
    Ok(page)
}

fn in_a_queue(event: &Known, all: &Knowledge) -> anyhow::Result<String> {
    if event.ways.is_empty() {
        return Ok("In none: the pipe keeps it back, because nobody listens.\n".to_owned());
    }
    let flat = json::pretty(&wiring::flat(&all.topology, &event.item)?);
    Ok(format!("As the pipe delivers it, `data` being the payload as text:\n\n```json\n{flat}```\n"))
}

fn appended_by(event: &Known) -> String {
    let mut text = String::new();
    for appender in &event.appended_by {
        let why = match appender {
            Appender::Worker(_, causes) => {
                let causes: Vec<String> = causes.iter().map(|cause| link(*cause)).collect();
                format!("because of {}", listed(&causes, "or"))
            }
            Appender::Requests(_, requests) => {
                let requests: Vec<String> =
                    requests.iter().map(|(method, path)| format!("`{method} {path}`")).collect();
                format!("asked by {}", listed(&requests, "or"))
            }
            Appender::LogSweeper => {
                "of an order that has stood still for too long, where that is wanted".into()
            }
        };
        text += &format!("- `{}`, {why}.\n", appender.binary());
    }
    if text.is_empty() {
        text += "Nobody yet, but by hand: it is read wherever it stands in the log.\n";
    }
    text
}

fn listeners(event: &Known) -> String {
    if event.ways.is_empty() {
        return "Nobody: nothing is owed because of it.\n".to_owned();
    }
    let mut text = "| function | does | standard | express |\n|---|---|---|---|\n".to_owned();
    let binaries: BTreeSet<&str> = event.ways.iter().map(|way| way.binary.as_str()).collect();
    for binary in binaries {
        let through = |lane: &str| {
            let ways = event.ways.iter().filter(|way| way.binary == binary && way.lane == lane);
            let ways: Vec<String> =
                ways.map(|way| format!("rule `{}`, queue `{}`", way.rule, way.queue)).collect();
            ways.join("; ")
        };
        let does = Worker::of_binary(binary).map_or("", Worker::does);
        let _ = writeln!(text, "| `{binary}` | {does} | {} | {} |", through("standard"), through("express"));
    }
    text
}

fn follows(event: &Known) -> String {
    if event.follows.is_empty() {
        return "Nothing but what is shown of it.\n".to_owned();
    }
    let mut text = String::new();
    for follows in &event.follows {
        let heard = event.ways.iter().any(|way| way.binary == follows.worker.binary());
        let by_itself = if heard { "" } else { " by itself" };
        let _ = writeln!(
            text,
            "- `{}`{by_itself} appends {}{}.",
            follows.worker.binary(),
            answers(follows),
            when(&follows.when)
        );
    }
    text
}

fn answers(follows: &Follows) -> String {
    let named: Vec<String> = follows.answers.iter().map(|name| link(*name)).collect();
    match follows.answers {
        [EventName::PaymentAttempted, ..] => format!("{}, then {}", named[0], listed(&named[1..], "or")),
        _ => listed(&named, "or"),
    }
}

fn when(conditions: &[Condition]) -> String {
    let said: Vec<String> = conditions.iter().map(condition).filter(|said| !said.is_empty()).collect();
    match said.len() < conditions.len() {
        true => String::new(),
        false => format!(" {}", said.join("; or ")),
    }
}

fn condition(condition: &Condition) -> String {
    let named = |features: &[Feature]| -> Vec<String> {
        let name = |feature: &Feature| match feature {
            Feature::Has(name) => link(*name),
            Feature::AllAttempts => format!("the {MAX_ATTEMPTS}th {}", link(EventName::PaymentAttempted)),
        };
        features.iter().map(name).collect()
    };
    let with = match condition.with.is_empty() {
        true => String::new(),
        false => format!("if there is {}", listed(&named(&condition.with), "and")),
    };
    let without = match condition.without.is_empty() {
        true => String::new(),
        false => format!("unless there is {}", listed(&named(&condition.without), "or")),
    };
    [with, without].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn payload(event: &Known) -> anyhow::Result<String> {
    let mut text = "| field | type | must be there | what |\n|---|---|---|---|\n".to_owned();
    let mut types = BTreeMap::new();
    rows("", &event.schema, &event.fields, &event.schema["$defs"], &mut text, &mut types)?;
    if !types.is_empty() {
        text += "\n";
    }
    for (name, schema) in &types {
        let limits = limits(schema).map(|limits| format!(" ({limits})")).unwrap_or_default();
        let choices: String = choices(schema).into_iter().map(|choice| format!(" {choice}")).collect();
        let _ = writeln!(text, "- {name}{limits}: {}{choices}", said(schema));
    }
    let _ = write!(text, "\nFor example:\n\n```json\n{}\n```\n", event.item.data);
    Ok(text)
}

fn rows(
    before: &str,
    schema: &Value,
    order: &[String],
    defs: &Value,
    to: &mut String,
    types: &mut BTreeMap<String, Value>,
) -> anyhow::Result<()> {
    let properties = schema["properties"].as_object().context("a payload is an object")?;
    let rank = |name: &String| order.iter().position(|known| known == name).unwrap_or(order.len());
    let mut names: Vec<&String> = properties.keys().collect();
    // What must be there is named before what may be.
    names.sort_by_key(|name| (rank(name), !is_required(schema, name), name.as_str()));
    for name in names {
        let property = &properties[name];
        let must = match (is_required(schema, name), property.get("default")) {
            (true, _) => "yes".to_owned(),
            (false, Some(default)) if !default.is_null() => format!("no: else `{default}`"),
            (false, _) => "no".to_owned(),
        };
        let kind = kind(property, defs, types);
        let _ = writeln!(to, "| `{before}{name}` | {kind} | {must} | {} |", said(property));
        let item = property["items"]["$ref"].as_str().and_then(|to| to.strip_prefix("#/$defs/"));
        if let Some(item) = item {
            rows(&format!("{before}{name}[]."), &defs[item], &[], defs, to, types)?;
        }
    }
    Ok(())
}

fn is_required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.contains(&field.into()))
}

/// What a field's type is called. Those with a rule of their own are told below the table.
fn kind(schema: &Value, defs: &Value, types: &mut BTreeMap<String, Value>) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.strip_prefix("#/$defs/")) {
        types.insert(name.to_owned(), defs[name].clone());
        return name.to_owned();
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let kinds: Vec<String> = any.iter().map(|one| kind(one, defs, types)).collect();
        return listed(&kinds, "or");
    }
    let plain = |name: &str| match name {
        "string" => "text".to_owned(),
        "integer" => {
            limits(schema).map_or("whole number".to_owned(), |limits| format!("whole number {limits}"))
        }
        "array" => "list".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(name) => plain(name),
        Value::Array(names) => {
            let names: Vec<String> = names.iter().filter_map(Value::as_str).map(plain).collect();
            listed(&names, "or")
        }
        _ => "anything".to_owned(),
    }
}

/// How small and how large a value may be, if its type does not say so.
fn limits(schema: &Value) -> Option<String> {
    if schema["minimum"] == i64::MIN {
        return None;
    }
    match [&schema["minimum"], &schema["maximum"], &schema["minLength"], &schema["maxLength"]] {
        [Value::Number(least), Value::Number(most), ..] => Some(format!("from {least} to {most}")),
        [.., Value::Number(least), Value::Number(most)] => {
            Some(format!("{least} to {most} characters, none of which is a control character"))
        }
        _ => schema["pattern"].as_str().map(|pattern| format!("as `{pattern}`")),
    }
}

/// What an enumeration allows.
fn choices(schema: &Value) -> Vec<String> {
    let each = schema["oneOf"].as_array().into_iter().flatten();
    each.filter_map(|choice| Some(format!("`{}`: {}", choice["const"].as_str()?, said(choice)))).collect()
}

fn said(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn versions(event: &Known) -> String {
    let mut text = match event.name.version() {
        1 => "There is one version, so nothing is brought up to another.\n".to_owned(),
        newest => format!("Version {newest} is written; an older one is brought up to it when it is read.\n"),
    };
    text += "A later version is read for the fields that are known here.\n";
    for older in &event.older {
        let needed: Vec<String> = older.needed.iter().map(|field| format!("`{field}`")).collect();
        let _ = write!(
            text,
            "\n`{}` is the older system's, with a payload of its own, of which {} must be there:\n\n```json\n{}\n```\n\n\
             It is read as\n\n```json\n{}\n```\n",
            older.name,
            listed(&needed, "and"),
            older.payload,
            older.read_as
        );
    }
    text
}

/// The page that lists all of them.
pub fn index(all: &Knowledge) -> String {
    let mut page = format!(
        "# Events\n\n{MADE}\nEvery event that is stored, by its stream, in the order in which they come about: what it \
         says, who appends it, who listens, what follows, and what its payload is. `cargo xtask docs` makes these pages, \
         the [schemas](schemas) and [asyncapi.json](../asyncapi.json); tests fail if they are not what the code says.\n"
    );
    let mut stream = "";
    for event in &all.events {
        if event.key.0 != stream {
            stream = &event.key.0;
            let _ = write!(
                page,
                "\n## `{stream}`\n\n| event | says | slot | appended by | heard by |\n|---|---|---|---|---|\n"
            );
        }
        let mut by: Vec<String> =
            event.appended_by.iter().map(|appender| format!("`{}`", appender.binary())).collect();
        if by.is_empty() {
            by.push("nobody yet".to_owned());
        }
        let mut heard: BTreeSet<String> = event.ways.iter().map(|way| format!("`{}`", way.binary)).collect();
        if heard.is_empty() {
            heard.insert("nobody".to_owned());
        }
        let _ = writeln!(
            page,
            "| {} | {} | `{}` | {} | {} |",
            link(event.name),
            event.name.says(),
            event.key.1,
            by.join(", "),
            heard.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    page += SAID_OF_ALL;
    page
}

const SAID_OF_ALL: &str = "
## What is true of all of them

- A slot is settled once: the first event that claims it counts, whoever comes later is told so.
- Whatever stands in the log by hand (`chaos-api`, in development only) may have any name, key and payload. What is not
  read is passed over, and shown as an anomaly.
- A payload is at most 240 KB of JSON text. Fields that are not known here are passed over.
- The schemas accept what is read, with these exceptions, each of which its type says too: a whole number is written
  without fraction and exponent, money has at most two decimals, an id is counted in bytes. And no schema sees
  a field that is named twice, which is not read either.
";

fn link(name: EventName) -> String {
    format!("[{name}]({name}.md)")
}

fn quoted(names: &[&str]) -> String {
    listed(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), "and")
}

/// `a`, `a or b`, `a, b or c`.
fn listed(items: &[String], and: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}
