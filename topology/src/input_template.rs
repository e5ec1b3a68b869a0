//! The input template of a pipe: how a stream record becomes the detail of an event.

use crate::json;
use crate::json_path::JsonPath;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// A compiled input template: a JSON object with placeholders such as `<$.dynamodb.NewImage.pk.S>`.
///
/// A placeholder in quotes is filled with text, and with nothing where the record has no such
/// value; one without quotes is filled with the JSON value as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct InputTemplate {
    parts: Vec<Part>,
}

/// A template that is not understood, or a record that does not fit it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputTemplateError {
    /// The template could not be read.
    #[error("failed to read the input template: {0}")]
    Template(String),
    /// The record has no value at a placeholder without quotes.
    #[error(
        "failed to fill the input template: the record has nothing at $.{0}, put the placeholder in quotes"
    )]
    Absent(String),
    /// The record has an object or an array where the template wants text.
    #[error("failed to fill the input template: $.{0} is no text, take the placeholder out of its quotes")]
    NoText(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Placeholder { path: JsonPath, quoted: bool },
}

impl InputTemplate {
    /// Compiles a template. White space between tokens is dropped.
    pub fn parse(template: &str) -> Result<Self, InputTemplateError> {
        let parts = split(template)?;
        // Filled with harmless values it must be JSON; then it is JSON whatever the record holds.
        let probe: String = parts.iter().map(Part::probe).collect();
        match json::parse(&probe) {
            Ok(Value::Object(_)) => Ok(InputTemplate { parts }),
            Ok(_) => Err(fail("the detail of an event is a JSON object, write one")),
            Err(error) => Err(fail(format!("it is not valid JSON: {error}"))),
        }
    }

    /// Fills the template from a whole stream record.
    pub fn render(&self, record: &Value) -> Result<String, InputTemplateError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Placeholder { path, quoted: true } => match path.select(record) {
                    None | Some(Value::Null) => {}
                    Some(Value::String(text)) => push_escaped(&mut out, text),
                    Some(value @ (Value::Bool(_) | Value::Number(_))) => out.push_str(&value.to_string()),
                    Some(Value::Array(_) | Value::Object(_)) => {
                        return Err(InputTemplateError::NoText(path.dotted().to_owned()));
                    }
                },
                Part::Placeholder { path, quoted: false } => {
                    let value = path.select(record);
                    let value = value.ok_or_else(|| InputTemplateError::Absent(path.dotted().to_owned()))?;
                    out.push_str(&value.to_string());
                }
            }
        }
        Ok(out)
    }

    /// Appends the filled template to `out`, taking the text at a dotted path from `look_up`: the
    /// same result as `render`, for records whose values are all text, without building the record.
    pub fn render_with<'a>(
        &self,
        out: &mut String,
        look_up: impl Fn(&str) -> Option<Cow<'a, str>>,
    ) -> Result<(), InputTemplateError> {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Placeholder { path, quoted } => match (look_up(path.dotted()), quoted) {
                    (Some(text), true) => push_escaped(out, &text),
                    (None, true) => {}
                    (Some(text), false) => {
                        out.push('"');
                        push_escaped(out, &text);
                        out.push('"');
                    }
                    (None, false) => return Err(InputTemplateError::Absent(path.dotted().to_owned())),
                },
            }
        }
        Ok(())
    }

    /// Dotted paths of the placeholders, in the order in which they appear.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.placeholders().map(|(path, _)| path)
    }

    /// Dotted paths of the placeholders that stand outside of quotes.
    pub fn unquoted(&self) -> impl Iterator<Item = &str> {
        self.placeholders().filter(|(_, quoted)| !quoted).map(|(path, _)| path)
    }

    fn placeholders(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Placeholder { path, quoted } => Some((path.dotted(), *quoted)),
        })
    }
}

impl Part {
    fn probe(&self) -> &str {
        match self {
            Part::Literal(text) => text,
            Part::Placeholder { quoted: true, .. } => "",
            Part::Placeholder { quoted: false, .. } => "null",
        }
    }
}

fn split(template: &str) -> Result<Vec<Part>, InputTemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut quoted = false;
    let mut left = template;
    while let Some(character) = left.chars().next() {
        left = &left[character.len_utf8()..];
        match character {
            '<' => {
                let (inside, after) = left.split_once('>').ok_or_else(|| fail("a < has no >, close it"))?;
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(Part::Placeholder { path: placeholder(inside)?, quoted });
                left = after;
            }
            '\\' if quoted => {
                literal.push('\\');
                if let Some(escaped) = left.chars().next() {
                    literal.push(escaped);
                    left = &left[escaped.len_utf8()..];
                }
            }
            '"' => {
                quoted = !quoted;
                literal.push('"');
            }
            space if space.is_ascii_whitespace() && !quoted => {}
            other => literal.push(other),
        }
    }
    parts.push(Part::Literal(literal));
    Ok(parts)
}

