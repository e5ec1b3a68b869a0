//! A JSON path: where in a document a value stands.

use serde_json::Value;

/// A path of the kind EventBridge takes: `$`, `$.detail`, `$.dynamodb.NewImage.pk.S`, `$.items[0].sku`.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    dotted: String,
    steps: Vec<Step>,
}

/// A text that is no JSON path, or one with a syntax EventBridge does not take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("failed to read \"{path}\" as a JSON path: {problem}")]
pub struct JsonPathError {
    path: String,
    problem: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl JsonPath {
    /// Reads a path. Names are letters, digits, `_`, `-` and `/`; an index is a number in brackets.
    pub fn parse(path: &str) -> Result<Self, JsonPathError> {
        let fail = |problem| JsonPathError { path: path.to_owned(), problem };
        let rest = path.strip_prefix('$').ok_or_else(|| fail("a path starts with $, as in $.detail"))?;
        let mut steps = Vec::new();
        let mut left = rest;
        while !left.is_empty() {
            left = match (left.strip_prefix('.'), left.strip_prefix('[')) {
                (Some(after), _) => {
                    let end = after.find(['.', '[']).unwrap_or(after.len());
                    steps.push(Step::Key(name(&after[..end]).map_err(fail)?));
                    &after[end..]
                }
                (None, Some(after)) => {
                    let (index, after) =
                        after.split_once(']').ok_or_else(|| fail("a [ has no ], close it"))?;
                    let index = index.parse().map_err(|_| fail("only a number may stand in brackets"))?;
                    steps.push(Step::Index(index));
                    after
                }
                (None, None) => return Err(fail("a name follows a dot, as in $.detail")),
            };
        }
        Ok(JsonPath { dotted: rest.trim_start_matches('.').to_owned(), steps })
    }

    /// The value the path leads to, if the document has one there.
    pub fn select<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(document, |here, step| match step {
            Step::Key(key) => here.as_object()?.get(key),
            Step::Index(index) => here.as_array()?.get(*index),
        })
    }

    /// The path without its `$.`: `dynamodb.NewImage.pk.S`; empty for the whole document.
    pub fn dotted(&self) -> &str {
        &self.dotted
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let known = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '/');
    match text {
        "" => Err("a name is missing after a dot"),
        "*" => Err("wildcards are not supported here, name the field"),
        _ if text.chars().all(known) => Ok(text.to_owned()),
        _ => Err("a name may hold letters, digits, _ and - only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_selects_the_value_it_leads_to() {
        let document = json!({"detail": {"detail-type": "x", "items": [{"sku": "A"}, {"sku": "B"}]}});
        let select = |path: &str| JsonPath::parse(path).unwrap().select(&document).cloned();
        assert_eq!(select("$"), Some(document.clone()));
        assert_eq!(select("$.detail.detail-type"), Some(json!("x")));
        assert_eq!(select("$.detail.items[1].sku"), Some(json!("B")));
        assert_eq!(select("$.detail.items[2].sku"), None);
        assert_eq!(select("$.detail.items.sku"), None);
        assert_eq!(select("$.detail.detail-type.more"), None);
    }

    #[test]
    fn a_path_eventbridge_would_not_take_is_refused() {
        for path in
            ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a[*]", "$.*", "$.a b", "$.a]"]
        {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
