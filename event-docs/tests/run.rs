//! What the API and the workers really append, in whole runs of the system under faults.
#![allow(clippy::unwrap_used)]

mod kept;

use std::collections::BTreeSet;

use events::EventName;
use kept::{is_read, validators};
use simulator::{Plan, run};

#[test]
fn whatever_is_appended_in_a_run_is_valid_by_its_schema_exactly_where_it_is_read() {
    let validators = validators();
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let outcome = run(&Plan { seed, lines: true, ..Plan::default() });
        assert_eq!(outcome.failure, None, "{seed}");
        for line in outcome.lines.lines() {
            let Some((_, told)) = line.split_once("    stored ") else { continue };
            let (told, _) = told.rsplit_once(" because of ").unwrap();
            let words: Vec<&str> = told.splitn(5, ' ').collect();
            let [_, _, _, name, data] = words[..] else { panic!("{line}") };
            // Raw events have any name, and older ones a payload of their own.
            let Some((name, false)) = EventName::find(name) else { continue };
            let payload = serde_json::from_str(data);
            let is_valid = payload.is_ok_and(|payload| validators[&name].is_valid(&payload));
            assert_eq!(is_valid, is_read(name, data), "{seed}: {name} {data}");
            if is_valid {
                seen.insert(name);
            }
        }
    }
    let never: Vec<&EventName> = EventName::ALL.iter().filter(|name| !seen.contains(name)).collect();
    assert_eq!(never, [] as [&EventName; 0]);
}