fn placeholder(inside: &str) -> Result<JsonPath, InputTemplateError> {
    if inside.starts_with("aws.") {
        return Err(fail(format!(
            "the reserved variable <{inside}> is not supported, take the value from the record"
        )));
    }
    JsonPath::parse(inside).map_err(|error| fail(error.to_string()))
}

/// Appends text as it stands between the quotes of a JSON string.
fn push_escaped(out: &mut String, text: &str) {
    let mut clean = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[clean..at]);
        clean = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => write!(out, "\\u{byte:04x}").expect("writing to a String cannot fail"),
        }
    }
    out.push_str(&text[clean..]);
}

fn fail(problem: impl Into<String>) -> InputTemplateError {
    InputTemplateError::Template(problem.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const TEMPLATE: &str = r#"{ "pk": "<$.dynamodb.NewImage.pk.S>", "note": "a b: <$.x>!", "all": <$.x> }"#;

    fn template(text: &str) -> InputTemplate {
        InputTemplate::parse(text).unwrap()
    }

    #[test]
    fn placeholders_are_filled_from_the_record() {
        let record = json!({"dynamodb": {"NewImage": {"pk": {"S": "EVENTS#\"1\"\n"}}}, "x": 5});
        assert_eq!(
            template(TEMPLATE).render(&record).unwrap(),
            r#"{"pk":"EVENTS#\"1\"\n","note":"a b: 5!","all":5}"#
        );
        assert_eq!(template(TEMPLATE).paths().collect::<Vec<_>>(), ["dynamodb.NewImage.pk.S", "x", "x"]);
        assert_eq!(template(TEMPLATE).unquoted().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn what_the_record_does_not_have_is_empty_in_quotes_and_an_error_outside() {
        assert_eq!(template(r#"{"a": "<$.x>"}"#).render(&json!({})).unwrap(), r#"{"a":""}"#);
        assert_eq!(
            template(r#"{"a": <$.x>}"#).render(&json!({})),
            Err(InputTemplateError::Absent("x".to_owned()))
        );
        assert_eq!(
            template(r#"{"a": "<$.x>"}"#).render(&json!({"x": {}})),
            Err(InputTemplateError::NoText("x".to_owned()))
        );
    }

    #[test]
    fn a_template_that_could_yield_anything_but_a_json_object_is_refused() {
        let bad = [
            "",
            "hello",
            "[1]",
            r#"{"a": }"#,
            r#"{"a": "<$.x"}"#,
            r#"{"a": "<x>"}"#,
            r#"{"a": <aws.pipes.pipe-name>}"#,
            r#"{"a": "<$.x>}"#,
            r#"{"a": 1, "a": 2}"#,
            r#"{<$.x>: 1}"#,
            r#"{"a": 1<$.x>}"#,
            r#"{"a": "a < b"}"#,
        ];
        for text in bad {
            assert!(InputTemplate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_character_is_spelled_alike_on_both_ways_and_in_and_out_of_quotes() {
        let template = template(r#"{"a": "<$.x>", "b": <$.x>}"#);
        let text: String = (0..0x100).filter_map(char::from_u32).collect();
        let rendered = template.render(&json!({ "x": text.clone() })).unwrap();
        let mut fast = String::new();
        template.render_with(&mut fast, |path| (path == "x").then_some(Cow::Borrowed(&*text))).unwrap();
        let spelled = json!(text);
        assert_eq!(rendered, format!(r#"{{"a":{spelled},"b":{spelled}}}"#));
        assert_eq!(fast, rendered);
    }

    proptest! {
        #[test]
        fn text_survives_the_template_unchanged_on_both_ways(text in any::<String>()) {
            let template = template(r#"{"a": "<$.x>", "b": <$.x>}"#);
            let rendered = template.render(&json!({ "x": text.clone() })).unwrap();
            let mut fast = String::new();
            template.render_with(&mut fast, |path| (path == "x").then_some(Cow::Borrowed(&*text))).unwrap();
            let expected = json!({ "a": text.clone(), "b": text });
            prop_assert_eq!(serde_json::from_str::<Value>(&rendered).unwrap(), expected.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&fast).unwrap(), expected);
        }

        #[test]
        fn no_template_makes_it_panic(text in r#"[{}"<>$.a:,\\ ä]{0,30}"#) {
            if let Ok(template) = InputTemplate::parse(&text) {
                let _ = template.render(&json!({"a": 1}));
            }
        }
    }
}
