//! Money: whole minor units inside, a JSON number with at most two decimals outside.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// An amount in minor units (cents, pence). Never negative, at most [`Money::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

/// Why a number is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    /// More than two decimals.
    #[error("must have at most two decimals")]
    TooFine,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Above [`Money::MAX`], or no number at all.
    #[error("must be at most 10000000000000")]
    TooLarge,
}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);
    /// Ten million million units: below 2^53 minor units, so that every JSON reader keeps it exactly.
    pub const MAX: Money = Money(1_000_000_000_000_000);

    /// An amount of so many minor units.
    ///
    /// # Errors
    /// Below zero or above [`Money::MAX`].
    pub fn from_minor(minor: i64) -> Result<Self, BadMoney> {
        match minor {
            ..0 => Err(BadMoney::Negative),
            minor if minor > Self::MAX.0 => Err(BadMoney::TooLarge),
            minor => Ok(Money(minor)),
        }
    }

    /// An amount from a JSON number.
    ///
    /// A decimal text with two decimals has exactly one nearest double, and dividing two integers
    /// below 2^53 gives that same double, so the comparison below is exact: 19.99 is accepted and
    /// 19.999 is not, with no tolerance anywhere.
    ///
    /// # Errors
    /// More than two decimals, negative, or too large.
    pub fn from_number(number: f64) -> Result<Self, BadMoney> {
        let nearest = Self::nearest(number)?;
        if nearest.0 as f64 / 100.0 == number { Ok(nearest) } else { Err(BadMoney::TooFine) }
    }

    /// The amount nearest to a JSON number, half a minor unit up: for clients whose prices are sums and
    /// products of binary fractions, such as 59.97000000000001.
    ///
    /// # Errors
    /// Negative, or too large.
    pub fn nearest(number: f64) -> Result<Self, BadMoney> {
        if number < 0.0 {
            return Err(BadMoney::Negative);
        }
        let minor = (number * 100.0).round();
        if !minor.is_finite() || minor > Self::MAX.0 as f64 {
            return Err(BadMoney::TooLarge);
        }
        Ok(Money(minor as i64))
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// This much, `times` times; `None` above [`Money::MAX`].
    pub fn times(self, times: u32) -> Option<Money> {
        self.0.checked_mul(i64::from(times)).filter(|sum| *sum <= Self::MAX.0).map(Money)
    }

    /// The sum of both; `None` above [`Money::MAX`].
    pub fn plus(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).filter(|sum| *sum <= Self::MAX.0).map(Money)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            serializer.serialize_i64(self.0 / 100)
        } else {
            serializer.serialize_f64(self.0 as f64 / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Money;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount with at most two decimals")
            }
            fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Money, E> {
                let minor = whole.checked_mul(100).ok_or(BadMoney::TooLarge);
                minor.and_then(Money::from_minor).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Money, E> {
                let whole = i64::try_from(whole).map_err(|_| E::custom(BadMoney::TooLarge))?;
                self.visit_i64(whole)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
                Money::from_number(number).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Amount)
    }
}

/// A currency by its ISO 4217 code: three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct Currency(Arc<str>);

/// A text that is no currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a currency code of three capital letters, such as EUR")]
pub struct BadCurrency;

impl Currency {
    /// Reads a currency code.
    ///
    /// # Errors
    /// Anything but three capital letters.
    pub fn parse(code: &str) -> Result<Self, BadCurrency> {
        if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Currency(code.into()))
        } else {
            Err(BadCurrency)
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The currency of orders whose source names none: the compatibility API and the older events.
impl Default for Currency {
    fn default() -> Self {
        Currency("USD".into())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Arc<str>> for Currency {
    type Error = BadCurrency;
    fn try_from(code: Arc<str>) -> Result<Self, BadCurrency> {
        Currency::parse(&code)
    }
}

impl From<Currency> for Arc<str> {
    fn from(currency: Currency) -> Self {
        currency.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_amount_survives_json_exactly(minor in 0..=Money::MAX.0) {
            let json = serde_json::to_string(&Money(minor)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), Money(minor), "{}", json);
        }

        #[test]
        fn a_third_decimal_is_refused(whole in 0u32..1_000_000, thousandth in 1u32..10) {
            let json = format!("{whole}.00{thousandth}");
            prop_assert!(serde_json::from_str::<Money>(&json).is_err(), "{}", json);
        }
    }

    #[test]
    fn the_nearest_amount_of_a_price_that_was_computed_is_the_one_that_was_meant() {
        for (number, minor) in [(59.97000000000001, 5_997), (10.555, 1_056), (0.001, 0), (3.0, 300)] {
            assert_eq!(Money::nearest(number), Ok(Money(minor)), "{number}");
        }
        assert_eq!(Money::nearest(-0.01), Err(BadMoney::Negative));
        assert_eq!(Money::nearest(1e300), Err(BadMoney::TooLarge));
        assert_eq!(Money::nearest(f64::NAN), Err(BadMoney::TooLarge));
    }

    #[test]
    fn the_bounds_are_amounts_and_the_next_beyond_them_are_not() {
        let most = Money::MAX.0;
        for (minor, read) in [
            (0, Ok(Money::ZERO)),
            (-1, Err(BadMoney::Negative)),
            (most, Ok(Money::MAX)),
            (most + 1, Err(BadMoney::TooLarge)),
            (i64::MAX, Err(BadMoney::TooLarge)),
        ] {
            assert_eq!(Money::from_minor(minor), read, "{minor}");
        }
        assert_eq!((Money::from_number(0.0), Money::nearest(0.0)), (Ok(Money::ZERO), Ok(Money::ZERO)));
        assert_eq!((Money::from_number(1e13), Money::nearest(1e13)), (Ok(Money::MAX), Ok(Money::MAX)));
        assert_eq!(Money::nearest(10_000_000_000_000.02), Err(BadMoney::TooLarge));
    }

    #[test]
    fn a_sum_is_exact_or_is_refused() {
        assert_eq!(Money(1999).plus(Money(1)), Some(Money(2000)));
        assert_eq!(Money(Money::MAX.0 - 1).plus(Money(1)), Some(Money::MAX));
        assert_eq!(Money::MAX.plus(Money(1)), None);
        assert_eq!(Money(Money::MAX.0 / 2).times(2), Some(Money::MAX));
    }

    #[test]
    fn what_is_no_amount_is_told_what_one_looks_like() {
        for (bad, why) in [
            ("\"5\"", "expected an amount with at most two decimals"),
            ("19.999", "must have at most two decimals"),
            ("-1", "must not be negative"),
            ("10000000000001", "must be at most 10000000000000"),
            ("18446744073709551615", "must be at most 10000000000000"),
        ] {
            let refused = serde_json::from_str::<Money>(bad).unwrap_err().to_string();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters_and_is_shown_as_it_is_stored() {
        let euro = Currency::parse("EUR").unwrap();
        assert_eq!((euro.as_str(), euro.to_string()), ("EUR", "EUR".to_owned()));
        for bad in ["", "EU", "EURO", "eur", "E1R", "EÜ"] {
            assert_eq!(Currency::parse(bad), Err(BadCurrency), "{bad}");
        }
    }

    #[test]
    fn money_is_bounded_and_never_negative() {
        for bad in ["-1", "-0.01", "1e300", "10000000000000.01", "18446744073709551615", "\"5\"", "null"] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
        assert_eq!(Money(1999).times(3), Some(Money(5997)));
        assert_eq!(Money::MAX.times(2), None);
        assert_eq!((Money(1999).minor(), Money(1999).to_string()), (1999, "19.99".to_owned()));
    }
}
