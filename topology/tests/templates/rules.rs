//! Rules that every resource of the templates keeps, each tried on a template that breaks it.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use topology::{Parameters, Resource, Source, Templates, Topology};

use super::{SOURCES, is_dead_letter_queue, of_kind};

/// Both templates as some parameters deploy them.
struct World {
    environment: &'static str,
    topology: Topology,
    resources: Vec<Resource>,
}

/// Who breaks a rule, and how.
type Broken = Vec<String>;
type Rule = fn(&World) -> Broken;

#[test]
fn every_queue_that_is_worked_on_gives_up_into_a_dead_letter_queue() {
    holds(queues_give_up);
}

#[test]
fn every_dead_letter_queue_has_an_alarm() {
    holds(dead_letters_ring);
}

#[test]
fn every_queue_that_is_worked_on_has_an_alarm_about_the_age_of_its_messages() {
    holds(old_messages_ring);
}

#[test]
fn every_worker_names_the_messages_it_failed_at_and_runs_only_so_often_at_once() {
    holds(workers_report_failures);
}

#[test]
fn every_rule_and_schedule_tries_again_and_gives_up_into_a_queue() {
    holds(targets_give_up);
}

#[test]
fn a_message_stays_hidden_for_six_times_as_long_as_its_worker_may_run() {
    holds(messages_stay_hidden);
}

#[test]
fn every_resource_that_takes_tags_carries_the_three() {
    holds(resources_are_tagged);
}

#[test]
fn nobody_may_do_everything_or_something_to_anything() {
    holds(rights_name_things);
}

#[test]
fn nobody_may_change_or_delete_an_event() {
    holds(events_stay);
}

#[test]
fn every_function_has_a_role_of_its_own_and_runs_the_small_runtime() {
    holds(functions_share_nothing);
}

#[test]
fn every_function_reads_its_certificates_from_one_file() {
    holds(functions_read_one_bundle);
}

#[test]
fn every_function_knows_exactly_the_tables_and_queues_that_it_may_touch() {
    holds(functions_know_what_they_touch);
}

#[test]
fn every_function_may_write_tables_as_the_store_writes_them_and_read_the_lists_that_it_reads() {
    holds(rights_are_used);
}

#[test]
fn every_function_may_read_exactly_the_queues_that_feed_it() {
    holds(functions_read_their_queues);
}

#[test]
fn the_daily_report_counts_the_letters_of_every_dead_letter_queue() {
    holds(letters_are_counted);
}

#[test]
fn every_function_has_an_alarm_about_errors_and_one_about_throttling() {
    holds(failing_functions_ring);
}

#[test]
fn every_table_and_index_that_a_function_reads_or_writes_has_an_alarm_about_throttling() {
    holds(throttled_tables_ring);
}

#[test]
fn every_route_that_wants_a_key_has_an_alarm_about_its_latency_and_no_alarm_is_about_all_of_them() {
    holds(slow_routes_ring);
}

#[test]
fn an_alarm_is_made_of_no_more_metrics_than_cloudwatch_takes() {
    holds(alarms_are_small);
}

#[test]
fn every_function_that_hands_messages_back_has_an_alarm_about_its_newest_version() {
    holds(failed_messages_ring);
}

#[test]
fn every_alarm_is_told_to_the_topic_if_there_is_one() {
    holds(alarms_are_told);
}

#[test]
fn the_raw_event_function_and_all_that_is_its_own_exist_in_dev_only() {
    holds(chaos_is_for_dev);
}

#[test]
fn every_function_is_built_in_a_crate_and_not_in_the_workspace_which_builds_one_machine_only() {
    holds(functions_are_built_in_crates);
}

#[test]
fn every_index_keeps_keys_only() {
    holds(indexes_keep_keys);
}

#[test]
fn no_table_is_deleted_with_its_stack_and_each_is_encrypted_and_can_be_restored() {
    holds(tables_last);
}

#[test]
fn every_log_is_kept_for_a_time_and_is_written_by_one_function() {
    holds(logs_end);
}

#[test]
fn a_function_filters_its_own_log_so_that_what_it_measures_is_written_at_every_level() {
    holds(metrics_pass);
}

#[test]
fn every_api_is_throttled_and_asks_its_authorizer_every_time_and_logs_nothing_about_a_person() {
    holds(apis_are_guarded);
}

#[test]
fn every_share_that_an_authorizer_may_say_is_in_the_usage_plan() {
    holds(shares_are_of_the_plan);
}

#[test]
fn what_an_api_answers_by_itself_is_a_problem_document() {
    holds(gateways_answer_with_problems);
}

#[test]
fn a_new_version_is_tried_by_a_tenth_in_prod_and_an_alarm_takes_it_back() {
    holds(versions_are_tried);
}

#[test]
fn functions_have_the_collector_and_send_to_it_exactly_if_there_is_one() {
    holds(traces_go_to_the_collector);
}

#[test]
fn the_pipe_rings_when_it_fails_or_stands_still_or_is_late_and_logs_no_event() {
    holds(the_pipe_rings);
}

#[test]
fn a_dashboard_can_be_read_and_shows_of_our_metrics_only_what_is_measured() {
    holds(dashboards_show_what_is_measured);
}

