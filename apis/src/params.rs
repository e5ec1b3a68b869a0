//! Reading a query string: like [`crate::fields`], but each value is text and what is wrong is 400.

use axum::extract::Query;
use axum::http::Uri;
use events::Timestamp;
use serde_json::{Value, json};

use crate::fields::{Bad, Kind, kind};
use crate::problem::{FieldError, Place, Problem};

/// The parameters of a request, and what was found wrong with them so far.
#[derive(Debug)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// Where nothing is read, and the parameters that are asked for are described.
    described: Option<Vec<(&'static str, Value)>>,
}

impl Params {
    /// The parameters of a URI.
    ///
    /// # Errors
    /// The query string is none.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let pairs = Query::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|_| {
            let bad = Bad("malformed_query", "must be name=value pairs".into());
            Problem::parameters(vec![wrong("", bad)])
        })?;
        Ok(Params { pairs, errors: Vec::new(), described: None })
    }

    /// The parameters that are read like this, each with its schema.
    pub(crate) fn describe<T>(read: impl FnOnce(&mut Params) -> T) -> Vec<(&'static str, Value)> {
        let mut params = Params { pairs: Vec::new(), errors: Vec::new(), described: Some(Vec::new()) };
        read(&mut params);
        params.described.unwrap_or_default()
    }

    /// A parameter that may be missing.
    pub(crate) fn read<T>(&mut self, name: &'static str, kind: impl Kind<str, T>) -> Option<T> {
        if let Some(described) = &mut self.described {
            described.push((name, kind.schema()));
            return None;
        }
        let (mine, others) = self.pairs.drain(..).partition(|(key, _)| key == name);
        self.pairs = others;
        let mine: Vec<_> = mine;
        let read = match &mine[..] {
            [] => return None,
            [(_, value)] => kind.read(value),
            _ => Err(Bad("repeated", "must be given once".into())),
        };
        read.map_err(|bad| self.refuse(name, bad)).ok()
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn refuse(&mut self, name: &str, bad: Bad) {
        self.errors.push(wrong(name, bad));
    }

    /// Refuses what is wrong or left over.
    ///
    /// # Errors
    /// A problem that lists everything that is wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let unknown = |(name, _): (String, String)| {
            wrong(&name, Bad("unknown_parameter", "is not a parameter of this route".into()))
        };
        self.errors.extend(self.pairs.into_iter().map(unknown));
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::parameters(self.errors)) }
    }
}

fn wrong(name: &str, Bad(code, detail): Bad) -> FieldError {
    FieldError { place: Place::Parameter(name.to_owned()), detail, code }
}

/// How many rows a page has: 1 to 200.
pub(crate) fn limit() -> impl Kind<str, usize> {
    let schema = || json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT });
    kind(schema, |text: &str| match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(Bad("out_of_range", format!("must be a whole number from 1 to {MAX_LIMIT}").into())),
    })
}

const MAX_LIMIT: usize = 200;
/// How many rows a page has if nobody says.
pub(crate) const LIMIT: usize = 50;

/// The first moment of a range: a moment itself, or the first of a day (UTC).
pub(crate) fn from() -> impl Kind<str, Timestamp> {
    kind(time, |text: &str| moment(text).map(|(first, _)| first))
}

/// The end of a range, no longer part of it: a moment itself, or the first moment after a day (UTC).
pub(crate) fn until() -> impl Kind<str, Timestamp> {
    kind(time, |text: &str| moment(text).map(|(_, end)| end))
}

fn time() -> Value {
    json!({ "type": "string", "anyOf": [{ "format": "date" }, { "format": "date-time" }] })
}

fn moment(text: &str) -> Result<(Timestamp, Timestamp), Bad> {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let is_day = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let parsed = if is_day {
        Timestamp::parse(&format!("{text}T00:00:00Z"))
            .map(|first| (first, Timestamp::from_millis(first.millis() + DAY)))
    } else {
        Timestamp::parse(text).map(|at| (at, at))
    };
    let expected =
        "must be a day like 2010-12-01 or a time like 2010-12-01T08:26:00Z (in a URL, + is written %2B)";
    parsed.map_err(|_| Bad("invalid_time", expected.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_as_end_is_meant_whole_and_a_moment_as_end_is_not_part_of_the_range() {
        let text = |moment: Result<Timestamp, Bad>| moment.map(|at| at.to_string()).map_err(|bad| bad.0);
        assert_eq!(text(from().read("2010-12-01")), Ok("2010-12-01T00:00:00.000Z".into()));
        assert_eq!(text(until().read("2010-12-31")), Ok("2011-01-01T00:00:00.000Z".into()));
        assert_eq!(text(until().read("9998-12-31")), Ok("9998-12-31T23:59:59.999Z".into()));
        assert_eq!(text(until().read("2010-12-01T10:00:00+02:00")), Ok("2010-12-01T08:00:00.000Z".into()));
        for bad in
            ["", "2010-02-30", "2010-1-1", "today", "2010-12-01T10:00:00 02:00", "éééééééééé", "9999-12-31"]
        {
            assert_eq!(text(from().read(bad)), Err("invalid_time"), "{bad}");
        }
    }

    #[test]
    fn a_page_has_1_to_200_rows() {
        assert_eq!(limit().read("200").ok(), Some(200));
        for bad in ["0", "201", "-1", "1.0", "", " 5", "99999999999999999999"] {
            assert!(limit().read(bad).is_err(), "{bad}");
        }
    }
}
