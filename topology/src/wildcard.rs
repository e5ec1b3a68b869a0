//! A text pattern in which `*` stands for any run of characters.

/// A wildcard pattern, cut at its stars, so that matching looks for one piece after the other and
/// never backtracks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wildcard {
    first: String,
    /// One piece after each star; the last of them must end the text.
    rest: Vec<String>,
}

impl Wildcard {
    /// Reads the pattern language of EventBridge: `*` is a wildcard, `\*` a star, `\\` a backslash.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut after_star = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '*' && after_star {
                return Err("consecutive wildcards are not allowed, write a single *".to_owned());
            }
            after_star = character == '*';
            if after_star {
                pieces.push(String::new());
                continue;
            }
            let literal = match character {
                '\\' => {
                    characters.next().filter(|escaped| matches!(escaped, '*' | '\\')).ok_or_else(|| {
                        "a backslash may only stand before * or another backslash, write \\\\ for a backslash"
                            .to_owned()
                    })?
                }
                other => other,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(literal);
            }
        }
        let first = pieces.remove(0);
        Ok(Wildcard { first, rest: pieces })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else {
            return text == self.first;
        };
        let Some(mut left) = text.strip_prefix(self.first.as_str()) else {
            return false;
        };
        // Taking each piece at its earliest place leaves the most room for the rest, so one pass decides.
        for piece in middle {
            match left.find(piece.as_str()) {
                Some(at) => left = &left[at + piece.len()..],
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        let cases = [
            ("dir/*.png", "dir/a.png", true),
            ("dir/*.png", "dir/.png", true),
            ("dir/*.png", "dir/a.jpg", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            ("*é*", "café", true),
            (r"\*a\\", r"*a\", true),
            (r"\*a\\", r"xa\", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Wildcard::parse(pattern).unwrap().matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_eventbridge_refuses_is_refused() {
        for pattern in ["**", "a**b", r"\a", r"a\"] {
            assert!(Wildcard::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Wildcard::parse(r"*\**").is_ok(), "a star and an escaped star are not two wildcards");
    }

    #[test]
    fn the_worst_text_is_decided_in_one_pass() {
        let pattern = Wildcard::parse(&format!("{}b", "*a".repeat(1_000))).unwrap();
        assert!(!pattern.matches(&"a".repeat(200_000)));
    }
}