/// A rule, what is replaced in the templates so that they break it, and who must be named for it.
const BREAKS: [(Rule, &str, &str, &str); 64] = [
    (dashboards_show_what_is_measured, "\"id\": \"settled\"}]", "\"id\": \"settled\"}],", "Dashboard"),
    (dashboards_show_what_is_measured, "\\\"OrdersSettled\\\"", "\\\"OrdersEnded\\\"", "Dashboard"),
    (
        queues_give_up,
        "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt CatalogDLQ.Arn\n        maxReceiveCount: 12\n",
        "",
        "OMS-CatalogQueue",
    ),
    (
        queues_give_up,
        "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt PipeGivenUpDLQ.Arn\n        maxReceiveCount: 12\n",
        "",
        "OMS-PipeDLQ",
    ),
    (
        dead_letters_ring,
        "Value: !GetAtt PipeGivenUpDLQ.QueueName",
        "Value: !GetAtt PipeDLQ.QueueName",
        "OMS-PipeGivenUpDLQ",
    ),
    (dead_letters_ring, "      Threshold: 0\n", "      Threshold: 5\n", "OMS-OrderEventsDLQ"),
    (
        old_messages_ring,
        "Value: !GetAtt CatalogQueue.QueueName",
        "Value: !GetAtt PaymentsQueue.QueueName",
        "OMS-CatalogQueue",
    ),
    (
        workers_report_failures,
        "            FunctionResponseTypes: [ReportBatchItemFailures]\n",
        "",
        "orders-worker",
    ),
    (workers_report_failures, "            ScalingConfig: { MaximumConcurrency: 2 }\n", "", "pipe-dlq"),
    (
        targets_give_up,
        "          DeadLetterConfig:\n            Arn: !GetAtt RulesDLQ.Arn\n",
        "",
        "OrderEventsRule",
    ),
    (targets_give_up, "            MaximumRetryAttempts: 185\n", "", "OrderEventsRule"),
    (
        targets_give_up,
        "            DeadLetterConfig: { Arn: !GetAtt SweepersDLQ.Arn }\n",
        "",
        "OmsSweeperFunction",
    ),
    (
        targets_give_up,
        "      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt SweepersDLQ.Arn }\n",
        "",
        "oms-sweeper",
    ),
    (messages_stay_hidden, "      VisibilityTimeout: 360 ", "      VisibilityTimeout: 359 ", "OMS-PipeDLQ"),
    (
        resources_are_tagged,
        "        - { Key: Service, Value: OMS }\n",
        "        - { Key: Service, Value: oms }\n",
        "EventTable",
    ),
    (resources_are_tagged, "        - { Key: Service, Value: Observability }\n", "", "OrderEventsDLQAlarm"),
    (
        rights_name_things,
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query]",
        "Action: dynamodb:*",
        "OmsApiRole",
    ),
    (rights_name_things, "!Sub ${OrderTable.Arn}/index/GSI1", "!Sub ${OrderTable.Arn}/index/*", "OmsApiRole"),
    (
        rights_name_things,
        "Action: [xray:PutTelemetryRecords, xray:PutTraceSegments]",
        "Action: [sqs:SendMessage]",
        "OmsApiRole",
    ),
    (
        events_stay,
        "Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query]",
        "Action: [dynamodb:UpdateItem]",
        "OmsApiRole",
    ),
    (
        events_stay,
        "Action: [dynamodb:PutItem, dynamodb:Query, dynamodb:Scan]",
        "Action: [dynamodb:BatchWriteItem]",
        "OmsLogSweeperRole",
    ),
    (
        functions_share_nothing,
        "Role: !GetAtt PipeDlqRole.Arn",
        "Role: !GetAtt CatalogWorkerRole.Arn",
        "CatalogWorkerRole",
    ),
    (functions_share_nothing, "    Architectures: [arm64]", "    Architectures: [x86_64]", "OmsApiFunction"),
    (functions_read_one_bundle, "        SSL_CERT_FILE: ", "        SSL_CERT_DIR: ", "OmsApiFunction"),
    (
        functions_know_what_they_touch,
        "          PAYMENT_INTENT_TABLE: !Ref PaymentIntentTable",
        "          PAYMENT_TABLE: !Ref PaymentTable",
        "payments-worker",
    ),
    (
        functions_know_what_they_touch,
        "          CATALOG_QUEUE_URL: !Ref CatalogQueue\n",
        "",
        "oms-log-sweeper",
    ),
    (
        rights_are_used,
        "Action: [dynamodb:BatchWriteItem, dynamodb:PutItem]",
        "Action: [dynamodb:PutItem]",
        "inventory-worker",
    ),
    (
        rights_are_used,
        "- dynamodb:ConditionCheckItem #",
        "- dynamodb:ConditionCheckItem\n                  - dynamodb:DeleteItem #",
        "oms-api",
    ),
    (
        rights_are_used,
        "                Action: [dynamodb:BatchGetItem]\n                Resource:\n",
        "                Action: [dynamodb:Query]\n                Resource:\n                  - !Sub ${PaymentTable.Arn}/index/GSI1\n",
        "oms-sweeper",
    ),
    (
        functions_read_their_queues,
        "                  - !GetAtt PipeDLQ.Arn\n",
        "                  - !GetAtt PipeGivenUpDLQ.Arn\n",
        "pipe-dlq",
    ),
    (letters_are_counted, "              - !Ref CatalogDLQ\n", "", "oms-log-sweeper"),
    (
        letters_are_counted,
        "                  - !GetAtt RulesDLQ.Arn\n                  - !GetAtt SweepersDLQ.Arn\n",
        "                  - !GetAtt SweepersDLQ.Arn\n",
        "oms-log-sweeper",
    ),
    (failing_functions_ring, "Value: !Ref PipeDlqFunction }", "Value: !Ref OmsApiFunction }", "pipe-dlq"),
    (
        alarms_are_told,
        "      AlarmActions: !If [HasAlarmTopic, [!Ref AlarmTopicArn], !Ref AWS::NoValue]\n",
        "",
        "OrderEventsDLQAlarm",
    ),
    (
        chaos_is_for_dev,
        "  IsDev: !Equals [!Ref Environment, dev]",
        "  IsDev: !Equals [dev, dev]",
        "ChaosApiLogGroup",
    ),
    (chaos_is_for_dev, "      CodeUri: apis/functions/raw-events/\n", "", "ChaosApiFunction"),
    (
        functions_are_built_in_crates,
        "      CodeUri: apis/functions/\n",
        "      CodeUri: .\n",
        "OmsApiFunction",
    ),
    (indexes_keep_keys, "ProjectionType: KEYS_ONLY", "ProjectionType: ALL", "OrderTable"),
    (
        tables_last,
        "      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }\n",
        "",
        "EventTable",
    ),
    (tables_last, "    DeletionPolicy: Retain\n", "", "EventTable"),
    (logs_end, "LogGroup: !Ref PipeDlqLogGroup", "LogGroup: !Ref CatalogWorkerLogGroup", "PipeDlqFunction"),
    (metrics_pass, "ApplicationLogLevel: TRACE", "ApplicationLogLevel: !Ref LogLevel", "OmsApiFunction"),
    (apis_are_guarded, "\"method\":\"$context.httpMethod\"", "\"ip\":\"$context.identity.sourceIp\"", "Api"),
    (
        apis_are_guarded,
        "Path: /products }",
        "Path: /products, Auth: { ApiKeyRequired: false } }",
        "PostProducts",
    ),
    (
        apis_are_guarded,
        "Identity: { ReauthorizeEvery: 0 }",
        "Identity: { ReauthorizeEvery: 60, Headers: [x-api-key] }",
        "Api",
    ),
    (apis_are_guarded, "        DefaultAuthorizer: Keys\n", "", "Api"),
    (apis_are_guarded, "          StatusCode: 401\n", "          StatusCode: 403\n", "Api"),
    (shares_are_of_the_plan, "KeyId: !Ref ApiShare7,", "KeyId: !Ref ApiShare6,", "oms-authorizer"),
    (shares_are_of_the_plan, "      Value: SagalineImsClientsShare3\n", "", "ims-authorizer"),
    (
        gateways_answer_with_problems,
        "\"detail\":$context.error.messageString",
        "\"detail\":\"$context.error.messageString\"",
        "DEFAULT_4XX",
    ),
    (gateways_answer_with_problems, "\"status\":503", "\"status\":500", "AUTHORIZER_FAILURE"),
    (
        functions_know_what_they_touch,
        "          EVENT_TABLE: !Ref AWS::NoValue",
        "          ORDER_TABLE: !Ref AWS::NoValue",
        "oms-authorizer",
    ),
    (
        versions_are_tried,
        "        Alarms: [!Ref PipeDlqErrorsAlarm, !Ref PipeDlqFailuresAlarm]\n",
        "        Alarms: [!Ref PipeDlqErrorsAlarm]\n",
        "PipeDlqFunction",
    ),
    (
        versions_are_tried,
        "        Alarms: [!Ref OmsApiErrorsAlarm, !Ref ApiErrorsAlarm]\n",
        "        Alarms: [!Ref OmsApiErrorsAlarm]\n",
        "OmsApiFunction",
    ),
    (
        failed_messages_ring,
        "!GetAtt OrdersWorkerFunction.Version.Version",
        "!GetAtt CatalogWorkerFunction.Version.Version",
        "orders-worker",
    ),
    (
        throttled_tables_ring,
        "{ Name: TableName, Value: !Ref OrderTable }, { Name: GlobalSecondaryIndexName, Value: GSI2 }",
        "{ Name: TableName, Value: !Ref OrderTable }",
        "OrderTable/index/GSI2",
    ),
    (
        throttled_tables_ring,
        "{ Name: TableName, Value: !Ref DeliveryTable }",
        "{ Name: TableName, Value: !Ref UserTable }",
        "DeliveryTable",
    ),
    (
        slow_routes_ring,
        "                - { Name: Resource, Value: /products }\n",
        "                - { Name: Resource, Value: /livez }\n",
        "POST /products",
    ),
    (slow_routes_ring, "      MetricName: 5XXError\n", "      MetricName: Latency\n", "sagaline-oms-5xx"),
    (
        alarms_are_small,
        "'MAX(FILL(METRICS(), 0))', ReturnData: true }\n        - Id: getOrders\n",
        "'MAX(FILL(METRICS(), 0))', ReturnData: true }\n        - { Id: more, Expression: '1', ReturnData: false }\n        - Id: getOrders\n",
        "sagaline-oms-OrdersSlow",
    ),
    (failed_messages_ring, "MetricName: MessagesFailed", "MetricName: MessagesLost", "orders-worker"),
    (
        versions_are_tried,
        "      PassthroughCondition: true ",
        "      PassthroughCondition: false ",
        "OmsApiFunction",
    ),
    (
        traces_go_to_the_collector,
        "    Layers: !If [HasCollector, [!Ref CollectorLayerArn], !Ref AWS::NoValue]\n",
        "",
        "OmsApiFunction",
    ),
    (
        the_pipe_rings,
        "        Level: ERROR\n",
        "        Level: ERROR\n        IncludeExecutionData: [ALL]\n",
        "sagaline-log",
    ),
];

