//! Some numbers out of many, as people write them: `0-3,7,12-15`.

use std::fmt;
use std::str::FromStr;

/// Numbers, each once, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers(Vec<u64>);

impl Numbers {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub fn contains(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// All but those that stand at these places.
    pub fn without(&self, places: std::ops::Range<usize>) -> Numbers {
        Numbers([&self.0[..places.start], &self.0[places.end..]].concat())
    }
}

impl FromIterator<u64> for Numbers {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut numbers: Vec<u64> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Numbers(numbers)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| one + 1 == *next).map(|run| match run {
            [only] => only.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        });
        let runs: Vec<String> = runs.collect();
        f.write_str(if runs.is_empty() { "none" } else { "" })?;
        f.write_str(&runs.join(","))
    }
}

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Numbers::default());
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        let runs = text.split(',').map(|run| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            Ok(number(first)?..=number(last)?)
        });
        let runs: Vec<_> = runs.collect::<Result<_, String>>()?;
        Ok(runs.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, numbers) in [("none", &[][..]), ("4", &[4]), ("0-3,7,9-10", &[0, 1, 2, 3, 7, 9, 10])] {
            let numbers: Numbers = numbers.iter().copied().collect();
            assert_eq!((numbers.to_string().as_str(), text.parse()), (text, Ok(numbers)));
        }
        assert_eq!("3,1,2-3".parse::<Numbers>().map(|read| read.to_string()), Ok("1-3".to_owned()));
        assert_eq!("1,x".parse::<Numbers>(), Err("\"x\" is no number".to_owned()));
    }

    #[test]
    fn some_can_be_left_out() {
        let numbers: Numbers = (0..6).collect();
        assert_eq!(numbers.without(1..4).to_string(), "0,4-5");
        assert!(numbers.contains(1) && !numbers.without(1..4).contains(1));
    }
}
