//! YAML as a tree of texts: enough to ask a workflow or a template what it says.

use anyhow::{Context, bail};
use saphyr_parser::{Event, Parser, StrInput};
use serde_json::{Map, Value};

/// Reads one document. Every scalar is text, and a tag such as `!Ref` is passed over.
///
/// # Errors
/// What is not YAML, a key that appears twice, or anchors, which would hide what is repeated.
pub fn parse(text: &str) -> anyhow::Result<Value> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    reader.next()?;
    let Event::DocumentStart(_) = reader.next()? else { bail!("it is empty") };
    let event = reader.next()?;
    let document = reader.node(event)?;
    reader.next()?;
    let Event::StreamEnd = reader.next()? else { bail!("it is more than one document") };
    Ok(document)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> anyhow::Result<Event<'a>> {
        let (event, _) = self.parser.next_event().context("it ends too early")??;
        Ok(event)
    }

    fn node(&mut self, event: Event<'a>) -> anyhow::Result<Value> {
        match event {
            Event::Scalar(text, _, 0, _) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(0, _) => self.sequence(),
            Event::MappingStart(0, _) => self.mapping(),
            _ => bail!("anchors and aliases are not read here, write the value out"),
        }
    }

    fn sequence(&mut self) -> anyhow::Result<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.node(event)?),
            }
        }
    }

    fn mapping(&mut self) -> anyhow::Result<Value> {
        let mut fields = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(fields)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => bail!("a key is plain text"),
            };
            let event = self.next()?;
            let value = self.node(event)?;
            if fields.contains_key(&key) {
                bail!("key \"{key}\" appears twice");
            }
            fields.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_is_text_and_tags_are_passed_over() {
        let read = parse("on: { push: [1, yes] }\nname: !Ref X\nnone:\n").unwrap();
        assert_eq!(read, json!({ "on": { "push": ["1", "yes"] }, "name": "X", "none": "" }));
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        for text in ["", "a: 1\na: 2", "a: &x 1\nb: *x", "a: [1", "a: 1\n---\nb: 2"] {
            assert!(parse(text).is_err(), "{text:?} was read");
        }
    }
}
