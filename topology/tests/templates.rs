//! What the two templates promise, whatever is added to them.

#![allow(clippy::unwrap_used)] // helpers of tests are tests, which clippy does not see

#[path = "templates/rules.rs"]
mod rules;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use topology::{
    DetailType, Parameters, PartialBatchFailure, Queue, Resource, Route, Source, Templates, Topology,
};

const SOURCES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../template-ims.yaml") },
];

fn parameters(environment: &str) -> Parameters {
    [("Environment", environment)].into_iter().collect()
}

fn topology(environment: &str) -> Topology {
    Topology::load(&SOURCES, &parameters(environment)).unwrap_or_else(|error| panic!("{error}"))
}

fn resources(environment: &str) -> Vec<Resource> {
    let templates = Templates::read(&SOURCES, &parameters(environment)).unwrap();
    templates.resources().unwrap_or_else(|error| panic!("{error}"))
}

fn of_kind<'a>(resources: &'a [Resource], kind: &str) -> impl Iterator<Item = &'a Resource> {
    resources.iter().filter(move |resource| resource.kind == kind)
}

fn is_dead_letter_queue(topology: &Topology, queue: &Queue) -> bool {
    let redrives =
        topology.queues.iter().filter_map(|it| it.redrive.as_ref()).map(|it| &it.dead_letter_queue);
    let targets = topology.rules.iter().flat_map(|rule| &rule.targets).flat_map(|it| &it.dead_letter_queue);
    let clocks = topology.functions.iter().flat_map(|it| &it.schedules).flat_map(|it| &it.dead_letter_queue);
    let functions = topology.functions.iter().flat_map(|function| &function.dead_letter_queue);
    let names =
        redrives.chain(targets).chain(clocks).chain(functions).chain(&topology.pipe.dead_letter_queue);
    names.into_iter().any(|name| *name == queue.name)
}