#[test]
fn each_rule_notices_a_template_that_breaks_it() {
    for (rule, right, wrong, who) in BREAKS {
        let texts = SOURCES.map(|source| source.text.replacen(right, wrong, 1));
        assert!(SOURCES.iter().zip(&texts).any(|(source, text)| source.text != text), "{right}");
        let broken = SOURCES.iter().zip(&texts);
        let sources: Vec<Source<'_>> = broken.map(|(it, text)| Source { name: it.name, text }).collect();
        let noticed = |world: World| rule(&world).iter().any(|it| it.starts_with(&format!("{who}:")));
        assert!(noticed(large(&sources)) || noticed(small(&sources)), "{right} -> {wrong}: {who}");
    }
}

fn holds(rule: Rule) {
    static WORLDS: LazyLock<[World; 2]> = LazyLock::new(|| [small(&SOURCES), large(&SOURCES)]);
    for world in &*WORLDS {
        assert_eq!(rule(world), Broken::new(), "in {}", world.environment);
    }
}

/// With as few parameters as it takes.
fn small(sources: &[Source<'_>]) -> World {
    World::of(sources, "dev", &[])
}

/// With every parameter.
fn large(sources: &[Source<'_>]) -> World {
    World::of(sources, "prod", &[("AlarmTopicArn", TOPIC), ("CollectorLayerArn", COLLECTOR)])
}

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:alarms";
const COLLECTOR: &str = "arn:aws:lambda:us-east-1:901920570463:layer:aws-otel-collector-arm64:1";
const LOG: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/oms-EventTable";

impl World {
    fn of(sources: &[Source<'_>], environment: &'static str, more: &[(&str, &str)]) -> World {
        let given: Parameters = more.iter().copied().chain([("Environment", environment)]).collect();
        let resources = Templates::read(sources, &given).and_then(|templates| templates.resources());
        World {
            environment,
            topology: Topology::load(sources, &given).unwrap_or_else(|error| panic!("{error}")),
            resources: resources.unwrap_or_else(|error| panic!("{error}")),
        }
    }

    fn is_prod(&self) -> bool {
        self.environment == "prod"
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        of_kind(&self.resources, kind)
    }

    fn functions(&self) -> impl Iterator<Item = &Resource> {
        self.of_kind("AWS::Serverless::Function")
    }

    /// What a function may do: pairs of an action and a resource.
    fn rights_of(&self, function: &Resource) -> BTreeSet<(String, String)> {
        let name = function.properties.get("Role").and_then(Value::as_str).unwrap_or_default();
        let role = self.of_kind("AWS::IAM::Role").find(|role| name == format!("{}.Arn", role.name));
        let mut rights = BTreeSet::new();
        for statement in role.map(statements).unwrap_or_default() {
            for action in listed(&statement["Action"]) {
                rights.extend(listed(&statement["Resource"]).map(|it| (action.to_owned(), it.to_owned())));
            }
        }
        rights
    }

    /// A table, or an index of one, as the templates name it: `OrderTable/index/GSI1` for the ARN of an index.
    fn table_path<'a>(&self, arn: &'a str) -> Option<&'a str> {
        let path = arn.split_once(":table/")?.1.split("/stream/").next()?;
        let table = path.split('/').next()?;
        let table = self.topology.tables.iter().find(|it| it.name == table)?;
        path.strip_prefix(table.name.strip_suffix(&table.logical_id)?)
    }

    /// What is watched by the alarms on a metric: the value of their first dimension.
    fn watched(&self, metric: &str, threshold: Option<u64>) -> BTreeSet<&str> {
        let alarms = self.of_kind("AWS::CloudWatch::Alarm").filter(|alarm| {
            alarm.properties.get("MetricName").is_some_and(|name| name == metric)
                && alarm.properties["ComparisonOperator"] == "GreaterThanThreshold"
                && threshold.is_none_or(|threshold| alarm.properties["Threshold"] == threshold)
        });
        alarms.map(|alarm| alarm.properties["Dimensions"][0]["Value"].as_str().unwrap()).collect()
    }

    /// The queues that some function reads.
    fn work_queues(&self) -> BTreeSet<&str> {
        let sources = self.topology.functions.iter().flat_map(|function| function.sources());
        sources.map(|source| source.queue.as_str()).collect()
    }
}

/// The statements of a role.
fn statements(role: &Resource) -> Vec<&Value> {
    let policies = role.properties.get("Policies").and_then(Value::as_array).into_iter().flatten();
    policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap()).collect()
}

