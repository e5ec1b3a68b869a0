//! `sagaline status`: whether the server works, and what waits in it.

use serde_json::{Value, json};

use crate::Session;
use crate::list::rows;
use crate::output::{Column, facts, field, made, section};

const BUSY: [Column; 5] = [
    field("QUEUE", "name"),
    made("WAITING", |queue| waiting(queue).into()),
    field("IN FLIGHT", "in_flight"),
    field("OLDEST", "oldest_sent_at"),
    made("DEAD LETTER", |queue| if queue["dead_letter"] == true { "yes".into() } else { "no".into() }),
];

pub async fn run(session: &Session) -> anyhow::Result<()> {
    let client = session.client();
    let ready = client.look("/readyz").await?;
    let queues = client.look("/ops/queues").await?;
    let report = report(&session.url.to_string(), &ready, rows(&queues, "queues"));
    session.output.show(&report, in_words)
}

/// Messages that nobody is working on.
fn waiting(queue: &Value) -> u64 {
    ["visible", "delayed", "behind"].iter().filter_map(|count| queue[*count].as_u64()).sum()
}

fn report(url: &str, ready: &Value, queues: &[Value]) -> Value {
    let (dead, live): (Vec<&Value>, Vec<&Value>) =
        queues.iter().partition(|queue| queue["dead_letter"] == true);
    let count = |queues: &[&Value]| queues.iter().map(|queue| waiting(queue)).sum::<u64>();
    let in_flight: u64 = live.iter().filter_map(|queue| queue["in_flight"].as_u64()).sum();
    // Times of RFC 3339 in UTC sort as texts do.
    let oldest = live.iter().filter_map(|queue| queue["oldest_sent_at"].as_str()).min();
    let busy = queues.iter().filter(|queue| waiting(queue) > 0 || queue["in_flight"].as_u64() > Some(0));
    json!({
        "server": url, "status": ready["status"], "queues": live.len(), "waiting": count(&live),
        "in_flight": in_flight, "oldest_sent_at": oldest, "dead_letters": count(&dead),
        "busy": busy.collect::<Vec<_>>(),
    })
}

fn in_words(report: &Value) -> String {
    let fields = ["server", "status", "queues", "waiting", "in_flight", "oldest_sent_at", "dead_letters"];
    let names =
        ["server", "status", "queues", "waiting", "in flight", "oldest waiting since", "dead letters"];
    let pairs: Vec<(&str, Value)> =
        names.into_iter().zip(fields).map(|(name, field)| (name, report[field].clone())).collect();
    facts(&pairs) + &section("queues that hold something", rows(report, "busy"), &Value::Null, &BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_apart_from_what_is_given_up_and_the_oldest_of_it_is_named() {
        let queues = [
            json!({"name": "A", "dead_letter": false, "visible": 1, "in_flight": 2, "delayed": 3, "behind": 4,
                "oldest_sent_at": "2026-01-02T00:00:00.000Z"}),
            json!({"name": "B", "dead_letter": false, "visible": 0, "in_flight": 1, "delayed": 0, "behind": 0,
                "oldest_sent_at": "2026-01-01T00:00:00.000Z"}),
            json!({"name": "C", "dead_letter": false, "visible": 0, "in_flight": 0, "delayed": 0, "behind": 0}),
            json!({"name": "D", "dead_letter": true, "visible": 5}),
        ];
        let said = report("http://x", &json!({"status": "ready"}), &queues);
        let figures = ["queues", "waiting", "in_flight", "dead_letters"].map(|name| said[name].clone());
        assert_eq!(figures, [3, 8, 3, 5].map(Value::from));
        assert_eq!(said["oldest_sent_at"], "2026-01-01T00:00:00.000Z");
        let names: Vec<&Value> = rows(&said, "busy").iter().map(|queue| &queue["name"]).collect();
        assert_eq!(names, ["A", "B", "D"]);
    }

    #[test]
    fn where_nothing_waits_nothing_is_oldest() {
        let idle = [json!({"name": "A", "dead_letter": false, "visible": 0, "in_flight": 0})];
        let said = in_words(&report("http://x", &json!({"status": "ready"}), &idle));
        assert!(!said.contains("oldest") && !said.contains("hold something"), "{said}");
    }
}
