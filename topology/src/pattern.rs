//! Event patterns of EventBridge: which events a rule, or a pipe's filter, lets through.
//!
//! The semantics are those of the AWS documentation, and of the engine AWS published where the
//! documentation is silent: numbers compare by value, an array in the event matches if any of its
//! elements does, and fields of objects in one array must match in one and the same element.
//! Compiling does the work once; what a pattern means that AWS would refuse is refused here too.

mod compiler;

use crate::json;
use crate::wildcard::Wildcard;
use compiler::{Compiler, NUMERIC_LIMIT, at};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A compiled event pattern.
#[derive(Debug, Clone)]
pub struct EventPattern {
    /// Every `$or` multiplied out, as EventBridge does; the pattern matches if one alternative does.
    alternatives: Vec<Node>,
    bus_only: Option<String>,
}

/// A pattern that EventBridge would refuse, or one that this matcher does not know.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// The text is not JSON, or names a key twice.
    #[error("failed to read the event pattern as JSON: {0}")]
    Json(String),
    /// A field of the pattern has a shape or an operator that is not understood.
    #[error("failed to understand the event pattern at {path}: {problem}")]
    Field {
        /// Dotted path of the field in the pattern.
        path: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
}

impl EventPattern {
    /// Compiles a pattern from JSON text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::from_value(&json::parse(text).map_err(|error| PatternError::Json(error.to_string()))?)
    }

    /// Compiles a pattern from a JSON value.
    pub fn from_value(pattern: &Value) -> Result<Self, PatternError> {
        let Value::Object(fields) = pattern else {
            return Err(at(&[], "a pattern is a JSON object, as in {\"source\": [\"sagaline.log\"]}"));
        };
        let mut compiler = Compiler::default();
        let alternatives = compiler.object(fields, &[], vec![Alternative::new()])?;
        let alternatives = alternatives.into_iter().map(Node::new).collect();
        Ok(EventPattern { alternatives, bus_only: compiler.bus_only })
    }

    /// Whether the event is one of those the pattern describes.
    pub fn matches(&self, event: &Value) -> bool {
        self.alternatives.iter().any(|alternative| alternative.holds(Some(event), event))
    }

    /// Dotted paths of the fields the pattern looks at. Two events that agree in these match alike.
    pub fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        self.alternatives.iter().for_each(|alternative| alternative.collect_paths(&mut paths));
        paths
    }

    /// The first operator in the pattern that a bus takes and a pipe does not, if there is one.
    pub fn bus_only_operator(&self) -> Option<&str> {
        self.bus_only.as_deref()
    }
}

/// Fields by path, all of which must match.
type Alternative = BTreeMap<Vec<String>, Arc<Field>>;

/// One step into the event: what must hold of the value here, and of the fields below.
#[derive(Debug, Clone, Default)]
struct Node {
    field: Option<Arc<Field>>,
    children: Vec<(String, Node)>,
}

#[derive(Debug)]
struct Field {
    path: Vec<String>,
    tests: Vec<Test>,
    or_absent: bool,
}

/// What one scalar of the event is tested for.
#[derive(Debug, PartialEq)]
enum Test {
    Present,
    Null,
    Bool(bool),
    Number(Number),
    Text(TextTest),
    Numeric { above: Option<Bound>, below: Option<Bound> },
    Cidr { network: IpAddr, bits: u8 },
    AnythingButTexts(Vec<TextTest>),
    AnythingButNumbers(Vec<Number>),
}

#[derive(Debug, PartialEq)]
struct Bound {
    limit: f64,
    inclusive: bool,
}

/// What a text is tested for; texts that ignore case are kept in lower case.
#[derive(Debug, PartialEq)]
enum TextTest {
    /// Sorted, so that a long list of names costs no more than a few comparisons.
    OneOf(Vec<String>),
    Prefix(String),
    Suffix(String),
    EqualIgnoringCase(String),
    PrefixIgnoringCase(String),
    SuffixIgnoringCase(String),
    Wildcard(Wildcard),
}

impl Node {
    fn new(alternative: Alternative) -> Self {
        let mut root = Node::default();
        for (path, field) in alternative {
            let mut here = &mut root;
            for step in path {
                let place = here.children.iter().position(|(name, _)| *name == step).unwrap_or_else(|| {
                    here.children.push((step, Node::default()));
                    here.children.len() - 1
                });
                here = &mut here.children[place].1;
            }
            here.field = Some(field);
        }
        root
    }