fn listed(value: &Value) -> impl Iterator<Item = &str> {
    let (many, one) = (value.as_array().into_iter().flatten(), value.as_str());
    many.map(|item| item.as_str().unwrap()).chain(one)
}

/// Those for whom a promise does not hold, and what they have instead.
fn but<'a, T>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &'a str,
    problem: impl Fn(&T) -> Option<String>,
) -> Broken {
    let all =
        all.into_iter().filter_map(|it| problem(&it).map(|problem| format!("{}: {problem}", name(&it))));
    all.collect()
}

fn unless(holds: bool, problem: &str) -> Option<String> {
    (!holds).then(|| problem.to_owned())
}

fn queues_give_up(world: &World) -> Broken {
    let worked_on = world.work_queues();
    but(
        &world.topology.queues,
        |queue| &queue.name,
        |queue| {
            let is_last = is_dead_letter_queue(&world.topology, queue) && !worked_on.contains(&*queue.name);
            unless(queue.redrive.is_some() != is_last, "gives up into nothing, or is nowhere given up into")
        },
    )
}

fn dead_letters_ring(world: &World) -> Broken {
    let watched = world.watched("ApproximateNumberOfMessagesVisible", Some(0));
    let dead = world.topology.queues.iter().filter(|queue| is_dead_letter_queue(&world.topology, queue));
    but(dead, |queue| &queue.name, |queue| unless(watched.contains(&*queue.name), "has no alarm"))
}

fn old_messages_ring(world: &World) -> Broken {
    let watched = world.watched("ApproximateAgeOfOldestMessage", None);
    but(world.work_queues(), |queue| queue, |queue| unless(watched.contains(queue), "has no alarm"))
}

fn workers_report_failures(world: &World) -> Broken {
    let sources = world.topology.functions.iter().flat_map(|it| it.sources().map(move |source| (it, source)));
    but(
        sources,
        |(function, _)| &function.binary,
        |(_, source)| {
            let fine = source.report_batch_item_failures && source.maximum_concurrency.is_some();
            unless(fine, &source.queue)
        },
    )
}

fn targets_give_up(world: &World) -> Broken {
    let gives_up = |target: &Value| {
        target["RetryPolicy"]["MaximumRetryAttempts"].is_number()
            && target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number()
            && target["DeadLetterConfig"]["Arn"].is_string()
    };
    let mut targets = Vec::new();
    for rule in world.of_kind("AWS::Events::Rule") {
        targets.extend(rule.properties["Targets"].as_array().unwrap().iter().map(|it| (rule, it)));
    }
    for function in world.functions() {
        let clock = events_of(function).map(|(_, event)| event).filter(|event| event["Type"] == "Schedule");
        targets.extend(clock.map(|event| (function, &event["Properties"])));
    }
    let sweepers = world.topology.functions.iter().filter(|function| !function.schedules.is_empty());
    let mut broken =
        but(sweepers, |it| &it.binary, |it| unless(it.dead_letter_queue.is_some(), "fails unheard"));
    broken.extend(but(targets, |(it, _)| &it.logical_id, |(_, it)| unless(gives_up(it), "does not give up")));
    broken
}

fn messages_stay_hidden(world: &World) -> Broken {
    let sources = world.topology.functions.iter().flat_map(|it| it.sources().map(move |source| (it, source)));
    but(
        sources,
        |(_, source)| &source.queue,
        |(function, source)| {
            let queue = world.topology.queue(&source.queue).unwrap();
            unless(queue.visibility_timeout >= 6 * function.timeout, "shows a message too soon")
        },
    )
}

/// What AWS puts no tags on.
const UNTAGGED: [&str; 3] =
    ["AWS::ApiGateway::Account", "AWS::ApiGateway::UsagePlanKey", "AWS::SQS::QueuePolicy"];

fn service_of(resource: &Resource) -> &'static str {
    if resource.template == "template-oms.yaml" { "OMS" } else { "IMS" }
}

fn resources_are_tagged(world: &World) -> Broken {
    let taggable = world.resources.iter().filter(|it| !UNTAGGED.contains(&it.kind.as_str()));
    but(
        taggable,
        |it| &it.logical_id,
        |it| {
            let service =
                if it.kind.starts_with("AWS::CloudWatch::") { "Observability" } else { service_of(it) };
            let wanted = json!({"Environment": world.environment, "Service": service, "Version": "1.0.0"});
            let tags = match it.properties.get("Tags") {
                Some(Value::Array(tags)) => {
                    tags.iter().map(|tag| (tag["Key"].as_str().unwrap(), tag["Value"].clone())).collect()
                }
                other => other.cloned().unwrap_or_default(),
            };
            (tags != wanted).then(|| tags.to_string())
        },
    )
}

/// X-Ray has no resources to name in a policy.
fn knows_no_resources(action: &str) -> bool {
    ["xray:PutTelemetryRecords", "xray:PutTraceSegments"].contains(&action)
}

fn rights_name_things(world: &World) -> Broken {
    let roles = world.of_kind("AWS::IAM::Role");
    let all = roles.flat_map(|role| statements(role).into_iter().map(move |statement| (role, statement)));
    but(
        all,
        |(role, _)| &role.logical_id,
        |(_, statement)| {
            let named = listed(&statement["Resource"]).all(|it| !it.contains('*'))
                || listed(&statement["Action"]).all(knows_no_resources);
            let fine = statement["Effect"] == "Allow"
                && statement.get("NotAction").is_none()
                && statement.get("NotResource").is_none()
                && listed(&statement["Action"]).all(|action| !action.contains('*'))
                && named;
            (!fine).then(|| statement.to_string())
        },
    )
}

fn events_stay(world: &World) -> Broken {
    const HARMLESS: [&str; 4] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan"];
    let roles = world.of_kind("AWS::IAM::Role");
    let all = roles.flat_map(|role| statements(role).into_iter().map(move |statement| (role, statement)));
    let mut on_log: Vec<_> = all
        .filter(|(_, statement)| listed(&statement["Resource"]).any(|it| it == LOG || it == "*"))
        .collect();
    on_log.retain(|(_, statement)| !listed(&statement["Action"]).all(knows_no_resources));
    assert!(on_log.len() >= 7, "the log is where it is looked for");
    but(
        on_log,
        |(role, _)| &role.logical_id,
        |(_, statement)| {
            let harmless = listed(&statement["Action"]).all(|action| HARMLESS.contains(&action));
            (!harmless).then(|| statement["Action"].to_string())
        },
    )
}