/// Every event name that any rule tests for.
fn event_names(resources: &[Resource]) -> BTreeSet<String> {
    let tests = of_kind(resources, "AWS::Events::Rule")
        .flat_map(|rule| rule.properties["EventPattern"]["detail"]["event_name"].as_array().unwrap());
    tests.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn event(name: &str, priority: &str) -> Value {
    json!({"source": "sagaline.log", "detail-type": name, "detail": {"event_name": name, "priority": priority}})
}

fn record(name: &str) -> Value {
    json!({"eventName": "INSERT", "dynamodb": {"NewImage": {"event_name": {"S": name}}}})
}

#[test]
fn a_template_in_json_declares_what_it_does_in_yaml() {
    let documents = SOURCES.map(|source| source.document().unwrap().to_string());
    let in_json = [0, 1].map(|n| Source { name: SOURCES[n].name, text: &documents[n] });
    for environment in ["dev", "prod"] {
        let of_json = Topology::load(&in_json, &parameters(environment)).unwrap();
        assert_eq!(format!("{of_json:?}"), format!("{:?}", topology(environment)));
    }
    // A flow mapping begins like JSON and is none.
    let flow = Source { name: "flow.yaml", text: "{Resources: {Queue: {Type: AWS::SQS::Queue}}}" };
    assert_eq!(flow.document().unwrap(), json!({ "Resources": { "Queue": { "Type": "AWS::SQS::Queue" } } }));
}

#[test]
fn every_worker_is_fed_by_its_lanes() {
    let topology = topology("dev");
    let lanes: BTreeMap<&str, Vec<&str>> = topology
        .functions
        .iter()
        .filter(|function| !function.queues.is_empty())
        .map(|function| {
            let mut lanes: Vec<&str> = function.queues.iter().map(|it| it.queue.as_str()).collect();
            lanes.sort_unstable();
            (function.binary.as_str(), lanes)
        })
        .collect();
    assert_eq!(
        lanes,
        BTreeMap::from([
            ("catalog-worker", vec!["OMS-CatalogQueue"]),
            ("inventory-worker", vec!["IMS-InventoryPriorityQueue", "IMS-InventoryQueue"]),
            ("orders-worker", vec!["OMS-OrderEventsQueue", "OMS-PriorityQueue"]),
            ("payments-worker", vec!["OMS-PaymentsPriorityQueue", "OMS-PaymentsQueue"]),
        ])
    );
    for source in topology.functions.iter().flat_map(|function| &function.queues) {
        let expected = if source.queue.contains("Priority") { 20 } else { 50 };
        assert_eq!(source.maximum_concurrency, Some(expected), "{}", source.queue);
        assert!(source.report_batch_item_failures && source.batch_size == 10, "{}", source.queue);
    }
}

#[test]
fn raw_events_are_taken_in_dev_only() {
    let raw = Route { method: "POST".to_owned(), path: "/chaos/raw-events".to_owned(), authorized: true };
    assert!(topology("dev").function("chaos-api").unwrap().routes.contains(&raw));
    let prod = topology("prod");
    assert_eq!(prod.function("chaos-api"), None);
    assert!(prod.functions.iter().all(|function| !function.routes.contains(&raw)));
    assert_eq!(prod.queues, topology("dev").queues, "apart from that the environments are wired alike");
}

/// A worker tries again after 1 s, 2 s, 4 s … up to 5 minutes: `workers/src/batch.rs`.
#[test]
fn a_message_is_given_up_no_sooner_than_after_a_quarter_of_an_hour_of_trouble() {
    let topology = topology("prod");
    let limits: Vec<_> = topology
        .queues
        .iter()
        .filter_map(|queue| Some((&queue.name, queue.redrive.as_ref()?.max_receive_count)))
        .collect();
    assert_eq!(limits.len(), 8);
    for (queue, limit) in limits {
        let waits: u64 = (1..limit).map(|receive| (1 << (receive - 1)).min(300)).sum();
        assert!(waits > 15 * 60, "{queue} gives up after {waits} s");
    }
}

#[test]
fn what_the_pipe_gave_up_on_is_read_again_one_message_at_a_time() {
    let topology = topology("prod");
    let function = topology.function("pipe-dlq").unwrap();
    assert_eq!(function.queues, [], "it is no worker: what it reads are no events");
    let source = function.pipe_dead_letters.as_ref().unwrap();
    assert_eq!((source.queue.as_str(), source.batch_size), ("OMS-PipeDLQ", 1));
    let redrive = topology.queue("OMS-PipeDLQ").unwrap().redrive.as_ref().unwrap();
    assert_eq!(redrive.dead_letter_queue, "OMS-PipeGivenUpDLQ");
}

#[test]
fn a_dead_letter_queue_keeps_messages_longer_than_the_queues_before_it() {
    let topology = topology("prod");
    for queue in &topology.queues {
        let Some(redrive) = &queue.redrive else { continue };
        assert!(
            topology.queue(&redrive.dead_letter_queue).unwrap().retention > queue.retention,
            "{}",
            queue.name
        );
    }
}

#[test]
fn the_bus_may_send_to_every_queue_a_rule_names_and_nobody_else_may() {
    let resources = resources("prod");
    let mut allowed = BTreeSet::new();
    for policy in of_kind(&resources, "AWS::SQS::QueuePolicy") {
        for statement in policy.properties["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(statement["Principal"]["Service"], "events.amazonaws.com", "{}", policy.logical_id);
            assert_eq!(statement["Action"], "sqs:SendMessage", "{}", policy.logical_id);
            for rule in statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap() {
                allowed.insert((rule.to_string(), statement["Resource"].to_string()));
            }
        }
    }
    let mut needed = BTreeSet::new();
    for rule in of_kind(&resources, "AWS::Events::Rule") {
        let bus = rule.properties["EventBusName"].as_str().unwrap();
        let arn =
            json!(format!("arn:aws:events:us-east-1:000000000000:rule/{bus}/{}", rule.name)).to_string();
        for target in rule.properties["Targets"].as_array().unwrap() {
            needed.insert((arn.clone(), target["Arn"].to_string()));
            needed.insert((arn.clone(), target["DeadLetterConfig"]["Arn"].to_string()));
        }
    }
    for function in of_kind(&resources, "AWS::Serverless::Function") {
        let events = function.properties.get("Events").and_then(Value::as_object);
        for event in events.into_iter().flatten().map(|(_, event)| event) {
            if event["Type"] == "Schedule" {
                let name = event["Properties"]["Name"].as_str().unwrap();
                let arn = json!(format!("arn:aws:events:us-east-1:000000000000:rule/{name}")).to_string();
                needed.insert((arn, event["Properties"]["DeadLetterConfig"]["Arn"].to_string()));
            }
        }
    }
    assert_eq!(allowed, needed);
}

#[test]
fn the_pipe_carries_exactly_the_events_that_somebody_listens_to() {
    let resources = resources("prod");
    let pipe = of_kind(&resources, "AWS::Pipes::Pipe").next().unwrap();
    let filters = pipe.properties["SourceParameters"]["FilterCriteria"]["Filters"].as_array().unwrap();
    let filtered: BTreeSet<String> = filters
        .iter()
        .map(|filter| serde_json::from_str::<Value>(filter["Pattern"].as_str().unwrap()).unwrap())
        .flat_map(|pattern| pattern["dynamodb"]["NewImage"]["event_name"]["S"].as_array().unwrap().clone())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(filtered, event_names(&resources));

    let pipe = topology("prod").pipe;
    let passes = |record: &Value| pipe.filters.iter().any(|filter| filter.matches(record));
    assert!(filtered.iter().all(|name| passes(&record(name))));
    assert!(!passes(&record("StockReceived")), "nobody listens to it");
    let mut changed = record("OrderPlaced");
    changed["eventName"] = json!("MODIFY");
    assert!(!passes(&changed));
}

#[test]
fn the_pipe_quotes_every_placeholder_and_survives_a_bad_record() {
    let pipe = topology("prod").pipe;
    assert_eq!(pipe.input_template.unquoted().collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!((pipe.source_name.as_str(), pipe.bus.as_str()), ("sagaline.log", "sagaline"));
    assert_eq!(pipe.on_partial_batch_item_failure, PartialBatchFailure::Bisect);
    assert!(pipe.maximum_retry_attempts.is_some());
    assert!(pipe.maximum_record_age.is_some_and(|age| age < Duration::from_secs(86_400)));
    assert_eq!(pipe.dead_letter_queue.as_deref(), Some("OMS-PipeDLQ"));
}

#[test]
fn an_event_reaches_the_bus_as_a_flat_object_of_texts() {
    let item = json!({
        "pk": {"S": "EVENTS#ORDER_ID#o-1"}, "sk": {"S": "EVENT#OrderPlaced"}, "event_id": {"S": "01J"},
        "event_name": {"S": "OrderPlaced"}, "schema_version": {"N": "1"}, "data": {"S": "{\"order_id\":\"o-1\"}"},
        "occurred_at": {"S": "2026-01-01T00:00:00.000Z"}, "priority": {"S": "standard"}, "producer": {"S": "oms-api"},
        "correlation_id": {"S": "c"}, "traceparent": {"S": "t"}, "counters": {"M": {}},
    });
    let record = json!({"eventName": "INSERT", "dynamodb": {"NewImage": item}});
    let pipe = topology("prod").pipe;
    let detail: Value = serde_json::from_str(&pipe.input_template.render(&record).unwrap()).unwrap();
    assert_eq!(
        detail,
        json!({
            "pk": "EVENTS#ORDER_ID#o-1", "sk": "EVENT#OrderPlaced", "event_id": "01J", "event_name": "OrderPlaced",
            "schema_version": "1", "data": "{\"order_id\":\"o-1\"}", "occurred_at": "2026-01-01T00:00:00.000Z",
            "priority": "standard", "producer": "oms-api", "correlation_id": "c", "traceparent": "t",
        })
    );
    let DetailType::Path(path) = pipe.detail_type else { panic!("the detail type is the event's name") };
    assert_eq!(path.select(&record), Some(&json!("OrderPlaced")));
}

#[test]
fn every_event_reaches_each_worker_that_wants_it_by_exactly_one_lane() {
    let topology = topology("prod");
    let lane_of = |function: &topology::Function, event: &Value| -> Vec<String> {
        let matching = topology.rules.iter().filter(|rule| rule.pattern.matches(event));
        let queues = matching.flat_map(|rule| &rule.targets).map(|target| target.queue.clone());
        queues.filter(|queue| function.queues.iter().any(|source| source.queue == *queue)).collect()
    };
    for name in event_names(&resources("prod")) {
        let mut reached = 0;
        for function in &topology.functions {
            let standard = lane_of(function, &event(&name, "standard"));
            let express = lane_of(function, &event(&name, "express"));
            let unheard_of = lane_of(function, &event(&name, "whatever"));
            assert!(standard.len() <= 1, "{name} reaches {} twice", function.binary);
            assert_eq!(standard.len(), express.len(), "{name} to {}", function.binary);
            assert_eq!(
                standard, unheard_of,
                "what is not express is standard: {name} to {}",
                function.binary
            );
            assert!(
                standard.iter().all(|queue| !queue.contains("Priority")),
                "{name} to {}",
                function.binary
            );
            reached += standard.len();
        }
        assert!(reached > 0, "{name} reaches nobody");
    }
}

#[test]
fn an_event_goes_to_the_workers_that_listen_to_it_by_whatever_name() {
    let topology = topology("prod");
    let queues = |name: &str, priority: &str| -> BTreeSet<String> {
        let matching = topology.rules.iter().filter(|rule| rule.pattern.matches(&event(name, priority)));
        matching.flat_map(|rule| &rule.targets).map(|target| target.queue.clone()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let cancelled = set(&["OMS-OrderEventsQueue", "OMS-PaymentsQueue", "IMS-InventoryQueue"]);
    for name in ["OrderCancelled", "ORDER_CANCELED_EVENT", "ORDER_CANCELLED_EVENT"] {
        assert_eq!(queues(name, "standard"), cancelled, "{name}");
    }
    assert_eq!(
        queues("ReserveInventory", "express"),
        set(&["OMS-PriorityQueue", "IMS-InventoryPriorityQueue"])
    );
    assert_eq!(queues("ORDER_CREATED_EVENT", "standard"), queues("ReserveInventory", "standard"));
    assert_eq!(queues("SKU_RESTOCKED_EVENT", "standard"), set(&["IMS-InventoryQueue"]));
    assert_eq!(queues("ProductRepriced", "standard"), set(&["OMS-CatalogQueue"]));
    assert_eq!(queues("StockReceived", "standard"), set(&[]));
}

/// The settings of one command for one stack and environment, of which each is a line.
fn sam_settings(section: &str) -> BTreeSet<&'static str> {
    let lines = include_str!("../../samconfig.toml").lines();
    let header = format!("[{section}.parameters]");
    let inside = lines.skip_while(|line| *line != header).skip(1).take_while(|line| !line.starts_with('['));
    inside.filter(|line| line.contains(" = ")).collect()
}

#[test]
fn each_stack_is_built_and_deployed_as_its_environment_and_prod_builds_no_raw_event_function() {
    for (stack, service) in [("oms", "OMS"), ("ims", "IMS")] {
        for environment in ["dev", "prod"] {
            let build = sam_settings(&format!("{stack}-{environment}.build"));
            let deploy = sam_settings(&format!("{stack}-{environment}.deploy"));
            let has = |settings: &BTreeSet<&str>, wanted: &str| settings.iter().any(|it| it.contains(wanted));
            assert!(has(&build, &format!("template_file = \"template-{stack}.yaml\"")), "{build:?}");
            assert!(has(&build, &format!("build_dir = \"target/sam/{stack}-{environment}\"")), "{build:?}");
            assert!(
                has(&deploy, &format!("template_file = \"target/sam/{stack}-{environment}/template.yaml\"")),
                "{deploy:?}"
            );
            for settings in [&build, &deploy] {
                assert!(has(settings, &format!("\"Environment={environment}\"")), "{settings:?}");
            }
            let tags = ["Service", "Environment", "Version"].iter().zip([service, environment, "1.0.0"]);
            let tags: Vec<String> = tags.map(|(name, value)| format!("\"{name}={value}\"")).collect();
            assert!(has(&deploy, &format!("tags = [{}]", tags.join(", "))), "{deploy:?}");
            let excluded = has(&build, "exclude = [\"ChaosApiFunction\"]");
            assert_eq!(excluded, (stack, environment) == ("oms", "prod"), "{stack}-{environment}");
        }
    }
}

#[test]
fn the_sweeper_runs_every_minute() {
    let topology = topology("prod");
    let schedules = &topology.function("oms-sweeper").unwrap().schedules;
    assert!(
        schedules[..].iter().all(|it| it.enabled && it.every == Duration::from_secs(60))
            && schedules.len() == 1
    );
}

#[test]
fn a_sweep_of_the_log_goes_on_as_soon_as_its_function_may_run_again() {
    let topology = topology("prod");
    let schedules = &topology.function("oms-log-sweeper").unwrap().schedules;
    assert!(
        schedules[..].iter().all(|it| it.enabled && it.every == Duration::from_secs(900))
            && schedules.len() == 1
    );
}

#[test]
fn every_request_has_one_function_that_answers_it() {
    let topology = topology("dev");
    let count = |binary| topology.function(binary).unwrap().routes.len();
    assert_eq!((count("oms-api"), count("ims-api"), count("chaos-api")), (33, 10, 2));
}

/// To receive from a queue by hand, a function would have to be allowed what every worker is: to receive, to move stock,
/// to call the gateway. On AWS the queues' own pollers drain them, and docs/aws.md says how to hurry or to stop them.
#[test]
fn no_function_that_answers_requests_drains_a_queue_by_hand() {
    for environment in ["dev", "prod"] {
        let topology = topology(environment);
        let answering = topology.functions.iter().filter(|function| !function.routes.is_empty());
        for function in answering {
            assert_eq!(function.sources().count(), 0, "{} is fed by a queue", function.binary);
            let drains = function.routes.iter().any(|route| route.path == "/orders/process-queue");
            assert!(!drains, "{}", function.binary);
        }
    }
}

#[test]
fn the_apis_share_what_they_say_of_themselves_and_no_other_route() {
    let topology = topology("dev");
    let mut times = BTreeMap::new();
    for route in topology.functions.iter().flat_map(|function| &function.routes) {
        *times.entry(format!("{} {}", route.method, route.path)).or_insert(0) += 1;
    }
    times.retain(|_, times| *times > 1);
    let shared = ["GET /livez", "GET /openapi.json", "GET /readyz"];
    assert_eq!(times, shared.map(|route| (route.to_owned(), 2)).into());
}

#[test]
fn the_ims_template_does_not_stand_alone() {
    let error = Topology::load(&SOURCES[1..], &Parameters::default()).unwrap_err().to_string();
    assert!(error.contains("no template publishes /sagaline/oms/"), "{error}");
}

#[test]
fn a_template_with_a_line_missing_is_loaded_or_refused_but_never_panics() {
    let lines: Vec<&str> = SOURCES[1].text.lines().collect();
    let mut refused = 0;
    for missing in (0..lines.len()).step_by(11) {
        let text = [&lines[..missing], &lines[missing + 1..]].concat().join("\n");
        let sources = [SOURCES[0], Source { name: SOURCES[1].name, text: &text }];
        if let Err(error) = Topology::load(&sources, &Parameters::default()) {
            assert!(error.to_string().starts_with("failed to "), "without line {}: {error}", missing + 1);
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused} refused");
}