    fn holds(&self, here: Option<&Value>, event: &Value) -> bool {
        let below = |object: Option<&Map<String, Value>>| {
            self.children
                .iter()
                .all(|(name, node)| node.holds(object.and_then(|fields| fields.get(name)), event))
        };
        self.field.as_ref().is_none_or(|field| field.holds(here, event))
            && (self.children.is_empty() || any_object(here, below))
    }

    fn collect_paths(&self, paths: &mut BTreeSet<String>) {
        paths.extend(self.field.iter().map(|field| field.path.join(".")));
        self.children.iter().for_each(|(_, node)| node.collect_paths(paths));
    }
}

/// Whether `test` holds of one of the objects at this place; of no object, if there is none.
fn any_object(here: Option<&Value>, test: impl Fn(Option<&Map<String, Value>>) -> bool) -> bool {
    match here {
        Some(Value::Object(fields)) => test(Some(fields)),
        Some(value) => {
            let mut objects = Vec::new();
            collect_objects(value, &mut objects);
            if objects.is_empty() { test(None) } else { objects.into_iter().any(|fields| test(Some(fields))) }
        }
        None => test(None),
    }
}

fn collect_objects<'a>(value: &'a Value, objects: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Object(fields) => objects.push(fields),
        Value::Array(items) => items.iter().for_each(|item| collect_objects(item, objects)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether `test` holds of a scalar at this place. Objects are no leaves: nothing holds of them.
fn any_scalar(value: &Value, test: &impl Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_scalar(item, test)),
        Value::Object(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => test(value),
    }
}

/// Whether the event has a leaf at the path, in whatever element of whatever array.
fn has_leaf(value: &Value, path: &[String]) -> bool {
    match path.split_first() {
        None => any_scalar(value, &|_| true),
        Some((name, rest)) => any_object(Some(value), |object| {
            object.and_then(|fields| fields.get(name)).is_some_and(|below| has_leaf(below, rest))
        }),
    }
}

impl Field {
    fn holds(&self, here: Option<&Value>, event: &Value) -> bool {
        here.is_some_and(|value| any_scalar(value, &|scalar| self.tests.iter().any(|test| test.holds(scalar))))
            // Absence is a claim about the whole event, not about one element of an array.
            || (self.or_absent && !has_leaf(event, &self.path))
    }
}

impl Test {
    fn holds(&self, scalar: &Value) -> bool {
        match (self, scalar) {
            (Test::Present, _) | (Test::Null, Value::Null) => true,
            (Test::Bool(expected), Value::Bool(actual)) => expected == actual,
            (Test::Number(expected), Value::Number(actual)) => same_number(expected, actual),
            (Test::Text(test), Value::String(text)) => test.holds(text),
            (Test::Numeric { above, below }, Value::Number(number)) => {
                let value = number.as_f64().filter(|value| value.abs() <= NUMERIC_LIMIT);
                value.is_some_and(|value| {
                    above.as_ref().is_none_or(|bound| value > bound.limit || bound.holds_at(value))
                        && below.as_ref().is_none_or(|bound| value < bound.limit || bound.holds_at(value))
                })
            }
            (Test::Cidr { network, bits }, Value::String(text)) => {
                text.parse().is_ok_and(|address| in_network(address, *network, *bits))
            }
            (Test::AnythingButTexts(tests), Value::String(text)) => {
                !tests.iter().any(|test| test.holds(text))
            }
            (Test::AnythingButNumbers(numbers), Value::Number(actual)) => {
                !numbers.iter().any(|number| same_number(number, actual))
            }
            // A value of another kind is certainly something else.
            (Test::AnythingButTexts(_) | Test::AnythingButNumbers(_), _) => true,
            (
                Test::Null
                | Test::Bool(_)
                | Test::Number(_)
                | Test::Text(_)
                | Test::Numeric { .. }
                | Test::Cidr { .. },
                _,
            ) => false,
        }
    }
}

impl Bound {
    fn holds_at(&self, value: f64) -> bool {
        self.inclusive && value == self.limit
    }
}