fn functions_share_nothing(world: &World) -> Broken {
    let mut broken = but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let fine = it.properties["Runtime"] == "provided.al2023"
                && it.properties["Architectures"] == json!(["arm64"])
                && it.properties["Tracing"] == "Active"
                && it.metadata["BuildMethod"] == "rust-cargolambda"
                && !it.properties.contains_key("Policies")
                && !world.rights_of(it).is_empty();
            unless(fine, "is not as the others are, or has no role")
        },
    );
    let owners = |role: &Resource| {
        let arn = json!(format!("{}.Arn", role.name));
        world.functions().filter(|it| it.properties.get("Role") == Some(&arn)).count()
    };
    let shared = world.of_kind("AWS::IAM::Role").filter(|role| owners(role) > 1);
    broken.extend(shared.map(|role| format!("{}: belongs to more than one", role.logical_id)));
    broken
}

/// Where Amazon Linux 2023 keeps it. That Lambda does, too: AWS's own functions name this file in `SSL_CERT_FILE`, and
/// aws/aws-lambda-dotnet shows it in its pull request 1661 (2024-01-22).
const BUNDLE: &str = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";

fn functions_read_one_bundle(world: &World) -> Broken {
    but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let variables = &it.properties["Environment"]["Variables"];
            let fine = variables["SSL_CERT_FILE"] == BUNDLE && variables.get("SSL_CERT_DIR").is_none();
            unless(fine, "looks for certificates wherever they may be")
        },
    )
}

/// The variables of a function whose names end in one way, by value.
fn variables<'a>(function: &'a Resource, suffix: &str) -> BTreeMap<&'a str, &'a str> {
    let variables = function.properties["Environment"]["Variables"].as_object().unwrap().iter();
    let wanted = variables.filter(|(name, _)| name.ends_with(suffix));
    wanted.map(|(name, value)| (value.as_str().unwrap(), name.as_str())).collect()
}

fn functions_know_what_they_touch(world: &World) -> Broken {
    but(
        world.functions(),
        |it| &it.name,
        |it| {
            let rights = world.rights_of(it);
            let table_of = |arn: &str| {
                let name = arn.split_once(":table/")?.1.split('/').next()?;
                world.topology.tables.iter().map(|table| table.name.as_str()).find(|table| *table == name)
            };
            let touched: BTreeSet<&str> = rights.iter().filter_map(|(_, arn)| table_of(arn)).collect();
            let known: BTreeSet<&str> = variables(it, "_TABLE").into_keys().collect();
            let sends = rights.iter().filter(|(action, _)| action == "sqs:SendMessage");
            let dead = it.properties.get("DeadLetterQueue").map(|dead| &dead["TargetArn"]);
            let sends = sends.filter(|(_, arn)| dead.is_none_or(|dead| dead != arn));
            let sent: BTreeSet<&str> = sends.filter_map(|(_, arn)| arn.rsplit(':').next()).collect();
            let urls = variables(it, "_QUEUE_URL").into_keys();
            let urls: BTreeSet<&str> = urls.filter_map(|url| url.rsplit('/').next()).collect();
            let unknown = urls.iter().find(|queue| world.topology.queue(queue).is_none());
            let fine = touched == known && sent == urls && unknown.is_none();
            (!fine).then(|| format!("knows {known:?} {urls:?}, may touch {touched:?} {sent:?}"))
        },
    )
}

/// How functions write each table, by the calls in `event-store/dynamodb/src`: in transactions, in batches, alone.
const WRITES: [(&str, &[&str]); 12] = [
    ("EventTable", &["PutItem"]),
    ("OrderTable", &["PutItem"]),
    ("PaymentTable", &["PutItem"]),
    ("DeliveryTable", &["PutItem"]),
    ("CustomerTable", &["UpdateItem"]), // names and addresses stay when the rest is folded anew
    ("ProductTable", &["PutItem"]),
    ("StockTable", &["UpdateItem"]),
    ("StockLedgerTable", &["BatchWriteItem", "PutItem"]), // in the transaction, and behind it what does not fit
    ("PaymentIntentTable", &["PutItem"]),
    ("UserTable", &["DeleteItem", "PutItem", "UpdateItem"]), // whoever could act for a customer who is erased goes
    ("IdempotencyTable", &["PutItem"]),
    ("ShadowTable", &["PutItem"]),
];

/// Who lists what.
const LISTS: [(&str, &[&str]); 3] = [
    (
        "oms-api",
        &[
            "CustomerTable/index/GSI1",
            "OrderTable/index/GSI1",
            "OrderTable/index/GSI2",
            "PaymentTable/index/GSI1",
            "ProductTable/index/GSI1",
            "ProductTable/index/GSI2",
            "ProductTable/index/GSI3",
            "UserTable/index/GSI1",
        ],
    ),
    ("ims-api", &["StockTable/index/GSI1"]),
    ("oms-sweeper", &["OrderTable/index/GSI2"]),
];

/// What writes a table.
fn is_write(action: &str) -> bool {
    ["BatchWriteItem", "DeleteItem", "PutItem", "UpdateItem"].contains(&action)
}

fn rights_are_used(world: &World) -> Broken {
    but(
        world.functions(),
        |it| &it.name,
        |it| {
            let rights = world.rights_of(it);
            let mut written: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            let mut listed = Vec::new();
            for (action, arn) in &rights {
                let Some(action) = action.strip_prefix("dynamodb:") else { continue };
                let Some(path) = world.table_path(arn) else { continue };
                if path.contains("/index/") {
                    listed.push(path);
                } else if is_write(action) {
                    written.entry(path).or_default().push(action);
                }
            }
            let lists = LISTS.iter().find(|(name, _)| *name == it.name).map_or(&[][..], |(_, lists)| lists);
            let unused = written.into_iter().find(|write| !WRITES.contains(&(write.0, &write.1)));
            let fine = unused.is_none() && listed == lists;
            (!fine).then(|| format!("writes {unused:?}, lists {listed:?}"))
        },
    )
}

fn functions_read_their_queues(world: &World) -> Broken {
    but(
        &world.topology.functions,
        |it| &it.binary,
        |it| {
            let function = world.functions().find(|resource| resource.name == it.binary).unwrap();
            let rights = world.rights_of(function);
            let reads = rights.iter().filter(|(action, _)| action == "sqs:ReceiveMessage");
            let may_read: BTreeSet<&str> = reads.filter_map(|(_, arn)| arn.rsplit(':').next()).collect();
            let fed: BTreeSet<&str> = it.sources().map(|source| source.queue.as_str()).collect();
            (may_read != fed).then(|| format!("is fed by {fed:?}, may read {may_read:?}"))
        },
    )
}

fn letters_are_counted(world: &World) -> Broken {
    let queues = world.topology.queues.iter().filter(|queue| is_dead_letter_queue(&world.topology, queue));
    let all: BTreeSet<&str> = queues.map(|queue| queue.name.as_str()).collect();
    but(
        world.functions().filter(|it| it.name == "oms-log-sweeper"),
        |it| &it.name,
        |it| {
            let urls = &it.properties["Environment"]["Variables"]["DEAD_LETTER_QUEUE_URLS"];
            let urls = urls.as_str().unwrap_or_default().split(',');
            let told: BTreeSet<&str> = urls.filter_map(|url| url.rsplit('/').next()).collect();
            let rights = world.rights_of(it);
            let counts = rights.iter().filter(|(action, _)| action == "sqs:GetQueueAttributes");
            let may: BTreeSet<&str> = counts.filter_map(|(_, arn)| arn.rsplit(':').next()).collect();
            (told != all || may != all).then(|| format!("is told of {told:?}, may count {may:?}"))
        },
    )
}

