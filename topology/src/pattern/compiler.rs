//! From the JSON of an event pattern to what is tested; whatever is not understood is refused.

use super::{Alternative, Bound, Field, PatternError, Test, TextTest, lower_case};
use crate::wildcard::Wildcard;
use serde_json::{Map, Number, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// Numeric tests take values in this range only, on both sides, as AWS documents.
pub(super) const NUMERIC_LIMIT: f64 = 5.0e9;
/// A pattern may multiply out to at most this many combinations, as AWS documents.
const MAX_ALTERNATIVES: usize = 1_000;
/// Deeper than any event: JSON texts that are read here end at 128.
pub(super) const MAX_DEPTH: usize = 100;

/// Compiles patterns, and notes what only a bus would take.
#[derive(Default)]
pub(super) struct Compiler {
    pub(super) bus_only: Option<String>,
}

impl Compiler {
    /// Adds the fields of one object of the pattern to each of the alternatives found so far.
    pub(super) fn object(
        &mut self,
        fields: &Map<String, Value>,
        path: &[String],
        mut alternatives: Vec<Alternative>,
    ) -> Result<Vec<Alternative>, PatternError> {
        if fields.is_empty() {
            return Err(at(path, "an empty object matches nothing, name a field in it"));
        }
        if path.len() > MAX_DEPTH {
            return Err(at(path, "the pattern is nested too deeply"));
        }
        for (name, value) in fields {
            let below = [path, std::slice::from_ref(name)].concat();
            alternatives = match value {
                _ if name == "$or" => self.or(value, path, alternatives)?,
                _ if name.contains('.') => {
                    return Err(at(&below, "a field name with a dot is ambiguous, nest the objects instead"));
                }
                Value::Object(fields) => self.object(fields, &below, alternatives)?,
                Value::Array(tests) => {
                    let field = Arc::new(self.field(tests, &below)?);
                    add(alternatives, below, &field)?
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(at(&below, "a value stands in an array, as in [\"OrderPlaced\"]"));
                }
            };
        }
        Ok(alternatives)
    }

    fn or(
        &mut self,
        value: &Value,
        path: &[String],
        alternatives: Vec<Alternative>,
    ) -> Result<Vec<Alternative>, PatternError> {
        let choices = value.as_array().filter(|choices| choices.len() >= 2);
        let choices = choices.ok_or_else(|| at(path, "$or takes an array of at least two objects"))?;
        if alternatives.len().saturating_mul(choices.len()) > MAX_ALTERNATIVES {
            return Err(at(path, "$or multiplies out to more than 1000 combinations, use fewer choices"));
        }
        let mut all = Vec::new();
        for choice in choices {
            let fields = choice.as_object().ok_or_else(|| at(path, "$or takes objects only"))?;
            if let Some(operator) =
                fields.keys().find(|name| *name != "$or" && OPERATORS.contains(&name.as_str()))
            {
                return Err(at(path, format!("$or takes objects of fields, {operator} is an operator")));
            }
            all.extend(self.object(fields, path, alternatives.clone())?);
            if all.len() > MAX_ALTERNATIVES {
                return Err(at(path, "$or multiplies out to more than 1000 combinations, use fewer choices"));
            }
        }
        Ok(all)
    }

    fn field(&mut self, values: &[Value], path: &[String]) -> Result<Field, PatternError> {
        if values.is_empty() {
            return Err(at(path, "an empty array matches nothing, list a value in it"));
        }
        let mut field = Field { path: path.to_vec(), tests: Vec::new(), or_absent: false };
        let mut texts = Vec::new();
        for value in values {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Null => field.tests.push(Test::Null),
                Value::Bool(flag) => field.tests.push(Test::Bool(*flag)),
                Value::Number(number) => field.tests.push(Test::Number(number.clone())),
                Value::Object(expression) => match self.expression(expression, path)? {
                    Some(test) => field.tests.push(test),
                    None => field.or_absent = true,
                },
                Value::Array(_) => {
                    return Err(at(path, "an array in an array matches nothing, list the values"));
                }
            }
        }
        if !texts.is_empty() {
            field.tests.insert(0, Test::Text(one_of(texts)));
        }
        Ok(field)
    }

    /// Compiles `{"operator": argument}`; `{"exists": false}` is no test of a value, so `None`.
    fn expression(
        &mut self,
        expression: &Map<String, Value>,
        path: &[String],
    ) -> Result<Option<Test>, PatternError> {
        let (operator, argument) = single(expression).ok_or_else(|| {
            at(path, "an expression has exactly one operator, as in {\"prefix\": \"Order\"}")
        })?;
        let fail = |problem: String| at(path, format!("{operator}: {problem}"));
        let test = match operator {
            "prefix" | "suffix" => Test::Text(prefix_or_suffix(operator, argument).map_err(fail)?),
            "equals-ignore-case" => {
                Test::Text(TextTest::EqualIgnoringCase(lower(text(argument).map_err(fail)?)))
            }
            "wildcard" => {
                self.note_bus_only("wildcard");
                let pattern = text(argument).map_err(fail)?;
                Test::Text(TextTest::Wildcard(Wildcard::parse(pattern).map_err(fail)?))
            }
            "numeric" => numeric(argument).map_err(fail)?,
            "cidr" => cidr(text(argument).map_err(fail)?).map_err(fail)?,
            "anything-but" => self.anything_but(argument).map_err(fail)?,
            "exists" => match argument {
                Value::Bool(true) => Test::Present,
                Value::Bool(false) => return Ok(None),
                _ => return Err(fail("takes true or false".to_owned())),
            },
            _ => {
                return Err(at(
                    path,
                    format!(
                        "operator \"{operator}\" is not known, use prefix, suffix, equals-ignore-case, \
                         wildcard, anything-but, numeric, exists or cidr"
                    ),
                ));
            }
        };
        Ok(Some(test))
    }

    fn anything_but(&mut self, argument: &Value) -> Result<Test, String> {
        if let Value::Object(expression) = argument {
            let (operator, argument) =
                single(expression).ok_or("takes an object with exactly one operator")?;
            self.note_bus_only(&format!("anything-but {operator}"));
            let tests = listed(argument).iter().map(|item| excepted(operator, item));
            return tests.collect::<Result<Vec<_>, _>>().and_then(non_empty).map(Test::AnythingButTexts);
        }
        let items = listed(argument);
        if let Some(numbers) = items.iter().map(Value::as_number).map(Option::<&Number>::cloned).collect() {
            return non_empty(numbers).map(Test::AnythingButNumbers);
        }
        let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        let texts = texts.ok_or("takes texts only or numbers only, not null, true, false or a mixture")?;
        Ok(Test::AnythingButTexts(vec![one_of(texts)]))
    }

    fn note_bus_only(&mut self, operator: &str) {
        self.bus_only.get_or_insert_with(|| operator.to_owned());
    }
}