impl TextTest {
    fn holds(&self, text: &str) -> bool {
        match self {
            TextTest::OneOf(texts) => texts.binary_search_by(|known| known.as_str().cmp(text)).is_ok(),
            TextTest::Prefix(prefix) => text.starts_with(prefix.as_str()),
            TextTest::Suffix(suffix) => text.ends_with(suffix.as_str()),
            TextTest::EqualIgnoringCase(lower) => lower_case(text).eq(lower.chars()),
            TextTest::PrefixIgnoringCase(lower) => {
                let mut characters = lower_case(text);
                lower.chars().all(|expected| characters.next() == Some(expected))
            }
            TextTest::SuffixIgnoringCase(lower) => {
                let mut characters = lower_case(text).rev();
                lower.chars().rev().all(|expected| characters.next() == Some(expected))
            }
            TextTest::Wildcard(wildcard) => wildcard.matches(text),
        }
    }
}

fn lower_case(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// Whole numbers compare exactly, so that an account number is not rounded to its neighbour.
fn same_number(left: &Number, right: &Number) -> bool {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

fn in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(bits);
            u32::from(address).checked_shr(shift) == u32::from(network).checked_shr(shift)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128 - u32::from(bits);
            u128::from(address).checked_shr(shift) == u128::from(network).checked_shr(shift)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::compiler::MAX_DEPTH;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_paths_are_those_of_the_fields() {
        let pattern = json!({"detail": {"a": [1], "$or": [{"b": {"c": ["x"]}}, {"d": [{"exists": false}]}]}});
        let paths = EventPattern::from_value(&pattern).unwrap().paths();
        assert_eq!(paths, BTreeSet::from(["detail.a", "detail.b.c", "detail.d"].map(str::to_owned)));
    }

    #[test]
    fn operators_that_a_pipe_does_not_take_are_named() {
        let operator = |test: Value| {
            EventPattern::from_value(&json!({ "a": [test] })).unwrap().bus_only_operator().map(str::to_owned)
        };
        assert_eq!(operator(json!({"wildcard": "a*"})).as_deref(), Some("wildcard"));
        assert_eq!(
            operator(json!({"anything-but": {"prefix": "a"}})).as_deref(),
            Some("anything-but prefix")
        );
        assert_eq!(operator(json!({"anything-but": "a"})), None);
        assert_eq!(operator(json!({"prefix": "a"})), None);
    }

    #[test]
    fn a_pattern_that_is_nested_too_deeply_is_refused() {
        let nested = |depth| (0..depth).fold(json!([1]), |pattern, _| json!({ "a": pattern }));
        assert!(EventPattern::from_value(&nested(MAX_DEPTH)).is_ok());
        assert!(EventPattern::from_value(&nested(MAX_DEPTH + 2)).is_err());
    }

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let words = prop::sample::select(vec![
            "a",
            "b",
            "$or",
            "prefix",
            "suffix",
            "anything-but",
            "numeric",
            "exists",
            "cidr",
            "wildcard",
            "*",
            "equals-ignore-case",
            ">",
            "<=",
            "=",
            "10.0.0.0/8",
            "10.1.2.3",
            "::/0",
            "",
            "\\",
            "Ä",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            words.clone().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(words.clone().prop_map(str::to_owned), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..3).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_event_makes_it_panic(pattern in arbitrary_json(), event in arbitrary_json()) {
            if let Ok(pattern) = EventPattern::from_value(&pattern) {
                pattern.matches(&event);
                pattern.paths();
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = EventPattern::parse(&text);
        }

        #[test]
        fn a_scalar_is_matched_by_itself_and_not_by_anything_but_itself(value in scalar(), other in scalar()) {
            let matches = |test: Value, value: &Value| {
                EventPattern::from_value(&json!({ "a": [test] })).map(|it| it.matches(&json!({ "a": value })))
            };
            prop_assert_eq!(matches(value.clone(), &other), Ok(value == other));
            if let Ok(anything_but) = matches(json!({ "anything-but": value.clone() }), &other) {
                prop_assert_eq!(anything_but, value != other);
            }
        }

        #[test]
        fn exactly_one_of_present_and_absent_holds(event in arbitrary_json()) {
            let matches = |exists: bool| {
                EventPattern::from_value(&json!({"a": {"b": [{ "exists": exists }]}})).unwrap().matches(&event)
            };
            prop_assert!(matches(true) != matches(false));
        }
    }
}