fn failing_functions_ring(world: &World) -> Broken {
    let (errors, throttles) = (world.watched("Errors", Some(0)), world.watched("Throttles", Some(0)));
    but(
        world.functions(),
        |it| &it.name,
        |it| unless(errors.contains(&*it.name) && throttles.contains(&*it.name), "has not both alarms"),
    )
}

/// A metric that an alarm watches, alone or in a formula: its name, its dimensions, its statistic.
type Watched<'a> = (&'a str, BTreeMap<&'a str, &'a str>, &'a str);

/// What an alarm watches in a namespace.
fn watched_by<'a>(alarm: &'a Resource, namespace: &str) -> Vec<Watched<'a>> {
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    let watched = |metric: &'a Value, statistic: &'a Value| {
        let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
        let dimensions = dimensions.map(|it| (text(&it["Name"]), text(&it["Value"]))).collect();
        (metric["Namespace"] == namespace).then(|| (text(&metric["MetricName"]), dimensions, text(statistic)))
    };
    let parts = alarm.properties.get("Metrics").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.map(|part| &part["MetricStat"]);
    let mut all: Vec<Watched<'_>> = parts.filter_map(|it| watched(&it["Metric"], &it["Stat"])).collect();
    if alarm.properties.get("Namespace").is_some_and(|own| own == namespace) {
        let of = |name: &str| alarm.properties.get(name).unwrap_or(&Value::Null);
        let dimensions = of("Dimensions").as_array().into_iter().flatten();
        let dimensions = dimensions.map(|it| (text(&it["Name"]), text(&it["Value"]))).collect();
        all.push((text(of("MetricName")), dimensions, text(of("Statistic"))));
    }
    all
}

fn throttled_tables_ring(world: &World) -> Broken {
    let alarms = world.of_kind("AWS::CloudWatch::Alarm");
    let watched: Vec<Watched<'_>> = alarms.flat_map(|alarm| watched_by(alarm, "AWS/DynamoDB")).collect();
    let indexes_of = |table: &str| -> Vec<String> {
        let table = world.of_kind("AWS::DynamoDB::Table").find(|it| it.logical_id == table).unwrap();
        let indexes = table.properties.get("GlobalSecondaryIndexes").and_then(Value::as_array);
        let names = indexes.into_iter().flatten().map(|index| index["IndexName"].as_str().unwrap());
        names.map(|name| format!("{}/index/{name}", table.logical_id)).collect()
    };
    let mut used = BTreeSet::new();
    for (action, arn) in world.functions().flat_map(|function| world.rights_of(function)) {
        let (Some(action), Some(path)) = (action.strip_prefix("dynamodb:"), world.table_path(&arn)) else {
            continue;
        };
        if is_write(action) {
            used.insert((path.to_owned(), "WriteThrottleEvents"));
            used.extend(indexes_of(path).into_iter().map(|index| (index, "WriteThrottleEvents")));
        } else if !action.ends_with("Records") {
            used.insert((path.to_owned(), "ReadThrottleEvents"));
        }
    }
    assert!(used.len() > 20, "what functions do to tables is found");
    but(
        &used,
        |(path, _)| path,
        |(path, metric)| {
            let (table, index) = path.split_once("/index/").map_or((&**path, None), |it| (it.0, Some(it.1)));
            let table = world.topology.tables.iter().find(|it| it.logical_id == table).unwrap();
            let dimensions = [("TableName", &*table.name)].into_iter();
            let dimensions =
                dimensions.chain(index.map(|index| ("GlobalSecondaryIndexName", index))).collect();
            unless(watched.contains(&(metric, dimensions, "Sum")), "is throttled unheard")
        },
    )
}

/// What an API says of itself, to everybody.
fn is_probe(path: &str) -> bool {
    ["/livez", "/readyz", "/openapi.json"].contains(&path)
}

/// What takes long on purpose.
fn hashes_a_password(route: &topology::Route) -> bool {
    route.method == "POST" && ["/login", "/users"].contains(&&*route.path)
}

fn slow_routes_ring(world: &World) -> Broken {
    let alarms = || world.of_kind("AWS::CloudWatch::Alarm");
    let watched: Vec<Watched<'_>> = alarms().flat_map(|alarm| watched_by(alarm, "AWS/ApiGateway")).collect();
    let mut broken = Broken::new();
    // What forges events is for dev, and nobody waits for it.
    for function in world.topology.functions.iter().filter(|function| function.binary != "chaos-api") {
        let api = if function.stack == "template-oms.yaml" { "sagaline-oms" } else { "sagaline-ims" };
        for route in function.routes.iter().filter(|it| !is_probe(&it.path) && !hashes_a_password(it)) {
            let dimensions = [
                ("ApiName", api),
                ("Stage", world.environment),
                ("Method", &*route.method),
                ("Resource", &*route.path),
            ];
            let is_watched = watched.contains(&("Latency", BTreeMap::from(dimensions), "p95"));
            broken.extend((!is_watched).then(|| format!("{} {}: may be slow", route.method, route.path)));
        }
    }
    let is_of_all =
        |(metric, dimensions, _): &Watched<'_>| *metric == "Latency" && !dimensions.contains_key("Resource");
    let whole = alarms().filter(|alarm| watched_by(alarm, "AWS/ApiGateway").iter().any(is_of_all));
    broken.extend(whole.map(|alarm| format!("{}: is about every route at once", alarm.name)));
    broken
}

/// Source: "CloudWatch service quotas", Amazon CloudWatch User Guide: ten metrics; whether the formula is one of them is
/// not said.
fn alarms_are_small(world: &World) -> Broken {
    but(
        world.of_kind("AWS::CloudWatch::Alarm"),
        |it| &it.name,
        |it| {
            let metrics = it.properties.get("Metrics").and_then(Value::as_array).map_or(1, Vec::len);
            (metrics > 10).then(|| format!("is made of {metrics}"))
        },
    )
}

/// Of the newest version alone: an older one that is still at work would take a good one back.
fn failed_messages_ring(world: &World) -> Broken {
    assert!(measured().contains("MessagesFailed"));
    let workers = world.topology.functions.iter().filter(|function| function.sources().count() > 0);
    but(
        workers,
        |it| &it.binary,
        |it| {
            let function = world.functions().find(|function| function.logical_id == it.logical_id).unwrap();
            let name = format!("{}-Failures", function.name);
            let stack = service_of(function).to_lowercase();
            let version = format!("{stack}-{}.Version", function.logical_id);
            let dimensions = json!([
                {"Name": "FunctionName", "Value": function.name},
                {"Name": "FunctionVersion", "Value": version},
            ]);
            let alarm = world.of_kind("AWS::CloudWatch::Alarm").find(|alarm| alarm.name == name);
            let fine = alarm.is_some_and(|alarm| {
                alarm.properties["Namespace"] == "Sagaline"
                    && alarm.properties["MetricName"] == "MessagesFailed"
                    && alarm.properties["Dimensions"] == dimensions
                    && alarm.properties["Threshold"] == 0
            });
            unless(fine, "fails unheard")
        },
    )
}

