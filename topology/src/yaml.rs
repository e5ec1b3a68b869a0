//! Template text to JSON: CloudFormation's YAML, with its short tags written out.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value, json};

/// Where a template could not be read, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) problem: String,
}

/// Reads one YAML document (JSON is YAML too). `!Sub x` becomes `{"Fn::Sub": "x"}`. Repeated keys,
/// anchors, aliases, merge keys and unknown tags are errors: CloudFormation has no use for them, or
/// would silently take one of two.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    reader.expect_start()?;
    let (event, span) = reader.next()?;
    let document = reader.node(event, span, 0)?;
    reader.expect_end()?;
    Ok(document)
}

const MAX_DEPTH: usize = 100;
const FUNCTIONS: [&str; 17] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Length",
];

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(scan_error(&error)),
            None => Err(YamlError { line: 1, column: 1, problem: "the template ends too early".to_owned() }),
        }
    }

    fn expect_start(&mut self) -> Result<(), YamlError> {
        self.next()?;
        match self.next()? {
            (Event::DocumentStart(_), _) => Ok(()),
            (_, span) => Err(at(&span, "the template is empty, write at least Resources")),
        }
    }

    fn expect_end(&mut self) -> Result<(), YamlError> {
        self.next()?;
        match self.next()? {
            (Event::StreamEnd, _) => Ok(()),
            (_, span) => Err(at(&span, "a template is one document, remove the second")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, YamlError> {
        if depth > MAX_DEPTH {
            return Err(at(&span, "the template is nested too deeply"));
        }
        let (value, tag, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (if plain { plain_scalar(&text) } else { Value::String(text.into_owned()) }, tag, anchor)
            }
            Event::SequenceStart(anchor, tag) => (self.sequence(depth)?, tag, anchor),
            Event::MappingStart(anchor, tag) => (self.mapping(depth)?, tag, anchor),
            Event::Alias(_) => return Err(at(&span, "CloudFormation knows no aliases, write the value out")),
            _ => return Err(at(&span, "a value is missing here")),
        };
        if anchor != 0 {
            return Err(at(&span, "CloudFormation knows no anchors, remove it"));
        }
        match tag {
            None => Ok(value),
            Some(tag) => tagged(value, &tag).map_err(|problem| at(&span, problem)),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut fields = Map::new();
        loop {
            let (key, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Object(fields)),
                (Event::Scalar(key, _, 0, None), span) => (key.into_owned(), span),
                (_, span) => return Err(at(&span, "a key is plain text")),
            };
            if key == "<<" {
                return Err(at(&span, "CloudFormation knows no merge keys, write the values out"));
            }
            if fields.contains_key(&key) {
                return Err(at(&span, format!("key \"{key}\" appears twice, remove one")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            fields.insert(key, value);
        }
    }
}

/// Numbers, true, false and null are what JSON says they are; everything else without quotes is
/// text, such as `1.0.0`, `012345678901` and `2012-10-17`.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => text
            .parse()
            .map_or_else(|_| Value::String(text.to_owned()), |number: Number| Value::Number(number)),
    }
}

fn tagged(value: Value, tag: &Tag) -> Result<Value, String> {
    if tag.is_yaml_core_schema() && tag.suffix == "str" && value.is_string() {
        return Ok(value);
    }
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", name @ ("Ref" | "Condition")) => Ok(json!({ name: value })),
        ("!", "GetAtt") => match value.as_str().map(|text| text.split_once('.')) {
            Some(Some((resource, attribute))) => Ok(json!({"Fn::GetAtt": [resource, attribute]})),
            Some(None) => {
                Err("!GetAtt names a resource and an attribute, as in !GetAtt Queue.Arn".to_owned())
            }
            None => Ok(json!({ "Fn::GetAtt": value })),
        },
        ("!", name) if FUNCTIONS.contains(&name) => Ok(json!({ format!("Fn::{name}"): value })),
        (handle, suffix) => Err(format!("tag {handle}{suffix} is not known, use an intrinsic function")),
    }
}

fn scan_error(error: &ScanError) -> YamlError {
    let marker = error.marker();
    YamlError { line: marker.line(), column: marker.col() + 1, problem: error.info().to_owned() }
}

fn at(span: &Span, problem: impl Into<String>) -> YamlError {
    YamlError { line: span.start.line(), column: span.start.col() + 1, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_tags_are_written_out() {
        let text =
            "a: !Ref X\nb: !GetAtt X.Y.Z\nc: !Sub ['${A}', {A: !Ref B}]\nd: !If [C, 1, !Ref AWS::NoValue]";
        let expected = json!({
            "a": {"Ref": "X"},
            "b": {"Fn::GetAtt": ["X", "Y.Z"]},
            "c": {"Fn::Sub": ["${A}", {"A": {"Ref": "B"}}]},
            "d": {"Fn::If": ["C", 1, {"Ref": "AWS::NoValue"}]},
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn only_what_json_calls_a_number_is_one() {
        let text = "[1, -2.5, 1.0.0, 012345678901, 2012-10-17, '5', yes, true, ~, 0x10]";
        let expected =
            json!([1, -2.5, "1.0.0", "012345678901", "2012-10-17", "5", "yes", true, null, "0x10"]);
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        let cases = [
            ("a: 1\nb: 2\na: 3", 3, "key \"a\" appears twice"),
            ("a: &x 1\nb: *x", 1, "CloudFormation knows no anchors"),
            ("a:\n  <<: {}", 2, "CloudFormation knows no merge keys"),
            ("a: !Reff X", 1, "tag !Reff is not known"),
            ("a: !GetAtt X", 1, "!GetAtt names a resource and an attribute"),
            ("a: 1\n---\nb: 2", 2, "a template is one document"),
            ("", 1, "the template is empty"),
            ("a: [1", 1, "while parsing a flow sequence"),
        ];
        for (text, line, problem) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.problem.starts_with(problem) && error.line >= line, "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[a!&*<:{}\[\],\n "'|>#~%-]{0,60}"#) {
            let _ = parse(&text);
        }

        #[test]
        fn deep_nesting_is_refused(open in prop::sample::select(vec!["[", "{a: ", "- "])) {
            prop_assert!(parse(&open.repeat(50_000)).is_err());
        }
    }
}
