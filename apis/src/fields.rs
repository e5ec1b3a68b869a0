//! Reading an object's fields: everything that is wrong with them is found before anything is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::mem;
use std::ops::RangeInclusive;

use axum::body::Bytes;
use events::ids::{MAX_CLIENT_ID, MAX_RECORDED_ID, MIN_CLIENT_ID};
use events::{BadId, BadMoney, Currency, Money};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::problem::{FieldError, Place, Problem};

/// One JSON object that is being read, and what was found wrong so far.
///
/// Reading takes a field out; what is left when it is finished is unknown. A read answers `None` when the
/// field is missing or wrong; that has then been noted, so [`Fields::finish`] will refuse the request.
#[derive(Debug)]
pub(crate) struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
    /// The list that the object stands in, and where; `None` for the body itself.
    within: Option<(&'static str, usize)>,
    text: Bytes,
    /// Where nothing is read, and the fields that are asked for are described.
    described: Option<Described>,
}

#[derive(Debug, Default)]
struct Described {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

/// How a value is read, and the JSON Schema of those that can be: said in one place, so that it is one thing.
pub(crate) trait Kind<From: ?Sized, T> {
    /// Reads one.
    fn read(self, value: &From) -> Result<T, Bad>;
    /// What can be read.
    fn schema(&self) -> Value;
}

/// A [`Kind`] of two functions.
pub(crate) struct Of<Schema, Read>(Schema, Read);

/// A kind of value: its schema, and how it is read.
pub(crate) fn kind<From: ?Sized, T, Schema: Fn() -> Value, Read: FnOnce(&From) -> Result<T, Bad>>(
    schema: Schema,
    read: Read,
) -> Of<Schema, Read> {
    Of(schema, read)
}

impl<From: ?Sized, T, Schema: Fn() -> Value, Read: FnOnce(&From) -> Result<T, Bad>> Kind<From, T>
    for Of<Schema, Read>
{
    fn read(self, value: &From) -> Result<T, Bad> {
        self.1(value)
    }

    fn schema(&self) -> Value {
        self.0()
    }
}

/// What is wrong with one value: a code for programs, and what it must be.
#[derive(Debug)]
pub(crate) struct Bad(pub(crate) &'static str, pub(crate) Cow<'static, str>);

impl Bad {
    pub(crate) fn kind(what: &'static str) -> Bad {
        Bad("wrong_type", what.into())
    }
}

impl Fields {
    /// The fields of a body; `text` is the body itself.
    pub(crate) fn new(object: Map<String, Value>, text: Bytes) -> Fields {
        Fields { object, errors: Vec::new(), within: None, text, described: None }
    }

    /// The schema of the objects that can be read like this.
    pub(crate) fn describe<T>(read: impl FnOnce(&mut Fields) -> Option<T>) -> Value {
        let mut fields = Fields::new(Map::new(), Bytes::new());
        fields.described = Some(Described::default());
        read(&mut fields);
        let Described { properties, required } = fields.described.unwrap_or_default();
        json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
    }

    /// A field that must be there.
    pub(crate) fn required<T>(&mut self, name: &'static str, kind: impl Kind<Value, T>) -> Option<T> {
        match &mut self.described {
            Some(described) => described.required.push(name),
            None if !self.object.contains_key(name) => {
                self.refuse(name, Bad("required", "is required".into()));
            }
            None => (),
        }
        self.optional(name, kind)
    }

    /// A field that may be missing. One that is there must be right; `null` is not the same as missing.
    pub(crate) fn optional<T>(&mut self, name: &'static str, kind: impl Kind<Value, T>) -> Option<T> {
        if let Some(described) = &mut self.described {
            described.properties.insert(name.to_owned(), kind.schema());
            return None;
        }
        kind.read(&self.object.remove(name)?).map_err(|bad| self.refuse(name, bad)).ok()
    }