fn alarms_are_told(world: &World) -> Broken {
    let wanted = world.is_prod().then(|| json!([TOPIC]));
    but(
        world.of_kind("AWS::CloudWatch::Alarm"),
        |it| &it.logical_id,
        |it| unless(it.properties.get("AlarmActions") == wanted.as_ref(), "is told to nobody"),
    )
}

fn chaos_is_for_dev(world: &World) -> Broken {
    let is_chaos = |it: &&Resource| it.logical_id.starts_with("Chaos") || it.name.contains("chaos");
    let others = world.functions().filter(|it| !is_chaos(it));
    let folders: BTreeSet<&str> = others.map(|it| it.properties["CodeUri"].as_str().unwrap()).collect();
    let mut broken = but(
        world.functions().filter(is_chaos),
        |it| &it.logical_id,
        |it| {
            let own = it.properties["CodeUri"].as_str().is_some_and(|folder| !folders.contains(folder));
            unless(own, "is packaged with the code of others")
        },
    );
    if world.is_prod() {
        let left = world.resources.iter().filter(is_chaos);
        broken.extend(left.map(|it| format!("{}: is deployed in prod", it.logical_id)));
    } else {
        assert!(world.functions().any(|it| is_chaos(&it)), "there is one in dev");
    }
    broken
}

fn functions_are_built_in_crates(world: &World) -> Broken {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let folder = project.join(it.properties["CodeUri"].as_str().unwrap());
            let manifests = folder.ancestors().map(|folder| folder.join("Cargo.toml"));
            let nearest = manifests.filter_map(|manifest| std::fs::read_to_string(manifest).ok()).next();
            unless(nearest.is_some_and(|it| it.contains("[package]")), "has no crate to be built in")
        },
    )
}

fn indexes_keep_keys(world: &World) -> Broken {
    let tables = world.of_kind("AWS::DynamoDB::Table");
    but(
        tables,
        |it| &it.logical_id,
        |it| {
            let indexes = it.properties.get("GlobalSecondaryIndexes").and_then(Value::as_array);
            let mut projections = indexes.into_iter().flatten().map(|index| &index["Projection"]);
            let other = projections.find(|it| **it != json!({"ProjectionType": "KEYS_ONLY"}));
            other.map(Value::to_string)
        },
    )
}

fn tables_last(world: &World) -> Broken {
    but(
        world.of_kind("AWS::DynamoDB::Table"),
        |it| &it.logical_id,
        |it| {
            let is = |path: &str, wanted: Value| {
                Value::Object(it.properties.clone()).pointer(path) == Some(&wanted)
            };
            let fine = it.deletion_policy.as_deref() == Some("Retain")
                && is("/BillingMode", json!("PAY_PER_REQUEST"))
                && is("/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", json!(true))
                && is("/SSESpecification/SSEEnabled", json!(true))
                && is("/DeletionProtectionEnabled", json!(world.is_prod()));
            unless(fine, "could be lost")
        },
    )
}

fn logs_end(world: &World) -> Broken {
    let mut broken = but(
        world.of_kind("AWS::Logs::LogGroup"),
        |it| &it.logical_id,
        |it| unless(it.properties.contains_key("RetentionInDays"), "is kept for ever"),
    );
    broken.extend(but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let group = it.properties["LoggingConfig"]["LogGroup"].as_str().unwrap_or_default();
            unless(group == format!("/aws/lambda/{}", it.name), "writes to a log that is not its own")
        },
    ));
    broken
}

/// A line of metrics says no level, and nobody wrote down what Lambda's filter makes of that.
fn metrics_pass(world: &World) -> Broken {
    but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let fine = it.properties["LoggingConfig"]["ApplicationLogLevel"] == "TRACE"
                && it.properties["Environment"]["Variables"]["LOG_LEVEL"].is_string();
            unless(fine, "may lose what it measures")
        },
    )
}

/// What API Gateway may write about a request that says nothing about who sent it.
const IMPERSONAL: [&str; 13] = [
    "$context.apiId",
    "$context.error.responseType",
    "$context.extendedRequestId",
    "$context.httpMethod",
    "$context.identity.apiKeyId",
    "$context.integration.status",
    "$context.integrationLatency",
    "$context.requestId",
    "$context.requestTime",
    "$context.resourcePath",
    "$context.responseLatency",
    "$context.responseLength",
    "$context.status",
];

fn apis_are_guarded(world: &World) -> Broken {
    let mut broken = but(
        world.of_kind("AWS::Serverless::Api"),
        |it| &it.logical_id,
        |it| {
            let format = it.properties["AccessLogSetting"]["Format"].as_str().unwrap();
            let logged: Value = serde_json::from_str(format).unwrap();
            let logged = logged.as_object().unwrap().values().map(|value| value.as_str().unwrap());
            let personal: Vec<&str> = logged
                .filter(|value| !IMPERSONAL.contains(value) && *value != "$context.xrayTraceId")
                .collect();
            let settings = &it.properties["MethodSettings"][0];
            let fine = personal.is_empty()
                && it.properties["StageName"] == world.environment
                && it.properties["ApiKeySourceType"] == "AUTHORIZER"
                && it.properties["Auth"]["ApiKeyRequired"] == true
                && it.properties["Auth"]["DefaultAuthorizer"] == "Keys"
                && it.properties["Auth"]["AddDefaultAuthorizerToCorsPreflight"] == false
                && it.properties["Auth"]["Authorizers"]["Keys"]["FunctionPayloadType"] == "REQUEST"
                && it.properties["Auth"]["Authorizers"]["Keys"]["Identity"]
                    == json!({ "ReauthorizeEvery": 0 })
                && it.properties["GatewayResponses"]["ACCESS_DENIED"]["StatusCode"] == 401
                && settings["ThrottlingRateLimit"].is_number()
                && settings["ThrottlingBurstLimit"].is_number();
            (!fine).then(|| format!("is open, or logs {personal:?}"))
        },
    );
    for function in world.functions() {
        for (name, event) in events_of(function) {
            // Only the authorizer says a share, so who is not asked who they are has none. Whether a route needs
            // somebody, `local` compares with the table of routes.
            let auth = &event["Properties"]["Auth"];
            let (open, without_share) = (auth["Authorizer"] == "NONE", auth["ApiKeyRequired"] == false);
            broken
                .extend((open != without_share).then(|| format!("{name}: wants a share of nobody, or none")));
        }
    }
    broken
}

