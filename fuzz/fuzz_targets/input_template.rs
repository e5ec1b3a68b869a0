//! A pipe's input template and a record: what is rendered is a JSON object, the same by both ways.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::parts;
use serde_json::Value;
use topology::{InputTemplate, JsonPath};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some([text, record]) = parts(input) else { return Corpus::Reject };
    let Ok(record) = serde_json::from_str::<Value>(record) else { return Corpus::Reject };
    let Ok(template) = InputTemplate::parse(text) else { return Corpus::Keep };
    let rendered = template.render(&record);
    assert_eq!(template.render(&record), rendered, "the same record, the same text");
    if let Ok(text) = &rendered {
        let read: Result<Value, _> = serde_json::from_str(text);
        assert!(read.as_ref().is_ok_and(Value::is_object), "{text}: {read:?}");
    }

    let look_up = |dotted: &str| select(dotted, &record);
    if template.paths().all(|path| look_up(path).is_none_or(Value::is_string)) {
        let mut fast = String::new();
        let text = |path: &str| look_up(path).and_then(Value::as_str).map(Cow::Borrowed);
        let outcome = template.render_with(&mut fast, text);
        assert_eq!(outcome.map(|()| fast), rendered, "both ways of rendering");
    }
    Corpus::Keep
});

/// What a path without its `$.` leads to.
fn select<'a>(dotted: &str, record: &'a Value) -> Option<&'a Value> {
    let path = if dotted.is_empty() || dotted.starts_with('[') {
        format!("${dotted}")
    } else {
        format!("$.{dotted}")
    };
    let path = JsonPath::parse(&path).expect("a path is read back");
    assert_eq!(path.dotted(), dotted);
    path.select(record)
}