    /// A list of objects that must be there and not empty. `None` if anything in it is wrong.
    pub(crate) fn each<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Fields) -> Option<T>,
    ) -> Option<Vec<T>> {
        if let Some(described) = &mut self.described {
            let list = json!({ "type": "array", "minItems": 1, "items": Fields::describe(read) });
            described.properties.insert(name.to_owned(), list);
            described.required.push(name);
            return None;
        }
        let list = match self.object.remove(name) {
            Some(Value::Array(list)) if !list.is_empty() => list,
            Some(Value::Array(_)) => return self.refused(name, Bad("empty", "must not be empty".into())),
            Some(_) => return self.refused(name, Bad::kind("must be a list of objects")),
            None => return self.refused(name, Bad("required", "is required".into())),
        };
        let known = self.errors.len();
        let mut found = Vec::with_capacity(list.len());
        for (index, element) in list.into_iter().enumerate() {
            let Value::Object(object) = element else {
                self.refuse_at(format!("/{name}/{index}"), Bad::kind("must be an object"));
                continue;
            };
            let errors = mem::take(&mut self.errors);
            let within = Some((name, index));
            let mut line = Fields { object, errors, within, text: Bytes::new(), described: None };
            found.extend(read(&mut line));
            line.refuse_unknown();
            self.errors = line.errors;
        }
        (self.errors.len() == known).then_some(found)
    }

    /// The text of a field exactly as it was sent. Of a field that is named twice, the last.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(&self.text).ok()?;
        fields.get(name).map(|raw| raw.get().to_owned())
    }

    /// Notes what is wrong with a field.
    pub(crate) fn refuse(&mut self, name: &str, bad: Bad) {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = match self.within {
            None => format!("/{name}"),
            Some((list, index)) => format!("/{list}/{index}/{name}"),
        };
        self.refuse_at(pointer, bad);
    }

    /// Notes what is wrong with the value under a JSON pointer.
    pub(crate) fn refuse_at(&mut self, pointer: String, Bad(code, detail): Bad) {
        self.errors.push(FieldError { place: Place::Pointer(pointer), detail, code });
    }

    /// What was read, if nothing was wrong and nothing is left.
    ///
    /// # Errors
    /// A problem that lists everything that is wrong.
    pub(crate) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problem> {
        self.refuse_unknown();
        self.finish_with_others(read)
    }

    /// What was read, if nothing was wrong, whatever is left.
    ///
    /// # Errors
    /// A problem that lists everything that is wrong.
    pub(crate) fn finish_with_others<T>(self, read: Option<T>) -> Result<T, Problem> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(Problem::fields("invalid_fields", self.errors)),
        }
    }

    fn refused<T>(&mut self, name: &str, bad: Bad) -> Option<T> {
        self.refuse(name, bad);
        None
    }

    fn refuse_unknown(&mut self) {
        for name in mem::take(&mut self.object).into_iter().map(|(name, _)| name) {
            self.refuse(&name, Bad("unknown_field", "is not a field of this request".into()));
        }
    }
}

/// An id that a client gives.
pub(crate) fn id<T>(parse: fn(&str) -> Result<T, BadId>) -> impl Kind<Value, T> {
    let schema = || json!({ "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{{MIN_CLIENT_ID},{MAX_CLIENT_ID}}}$") });
    kind(schema, move |value: &Value| recorded(parse, string(value)?))
}