/// Every share that an authorizer may say is a key of its API's plan: who has another one is kept out.
fn shares_are_of_the_plan(world: &World) -> Broken {
    let authorizers: Vec<&Resource> =
        world.functions().filter(|it| it.name.ends_with("-authorizer")).collect();
    assert_eq!(authorizers.len(), 2);
    but(
        authorizers,
        |it| &it.name,
        |it| {
            let prefix = it.properties["Environment"]["Variables"]["CLIENT_SHARES"].as_str()?;
            let of_stack = |kind: &str| {
                let all = world.of_kind(kind).filter(|other| other.template == it.template);
                all.collect::<Vec<_>>()
            };
            let in_plan: BTreeSet<&str> = of_stack("AWS::ApiGateway::UsagePlanKey")
                .iter()
                .filter_map(|key| key.properties["KeyId"].as_str())
                .collect();
            let keys = of_stack("AWS::ApiGateway::ApiKey");
            let keys = keys.iter().filter(|key| in_plan.contains(&*key.name));
            let values: BTreeSet<String> =
                keys.filter_map(|key| key.properties.get("Value")?.as_str().map(str::to_owned)).collect();
            let wanted = (0..8).map(|share| format!("{prefix}{share}")).collect();
            (values != wanted).then(|| format!("says {wanted:?}, and the plan knows {values:?}"))
        },
    )
}

/// What API Gateway answers by itself reads like what the functions answer.
fn gateways_answer_with_problems(world: &World) -> Broken {
    let apis = world.of_kind("AWS::Serverless::Api");
    let answers = apis.flat_map(|api| {
        let answers = api.properties["GatewayResponses"].as_object().unwrap().iter();
        answers.map(move |(kind, answer)| (api, kind, answer))
    });
    let all: Vec<_> = answers.collect();
    assert_eq!(all.len(), 2 * 7);
    but(
        all,
        |(_, kind, _)| kind.as_str(),
        |(_, _, answer)| {
            let body = answer["ResponseTemplates"]["application/json"].as_str().unwrap();
            // The one variable that brings its own quotes.
            let body = body.replace("$context.error.messageString", "\"Forbidden\"");
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            let code = body["code"].as_str().unwrap_or_default();
            let fine = answer["ResponseParameters"]["Headers"]["Content-Type"]
                == "'application/problem+json'"
                && body["type"] == format!("urn:sagaline:problem:{code}")
                && body["instance"] == "$context.requestId"
                && ["title", "detail"].iter().all(|member| body[member].is_string())
                && body.get("status") == answer.get("StatusCode");
            unless(fine, "is no problem document")
        },
    )
}

/// The events of a function, by name; an authorizer has none.
fn events_of(function: &Resource) -> impl Iterator<Item = (&String, &Value)> {
    function.properties.get("Events").and_then(Value::as_object).into_iter().flatten()
}

fn versions_are_tried(world: &World) -> Broken {
    let kind = if world.is_prod() { "Canary10Percent5Minutes" } else { "AllAtOnce" };
    but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            // Lambda takes for a success what a worker hands back and what an API answers with 5xx.
            let function =
                world.topology.functions.iter().find(|function| function.logical_id == it.logical_id);
            let mut alarms = vec![format!("{}-Errors", it.name)];
            if function.is_some_and(|function| function.sources().count() > 0) {
                alarms.push(format!("{}-Failures", it.name));
            }
            if function.is_some_and(|function| !function.routes.is_empty()) {
                alarms.push(format!("sagaline-{}-5xx", service_of(it).to_lowercase()));
            }
            let fine = it.properties.get("AutoPublishAlias") == Some(&json!("live"))
                && it.properties.get("AutoPublishAliasAllProperties") == Some(&json!(true))
                && it.properties["DeploymentPreference"]
                    == json!({"Type": kind, "Alarms": alarms, "PassthroughCondition": true});
            (!fine).then(|| it.properties["DeploymentPreference"].to_string())
        },
    )
}

fn traces_go_to_the_collector(world: &World) -> Broken {
    let (layers, address) = match world.is_prod() {
        true => (Some(json!([COLLECTOR])), Some(json!("http://localhost:4318"))),
        false => (None, None),
    };
    but(
        world.functions(),
        |it| &it.logical_id,
        |it| {
            let variable = it.properties["Environment"]["Variables"].get("OTEL_EXPORTER_OTLP_ENDPOINT");
            let fine = it.properties.get("Layers") == layers.as_ref() && variable == address.as_ref();
            unless(fine, "has one without the other")
        },
    )
}

fn dashboards_show_what_is_measured(world: &World) -> Broken {
    let measured = measured();
    but(
        world.of_kind("AWS::CloudWatch::Dashboard"),
        |it| &it.logical_id,
        |it| {
            let body: Value = match serde_json::from_str(it.properties["DashboardBody"].as_str()?) {
                Ok(body) => body,
                Err(error) => return Some(error.to_string()),
            };
            let widgets = body["widgets"].as_array()?.iter();
            let lines = widgets.filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten();
            let unknown = lines.filter_map(our_metric).find(|name| !measured.contains(*name))?;
            Some(format!("nobody measures {unknown}"))
        },
    )
}

/// The name of a metric of ours in a line of a widget.
fn our_metric(line: &Value) -> Option<&str> {
    match (line[0].as_str(), line[0]["expression"].as_str()) {
        (Some("Sagaline"), _) => line[1].as_str(),
        (_, Some(search)) => search.split("MetricName=\"").nth(1)?.split('"').next(),
        _ => None,
    }
}

/// The names that metrics of functions have in CloudWatch, from where they are measured.
fn measured() -> BTreeSet<String> {
    let source = include_str!("../../../telemetry/src/metrics.rs");
    let fields = ["monotonic_counter.", "histogram.", "gauge."]
        .into_iter()
        .flat_map(|kind| source.split(kind).skip(1));
    let names = fields
        .filter_map(|rest| rest.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).next());
    let camel_case = |name: &str| {
        let words = name.split('_').filter(|word| !word.is_empty());
        words.map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
    };
    names.map(camel_case).collect()
}

fn the_pipe_rings(world: &World) -> Broken {
    let alarms: Vec<String> = world
        .of_kind("AWS::CloudWatch::Alarm")
        .map(|alarm| Value::Object(alarm.properties.clone()).to_string())
        .collect();
    but(
        world.of_kind("AWS::Pipes::Pipe"),
        |it| &it.name,
        |it| {
            let watched = |metric: &str| alarms.iter().any(|alarm| alarm.contains(&format!("\"{metric}\"")));
            let metrics =
                ["ExecutionFailed", "ExecutionThrottled", "ExecutionTimeout", "Invocations", "EventAge"];
            let logs = &it.properties["LogConfiguration"];
            let fine = metrics.iter().all(|metric| watched(metric))
                && logs["Level"] == "ERROR"
                && logs.get("IncludeExecutionData").is_none();
            unless(fine, "fails unheard, or logs events")
        },
    )
}
