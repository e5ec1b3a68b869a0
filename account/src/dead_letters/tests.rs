//! What the templates make of their dead-letter queues, and where letters go from each.

use serde_json::json;
use topology::{Parameters, Source};

use super::*;

const TEMPLATES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../../template-ims.yaml") },
];

fn topology() -> Topology {
    Topology::load(&TEMPLATES, &Parameters::default()).unwrap()
}

fn queue(name: &str) -> DeadLetterQueue {
    DeadLetterQueue::all(&topology()).into_iter().find(|queue| queue.name == name).unwrap()
}

fn letter(body: impl ToString) -> Letter {
    Letter { body: body.to_string(), ..Letter::default() }
}

fn back(queue: &str, body: impl ToString) -> Result<Back, Stays> {
    Ok(Back { queue: queue.to_owned(), body: body.to_string() })
}

fn noon() -> Timestamp {
    Timestamp::parse("2026-01-02T12:00:00Z").unwrap()
}

#[test]
fn the_templates_have_these_dead_letter_queues() {
    let found = DeadLetterQueue::all(&topology());
    let shown = |queue: &DeadLetterQueue| {
        let holds = match &queue.holds {
            Holds::Messages(from) => format!("messages of {}", from.join(", ")),
            Holds::Events(targets) => format!("events for {} targets", targets.len()),
            Holds::Records(queue) => format!("records of {queue}"),
            Holds::ReadBy(function) => format!("read by {function}"),
            Holds::Ticks => "ticks".to_owned(),
        };
        format!("{} of {}: {holds}", queue.name, queue.stack)
    };
    let expected = [
        "OMS-OrderEventsDLQ of template-oms.yaml: messages of OMS-OrderEventsQueue, OMS-PriorityQueue",
        "OMS-PaymentsDLQ of template-oms.yaml: messages of OMS-PaymentsPriorityQueue, OMS-PaymentsQueue",
        "OMS-CatalogDLQ of template-oms.yaml: messages of OMS-CatalogQueue",
        "OMS-PipeDLQ of template-oms.yaml: read by pipe-dlq",
        "OMS-PipeGivenUpDLQ of template-oms.yaml: records of OMS-PipeDLQ",
        "OMS-RulesDLQ of template-oms.yaml: events for 5 targets",
        "OMS-SweepersDLQ of template-oms.yaml: ticks",
        "IMS-InventoryDLQ of template-ims.yaml: messages of IMS-InventoryPriorityQueue, IMS-InventoryQueue",
        "IMS-RulesDLQ of template-ims.yaml: events for 2 targets",
    ];
    let mut found: Vec<String> = found.iter().map(shown).collect();
    let mut expected = expected.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn every_queue_of_one_dead_letter_queue_leads_to_the_same_worker() {
    let topology = topology();
    for queue in DeadLetterQueue::all(&topology) {
        let Holds::Messages(from) = queue.holds else { continue };
        let reads = |name: &String| {
            let reader = topology.functions.iter().find(|it| it.sources().any(|of| of.queue == *name));
            reader.unwrap().binary.clone()
        };
        let mut readers: Vec<String> = from.iter().map(reads).collect();
        readers.dedup();
        assert_eq!(readers.len(), 1, "{}", queue.name);
    }
}

#[test]
fn a_message_goes_back_to_the_queue_it_came_from_as_it_was() {
    let payments = queue("OMS-PaymentsDLQ");
    let mut message = letter("any text");
    message.source = Some("OMS-PaymentsQueue".into());
    assert_eq!(payments.way(&message, noon()), back("OMS-PaymentsQueue", "any text"));
    // Where nobody knows, either lane will do.
    message.source = None;
    assert_eq!(payments.way(&message, noon()), back("OMS-PaymentsPriorityQueue", "any text"));
}

#[test]
fn an_event_goes_to_the_queue_that_the_bus_could_not_reach_as_its_rule_would_have_sent_it() {
    let rules = queue("IMS-RulesDLQ");
    let detail = json!({ "pk": "EVENTS#SKU#lamp", "event_name": "SkuRestocked" });
    let event = json!({ "source": "sagaline.log", "detail-type": "SkuRestocked", "detail": detail });
    let to = |target: &str, body: &Value| Letter { target: Some(target.into()), ..letter(body) };
    assert_eq!(rules.way(&to("IMS-InventoryQueue", &event), noon()), back("IMS-InventoryQueue", &detail));
    // Whatever the bus keeps: its event, or the part of it that it would have sent.
    assert_eq!(rules.way(&to("IMS-InventoryQueue", &detail), noon()), back("IMS-InventoryQueue", &detail));
    assert_eq!(rules.way(&letter(&event), noon()), Err(Stays::NoTarget));
    assert_eq!(rules.way(&to("OMS-OrderEventsQueue", &event), noon()), Err(Stays::NoTarget));
    assert_eq!(rules.way(&to("IMS-InventoryQueue", &json!({})), noon()), Err(Stays::Unreadable));
}

#[test]
fn records_are_asked_for_again_while_the_stream_may_have_them() {
    let given_up = queue("OMS-PipeGivenUpDLQ");
    let of =
        |time: &str| letter(json!({ "DDBStreamBatchInfo": { "approximateArrivalOfFirstRecord": time } }));
    let young = of("2026-01-01T12:00:01Z");
    assert_eq!(given_up.way(&young, noon()), back("OMS-PipeDLQ", &young.body));
    assert_eq!(given_up.way(&of("2026-01-01T12:00:00Z"), noon()), Err(Stays::Forgotten));
    // One that does not say when it was is tried.
    assert_eq!(given_up.way(&letter("{}"), noon()), back("OMS-PipeDLQ", "{}"));
}

#[test]
fn what_a_function_reads_anyway_and_what_was_a_tick_stay() {
    assert_eq!(queue("OMS-PipeDLQ").way(&letter("{}"), noon()), Err(Stays::ReadAlready));
    assert_eq!(queue("OMS-SweepersDLQ").way(&letter("{}"), noon()), Err(Stays::NoWayBack));
}