/// An id that stands in the log already, in a text.
pub(crate) fn known_id<T>(parse: fn(&str) -> Result<T, BadId>) -> impl Kind<str, T> {
    let schema =
        || json!({ "type": "string", "maxLength": MAX_RECORDED_ID, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$" });
    kind(schema, move |text: &str| recorded(parse, text))
}

fn recorded<T>(parse: fn(&str) -> Result<T, BadId>, text: &str) -> Result<T, Bad> {
    parse(text).map_err(|bad| Bad("invalid_id", bad.to_string().into()))
}

/// The text of a string.
pub(crate) fn string(value: &Value) -> Result<&str, Bad> {
    value.as_str().ok_or(Bad::kind("must be a string"))
}

/// A whole number, written as one: 1.0 is none.
pub(crate) fn whole(range: RangeInclusive<u64>) -> impl Kind<Value, u64> {
    let (least, most) = (*range.start(), *range.end());
    let schema = move || json!({ "type": "integer", "minimum": least, "maximum": most });
    kind(schema, move |value: &Value| {
        let number = value.as_number().ok_or(Bad::kind("must be a whole number"))?;
        match number.as_u64() {
            Some(whole) if range.contains(&whole) => Ok(whole),
            None if number.as_i64().is_none() && number.as_f64().is_some_and(|n| n.abs() < 1e15) => {
                Err(Bad::kind("must be a whole number, written without a point or an exponent"))
            }
            _ => Err(Bad("out_of_range", format!("must be a whole number from {least} to {most}").into())),
        }
    })
}

/// An amount of money.
pub(crate) fn money() -> impl Kind<Value, Money> {
    let schema = || json!({ "type": "number", "minimum": 0, "maximum": MOST });
    kind(schema, |value: &Value| {
        let number = value.as_number().ok_or(Bad::kind("must be a number with at most two decimals"))?;
        let amount = match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole
                .checked_mul(100)
                .ok_or(if whole < 0 { BadMoney::Negative } else { BadMoney::TooLarge })
                .and_then(Money::from_minor),
            (None, Some(number)) => Money::from_number(number),
            (None, None) => Err(BadMoney::TooLarge),
        };
        amount.map_err(|bad| {
            let code = if bad == BadMoney::TooFine { "too_fine" } else { "out_of_range" };
            Bad(code, bad.to_string().into())
        })
    })
}

/// [`Money::MAX`], as it is written.
const MOST: u64 = 10_000_000_000_000;

/// The amount nearest to a number.
pub(crate) fn nearest_money() -> impl Kind<Value, Money> {
    kind(
        || json!({ "type": "number", "minimum": 0, "maximum": MOST }),
        |value: &Value| {
            let number = value.as_f64().ok_or(Bad::kind("must be a number"))?;
            Money::nearest(number).map_err(|bad| Bad("out_of_range", bad.to_string().into()))
        },
    )
}

/// A currency code.
pub(crate) fn currency() -> impl Kind<Value, Currency> {
    kind(
        || json!({ "type": "string", "pattern": "^[A-Z]{3}$" }),
        |value: &Value| {
            let code = string(value)?;
            Currency::parse(code).map_err(|bad| Bad("invalid_currency", bad.to_string().into()))
        },
    )
}

/// Text for people: 1 to `longest` characters on one line, not only spaces.
pub(crate) fn text(longest: usize) -> impl Kind<Value, String> {
    const LINE: &str = r"[^\x00-\x1f\x7f-\x9f]";
    kind(move || written(longest, LINE), move |value: &Value| words(value, longest, char::is_control))
}

/// Text for people that may have several lines.
pub(crate) fn lines_of_text(longest: usize) -> impl Kind<Value, String> {
    const LINES: &str = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]";
    let is_forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    kind(move || written(longest, LINES), move |value: &Value| words(value, longest, is_forbidden))
}