/// Names that EventBridge keeps for operators: in an object of `$or` they are no field names.
const OPERATORS: [&str; 13] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "$or",
];

/// Puts a field into every alternative. EventBridge keeps only one of two conditions on one field,
/// and does not say so; here the second is refused.
fn add(
    mut alternatives: Vec<Alternative>,
    path: Vec<String>,
    field: &Arc<Field>,
) -> Result<Vec<Alternative>, PatternError> {
    for alternative in &mut alternatives {
        if alternative.insert(path.clone(), Arc::clone(field)).is_some() {
            return Err(at(&path, "the field is named both inside and outside of $or, name it once"));
        }
    }
    Ok(alternatives)
}

fn prefix_or_suffix(operator: &str, argument: &Value) -> Result<TextTest, String> {
    let nested = argument.as_object().map(|expression| match single(expression) {
        Some(("equals-ignore-case", text)) => Ok(text),
        _ => Err("takes a text or {\"equals-ignore-case\": text}".to_owned()),
    });
    Ok(match (operator, nested.transpose()?) {
        ("prefix", Some(ignoring)) => TextTest::PrefixIgnoringCase(lower(text(ignoring)?)),
        ("prefix", None) => TextTest::Prefix(text(argument)?.to_owned()),
        (_, Some(ignoring)) => TextTest::SuffixIgnoringCase(lower(text(ignoring)?)),
        (_, None) => TextTest::Suffix(text(argument)?.to_owned()),
    })
}

