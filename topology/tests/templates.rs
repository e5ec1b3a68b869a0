//! What the two templates promise, whatever is added to them.

#![allow(clippy::unwrap_used)] // helpers of tests are tests, which clippy does not see

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
    redrives.chain(targets).chain(&topology.pipe.dead_letter_queue).any(|name| *name == queue.name)
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
    let raw = Route { method: "POST".to_owned(), path: "/chaos/raw-events".to_owned() };
    assert!(topology("dev").function("chaos-api").unwrap().routes.contains(&raw));
    let prod = topology("prod");
    assert_eq!(prod.function("chaos-api"), None);
    assert!(prod.functions.iter().all(|function| !function.routes.contains(&raw)));
    assert_eq!(prod.queues, topology("dev").queues, "apart from that the environments are wired alike");
}

#[test]
fn every_queue_that_is_worked_on_gives_up_into_a_dead_letter_queue() {
    let topology = topology("prod");
    for queue in &topology.queues {
        assert_eq!(queue.redrive.is_none(), is_dead_letter_queue(&topology, queue), "{}", queue.name);
    }
    assert_eq!(topology.queue("OMS-PaymentsQueue").unwrap().redrive.as_ref().unwrap().max_receive_count, 12);
    assert_eq!(topology.queue("IMS-InventoryQueue").unwrap().redrive.as_ref().unwrap().max_receive_count, 6);
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
fn a_message_stays_hidden_for_six_times_as_long_as_its_worker_may_run() {
    let topology = topology("prod");
    for function in &topology.functions {
        for source in &function.queues {
            let queue = topology.queue(&source.queue).unwrap();
            assert!(queue.visibility_timeout >= 6 * function.timeout, "{}", queue.name);
        }
    }
}

#[test]
fn every_rule_tries_again_and_gives_up_into_a_queue() {
    for rule in of_kind(&resources("prod"), "AWS::Events::Rule") {
        for target in rule.properties["Targets"].as_array().unwrap() {
            assert!(target["RetryPolicy"]["MaximumRetryAttempts"].is_number(), "{}", rule.logical_id);
            assert!(target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number(), "{}", rule.logical_id);
            assert!(target["DeadLetterConfig"]["Arn"].is_string(), "{}", rule.logical_id);
            assert_eq!(target["InputPath"], "$.detail", "{}", rule.logical_id);
        }
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
    assert_eq!(allowed, needed);
}

#[test]
fn every_resource_that_takes_tags_carries_the_three() {
    let without = ["AWS::SQS::QueuePolicy"];
    for environment in ["dev", "prod"] {
        for resource in resources(environment).iter().filter(|it| !without.contains(&it.kind.as_str())) {
            let service = if resource.template == "template-oms.yaml" { "OMS" } else { "IMS" };
            let expected = [("Environment", environment), ("Service", service), ("Version", "1.0.0")];
            let tags: BTreeMap<&str, &str> = match resource.properties.get("Tags") {
                Some(Value::Array(tags)) => tags
                    .iter()
                    .map(|it| (it["Key"].as_str().unwrap(), it["Value"].as_str().unwrap()))
                    .collect(),
                Some(Value::Object(tags)) => {
                    tags.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect()
                }
                _ => BTreeMap::new(),
            };
            assert_eq!(tags, BTreeMap::from(expected), "{} {}", resource.kind, resource.logical_id);
        }
    }
}

#[test]
fn every_dead_letter_queue_has_an_alarm() {
    let topology = topology("prod");
    let resources = resources("prod");
    let watched: BTreeSet<&str> = of_kind(&resources, "AWS::CloudWatch::Alarm")
        .filter(|alarm| {
            alarm.properties["MetricName"] == "ApproximateNumberOfMessagesVisible"
                && alarm.properties["Threshold"] == 0
                && alarm.properties["ComparisonOperator"] == "GreaterThanThreshold"
        })
        .map(|alarm| alarm.properties["Dimensions"][0]["Value"].as_str().unwrap())
        .collect();
    let dead: BTreeSet<&str> = topology
        .queues
        .iter()
        .filter(|queue| is_dead_letter_queue(&topology, queue))
        .map(|queue| queue.name.as_str())
        .collect();
    assert_eq!(watched, dead);
}

/// Statements of every role and function, with the name of who has them.
fn statements(resources: &[Resource]) -> Vec<(String, Value)> {
    let policies = |resource: &Resource| resource.properties.get("Policies").cloned().unwrap_or(json!([]));
    let mut statements = Vec::new();
    for resource in resources {
        for policy in policies(resource).as_array().unwrap() {
            let document = policy.get("PolicyDocument").unwrap_or(policy);
            for statement in document["Statement"].as_array().unwrap() {
                statements.push((resource.logical_id.clone(), statement.clone()));
            }
        }
    }
    statements
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        single => vec![single.as_str().unwrap()],
    }
}

#[test]
fn nobody_may_do_everything_to_anything() {
    let resources = resources("dev");
    assert!(!statements(&resources).is_empty());
    for (owner, statement) in statements(&resources) {
        assert_eq!(statement["Effect"], "Allow", "{owner}");
        assert!(
            listed(&statement["Action"]).iter().all(|action| !action.contains('*')),
            "{owner}: {statement}"
        );
        assert!(
            listed(&statement["Resource"]).iter().all(|it| !it.contains('*') || it.ends_with("/index/*")),
            "{owner}: {statement}"
        );
    }
}

#[test]
fn nobody_may_change_or_delete_an_event() {
    let resources = resources("dev");
    let log = "arn:aws:dynamodb:us-east-1:000000000000:table/oms-EventTable";
    for (owner, statement) in statements(&resources) {
        if listed(&statement["Resource"]).contains(&log) {
            for action in listed(&statement["Action"]) {
                let harmless = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan"];
                assert!(harmless.contains(&action), "{owner} has {action} on the log");
            }
        }
    }
}

#[test]
fn every_function_has_a_role_of_its_own_and_runs_the_small_runtime() {
    for function in of_kind(&resources("dev"), "AWS::Serverless::Function") {
        assert_eq!(function.properties["Runtime"], "provided.al2023", "{}", function.logical_id);
        assert_eq!(function.properties["Architectures"], json!(["arm64"]), "{}", function.logical_id);
        assert_eq!(function.metadata["BuildMethod"], "rust-cargolambda", "{}", function.logical_id);
        assert!(!function.properties.contains_key("Role"), "{}: SAM makes one for each", function.logical_id);
    }
}

#[test]
fn no_table_is_deleted_with_its_stack_and_each_can_be_restored() {
    let resources = resources("prod");
    for table in of_kind(&resources, "AWS::DynamoDB::Table") {
        assert_eq!(table.deletion_policy.as_deref(), Some("Retain"), "{}", table.logical_id);
        assert_eq!(table.properties["BillingMode"], "PAY_PER_REQUEST", "{}", table.logical_id);
        let recovery = &table.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(recovery, true, "{}", table.logical_id);
    }
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
fn the_log_sweeper_runs_every_day() {
    let topology = topology("prod");
    let schedules = &topology.function("oms-log-sweeper").unwrap().schedules;
    assert!(
        schedules[..].iter().all(|it| it.enabled && it.every == Duration::from_secs(86_400))
            && schedules.len() == 1
    );
}

#[test]
fn every_request_has_one_function_that_answers_it() {
    let topology = topology("dev");
    let count = |binary| topology.function(binary).unwrap().routes.len();
    assert_eq!((count("oms-api"), count("ims-api"), count("chaos-api")), (22, 7, 2));
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
    for missing in (0..lines.len()).step_by(5) {
        let text = [&lines[..missing], &lines[missing + 1..]].concat().join("\n");
        let sources = [SOURCES[0], Source { name: SOURCES[1].name, text: &text }];
        if let Err(error) = Topology::load(&sources, &Parameters::default()) {
            assert!(error.to_string().starts_with("failed to "), "without line {}: {error}", missing + 1);
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused} refused");
}
