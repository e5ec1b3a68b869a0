//! A moment: UTC, to the millisecond, RFC 3339 as text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. Between the years 1970 and 9998.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct Timestamp(i64);

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time like 2010-12-01T08:26:00Z (RFC 3339)")]
pub struct BadTimestamp;

/// 9998-12-31T23:59:59.999Z: the last whole year that can be written in every time zone.
const LAST: i64 = 253_370_764_799_999;

impl Timestamp {
    /// A moment so many milliseconds after 1970-01-01T00:00:00Z; the nearest that can be written.
    pub fn from_millis(millis: i64) -> Self {
        Timestamp(millis.clamp(0, LAST))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; finer than a millisecond is cut off.
    ///
    /// # Errors
    /// Any other text, or a year outside 1970–9998.
    pub fn parse(text: &str) -> Result<Self, BadTimestamp> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| BadTimestamp)?;
        match moment.as_millisecond() {
            millis @ 0..=LAST => Ok(Timestamp(millis)),
            _ => Err(BadTimestamp),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.3}")
    }
}

impl TryFrom<Arc<str>> for Timestamp {
    type Error = BadTimestamp;
    fn try_from(text: Arc<str>) -> Result<Self, BadTimestamp> {
        Timestamp::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(moment: Timestamp) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_to_the_millisecond_and_read_back() {
        let moment = Timestamp::parse("2010-12-01T10:26:00.5+02:00").unwrap();
        assert_eq!(moment.to_string(), "2010-12-01T08:26:00.500Z");
        assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment));
        for bad in ["", "2010-12-01", "yesterday", "1969-12-31T23:59:59Z"] {
            assert_eq!(Timestamp::parse(bad), Err(BadTimestamp), "{bad}");
        }
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9998-12-31T23:59:59.999Z");
    }
}