/// The schema of texts of these characters, not only spaces.
fn written(longest: usize, characters: &str) -> Value {
    let pattern = format!(r"^{characters}*[^\s\x00-\x1f\x7f-\x9f]{characters}*$");
    json!({ "type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern })
}

fn words(value: &Value, longest: usize, is_forbidden: impl Fn(char) -> bool) -> Result<String, Bad> {
    let text = string(value)?;
    if text.trim().is_empty() {
        return Err(Bad("empty", "must not be blank".into()));
    }
    if text.chars().count() > longest {
        return Err(Bad("too_long", format!("must have at most {longest} characters").into()));
    }
    if text.contains(is_forbidden) {
        return Err(Bad("control_character", "must not contain control characters".into()));
    }
    Ok(text.to_owned())
}

/// One of some words.
pub(crate) fn one_of<T: Copy>(words: &[(&'static str, T)]) -> impl Kind<Value, T> {
    let schema =
        || json!({ "type": "string", "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() });
    kind(schema, move |value: &Value| {
        let text = string(value)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Bad("invalid_value", format!("must be one of {}", words.join(", ")).into())
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(object) = value else { panic!("an object") };
        Fields::new(object, Bytes::new())
    }

    fn pointers(problem: &Problem) -> Vec<(String, String)> {
        let body = axum::body::to_bytes(problem.response(None).into_body(), 1 << 20);
        let body: Value =
            serde_json::from_slice(&futures_util::FutureExt::now_or_never(body).unwrap().unwrap()).unwrap();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        let errors = body["errors"].as_array().unwrap();
        errors.iter().map(|error| (text(error, "pointer"), text(error, "code"))).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once_with_its_pointer() {
        let mut body = fields(json!({
            "lines": [{"n": 0, "a/b": 1}, 7, {"n": 3}, {}],
            "name": " ", "~x": null,
        }));
        let lines = body.each("lines", |line| line.required("n", whole(1..=9)));
        let name = body.required("name", text(10));
        let missing = body.required("missing", text(10));
        assert_eq!((&lines, &name, &missing), (&None, &None, &None));
        let expected = [
            ("/lines/0/n", "out_of_range"),
            ("/lines/0/a~1b", "unknown_field"),
            ("/lines/1", "wrong_type"),
            ("/lines/3/n", "required"),
            ("/name", "empty"),
            ("/missing", "required"),
            ("/~0x", "unknown_field"),
        ];
        let problem = body.finish(lines.zip(name)).unwrap_err();
        assert_eq!(pointers(&problem), expected.map(|(at, code)| (at.to_owned(), code.to_owned())));
    }

    #[test]
    fn a_whole_number_is_written_as_one() {
        let read = |value| whole(1..=1_000).read(&value).map_err(|bad| bad.0);
        assert_eq!(read(json!(1)), Ok(1));
        assert_eq!(read(json!(1000)), Ok(1000));
        for kind in [json!(1.0), json!(1.5), json!(1e3), json!("1"), json!(true), json!(null), json!([1])] {
            assert_eq!(read(kind.clone()), Err("wrong_type"), "{kind}");
        }
        for range in [json!(0), json!(-1), json!(1001), json!(u64::MAX), json!(1e300)] {
            assert_eq!(read(range.clone()), Err("out_of_range"), "{range}");
        }
    }

    #[test]
    fn money_has_at_most_two_decimals_and_is_bounded() {
        let read = |value| money().read(&value).map(Money::minor).map_err(|bad| bad.0);
        assert_eq!(read(json!(19.99)), Ok(1999));
        assert_eq!(read(json!(5)), Ok(500));
        assert_eq!(read(json!(0)), Ok(0));
        assert_eq!(read(json!(0.001)), Err("too_fine"));
        for range in
            [json!(-0.01), json!(-1), json!(1e300), json!(u64::MAX), json!(i64::MIN), json!(i64::MAX)]
        {
            assert_eq!(read(range.clone()), Err("out_of_range"), "{range}");
        }
        assert_eq!(read(json!("5")), Err("wrong_type"));
    }

    #[test]
    fn the_text_of_a_field_is_what_was_sent() {
        let text = Bytes::from_static(br#"{"d": {"n": 1.10,  "b":12345678901234567890123}, "x":1}"#);
        let fields = Fields::new(Map::new(), text);
        assert_eq!(fields.text_of("d").unwrap(), r#"{"n": 1.10,  "b":12345678901234567890123}"#);
        assert_eq!(fields.text_of("y"), None);
    }
}
