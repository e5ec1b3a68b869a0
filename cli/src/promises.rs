//! The promises as a table: for people, for programs, and for the documentation.

use serde_json::{Value, json};
use views::Invariant;

use crate::list::rows;
use crate::output::{Column, field, table};

const COLUMNS: [Column; 3] = [field("PROMISE", "name"), field("WHEN", "when"), field("WHAT", "promise")];

/// Every promise: its name, when it must hold, and its sentence.
pub fn list() -> Value {
    let promises = Invariant::ALL.into_iter().map(|invariant| {
        json!({
            "name": invariant.name(),
            "when": invariant.when().as_str(),
            "promise": invariant.promise(),
        })
    });
    json!({ "promises": promises.collect::<Vec<Value>>() })
}

/// The list for people.
pub fn in_words(list: &Value) -> String {
    table(rows(list, "promises"), &COLUMNS)
}

/// The list as it stands in the documentation.
pub fn markdown() -> String {
    let row = |invariant: Invariant| {
        let (name, when) = (invariant.name(), invariant.when().as_str());
        format!("\n| `{name}` | {when} | {} |", invariant.promise())
    };
    "| promise | when | what |\n|---|---|---|".to_owned() + &Invariant::ALL.map(row).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_what_the_command_prints() {
        let page = include_str!("../../docs/invariants.md");
        let (_, rest) = page.split_once("<!-- promises -->\n").unwrap();
        let (documented, _) = rest.split_once("\n<!-- /promises -->").unwrap();
        let printed = markdown();
        assert!(documented == printed, "put this between the markers of docs/invariants.md:\n{printed}");
    }

    #[test]
    fn every_promise_is_one_row_for_people_and_for_programs() {
        let list = list();
        assert_eq!(rows(&list, "promises").len(), Invariant::ALL.len());
        assert_eq!(in_words(&list).lines().count(), 1 + Invariant::ALL.len());
    }
}