/// What `anything-but` may except besides plain values.
fn excepted(operator: &str, argument: &Value) -> Result<TextTest, String> {
    let text = text(argument)?;
    match operator {
        "prefix" | "suffix" if text.is_empty() => Err(format!("an empty {operator} excepts everything")),
        "prefix" => Ok(TextTest::Prefix(text.to_owned())),
        "suffix" => Ok(TextTest::Suffix(text.to_owned())),
        "equals-ignore-case" => Ok(TextTest::EqualIgnoringCase(lower(text))),
        "wildcard" => Wildcard::parse(text).map(TextTest::Wildcard),
        _ => Err(format!("\"{operator}\" is not known, use prefix, suffix, equals-ignore-case or wildcard")),
    }
}

/// `["=", n]`, `["<", n]`, `[">=", n]` or `[">", n, "<=", m]`.
fn numeric(argument: &Value) -> Result<Test, String> {
    const SHAPE: &str = "takes [\"=\", 5], [\"<\", 5], [\">=\", 5] or [\">\", 0, \"<=\", 5]";
    let parts = argument.as_array().ok_or(SHAPE)?;
    let bound = |operator: &Value, limit: &Value| {
        let limit = limit.as_f64().ok_or(SHAPE)?;
        if limit.abs() > NUMERIC_LIMIT {
            return Err("numbers must lie between -5.0e9 and 5.0e9".to_owned());
        }
        match operator.as_str() {
            Some(name @ ("=" | "<" | "<=" | ">" | ">=")) => {
                Ok((name.to_owned(), Bound { limit, inclusive: name.ends_with('=') }))
            }
            _ => Err(SHAPE.to_owned()),
        }
    };
    match parts.as_slice() {
        [operator, limit] => {
            let (name, bound) = bound(operator, limit)?;
            Ok(match name.as_str() {
                "=" => {
                    let below = Bound { limit: bound.limit, inclusive: true };
                    Test::Numeric { above: Some(bound), below: Some(below) }
                }
                "<" | "<=" => Test::Numeric { above: None, below: Some(bound) },
                _ => Test::Numeric { above: Some(bound), below: None },
            })
        }
        [first, bottom, second, top] => {
            let ((first, above), (second, below)) = (bound(first, bottom)?, bound(second, top)?);
            if !first.starts_with('>') || !second.starts_with('<') {
                return Err(SHAPE.to_owned());
            }
            if above.limit >= below.limit {
                return Err("the lower bound must be less than the upper bound".to_owned());
            }
            Ok(Test::Numeric { above: Some(above), below: Some(below) })
        }
        _ => Err(SHAPE.to_owned()),
    }
}

fn cidr(text: &str) -> Result<Test, String> {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let network: IpAddr = address.parse().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits: &u8| *bits <= most)?;
        Some(Test::Cidr { network, bits })
    });
    parsed.ok_or_else(|| "takes an address block, as in 10.0.0.0/24".to_owned())
}

fn one_of(mut texts: Vec<String>) -> TextTest {
    texts.sort_unstable();
    texts.dedup();
    TextTest::OneOf(texts)
}

fn single(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    let (key, value) = entries.next()?;
    entries.next().is_none().then_some((key.as_str(), value))
}

fn listed(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn non_empty<T>(items: Vec<T>) -> Result<Vec<T>, String> {
    if items.is_empty() {
        Err("an empty list excepts nothing, list a value in it".to_owned())
    } else {
        Ok(items)
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "takes a text".to_owned())
}

fn lower(text: &str) -> String {
    lower_case(text).collect()
}

pub(super) fn at(path: &[String], problem: impl Into<String>) -> PatternError {
    let path = if path.is_empty() { "its top".to_owned() } else { path.join(".") };
    PatternError::Field { path, problem: problem.into() }
}
