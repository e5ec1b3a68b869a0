//! From the resources of the templates to what runs: each queue, rule, pipe and function, and what connects them.

mod delivery;
mod function;

use crate::error::TopologyError;
use crate::properties::Properties;
use crate::template::{Resource, Templates};
use crate::{Table, Topology};
use std::collections::BTreeSet;

/// Wires the deployed resources together.
pub(crate) fn wire(templates: &Templates) -> Result<Topology, TopologyError> {
    let resources = templates.resources_of(is_wired)?;
    let account = Account { resources: &resources };
    let [pipe] = account.of(PIPE).collect::<Vec<_>>()[..] else {
        let found = account.of(PIPE).count();
        return Err(TopologyError::Wiring(format!("there are {found} pipes, declare exactly one {PIPE}")));
    };
    let pipe = account.pipe(pipe)?;
    let rules = account.of(RULE).map(|rule| account.rule(rule, &pipe.bus)).filter_map(Result::transpose);
    let topology = Topology {
        queues: account.of(QUEUE).map(|queue| account.queue(queue)).collect::<Result<_, _>>()?,
        rules: rules.collect::<Result<_, _>>()?,
        functions: account
            .of(FUNCTION)
            .map(|function| account.function(function, &pipe))
            .collect::<Result<_, _>>()?,
        tables: account.of(TABLE).map(table).collect(),
        pipe,
    };
    refuse_double_names(&topology)?;
    refuse_impatient_queues(&topology)?;
    Ok(topology)
}

const QUEUE: &str = "AWS::SQS::Queue";
const TABLE: &str = "AWS::DynamoDB::Table";
const BUS: &str = "AWS::Events::EventBus";
const RULE: &str = "AWS::Events::Rule";
const PIPE: &str = "AWS::Pipes::Pipe";
const FUNCTION: &str = "AWS::Serverless::Function";
const API: &str = "AWS::Serverless::Api";
const WIRED: [&str; 7] = [QUEUE, TABLE, BUS, RULE, PIPE, FUNCTION, API];

/// Types that decide who may do what, who is told, and how it looks, but move no event.
const PASSED_OVER: [&str; 22] = [
    "AWS::ApiGateway::",
    "AWS::ApiGatewayV2::",
    "AWS::ApplicationInsights::",
    "AWS::Budgets::",
    "AWS::CertificateManager::",
    "AWS::CloudWatch::",
    "AWS::Events::Archive",
    "AWS::Events::EventBusPolicy",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::Oam::",
    "AWS::ResourceGroups::",
    "AWS::Route53::",
    "AWS::SecretsManager::",
    "AWS::Serverless::HttpApi",
    "AWS::SNS::Topic",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::",
    "AWS::WAFv2::",
    "AWS::XRay::",
];

fn is_wired(kind: &str) -> Result<bool, String> {
    let is = |known: &str| if known.ends_with("::") { kind.starts_with(known) } else { kind == known };
    match (WIRED.contains(&kind), PASSED_OVER.iter().any(|known| is(known))) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err(format!("{kind} is not supported, use one of {}", WIRED.join(", "))),
    }
}

/// The resources of one account, to find by ARN what one of them refers to.
struct Account<'a> {
    resources: &'a [Resource],
}

impl<'a> Account<'a> {
    fn of(&self, kind: &str) -> impl Iterator<Item = &'a Resource> {
        let of_kind = self.resources.iter().filter(move |resource| resource.kind == kind);
        of_kind.collect::<Vec<_>>().into_iter()
    }

    /// The name of the queue that a property refers to.
    fn queue_at(&self, properties: &Properties<'_>, name: &str) -> Result<String, TopologyError> {
        let arn = properties.required_text(name)?;
        let queue = self.of(QUEUE).find(|queue| queue.arn.as_deref() == Some(arn));
        let problem = || format!("{arn} is no queue of these templates, refer to one with !GetAtt Queue.Arn");
        Ok(queue.ok_or_else(|| properties.error(name, problem()))?.name.clone())
    }

    fn dead_letter_queue(&self, properties: &Properties<'_>) -> Result<Option<String>, TopologyError> {
        let Some(config) = properties.within("DeadLetterConfig")? else { return Ok(None) };
        config.only(&["Arn"])?;
        self.queue_at(&config, "Arn").map(Some)
    }
}

fn table(resource: &Resource) -> Table {
    Table { logical_id: resource.logical_id.clone(), name: resource.name.clone() }
}

fn refuse_double_names(topology: &Topology) -> Result<(), TopologyError> {
    // Each stack has an API of its own, so both may answer whether they live.
    let routes =
        topology.functions.iter().flat_map(|it| it.routes.iter().map(move |route| (&it.stack, route)));
    let feeds = topology.functions.iter().flat_map(|function| function.sources());
    let names = (topology.queues.iter().map(|queue| format!("queue {}", queue.name)))
        .chain(topology.rules.iter().map(|rule| format!("rule {}", rule.name)))
        .chain(topology.functions.iter().map(|function| format!("binary {}", function.binary)))
        .chain(topology.tables.iter().map(|table| format!("table {}", table.name)))
        .chain(routes.map(|(stack, route)| format!("route {} {} in {stack}", route.method, route.path)))
        .chain(feeds.map(|feed| format!("feed from queue {}", feed.queue)));
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(TopologyError::Wiring(format!("there are two of {name}, remove or rename one")));
        }
        seen.insert(name);
    }
    Ok(())
}

/// A message that reappears while it is still being worked on is done twice; Lambda refuses such a queue.
fn refuse_impatient_queues(topology: &Topology) -> Result<(), TopologyError> {
    for function in &topology.functions {
        let mut queues = function.sources().filter_map(|source| topology.queue(&source.queue));
        if let Some(queue) = queues.find(|queue| queue.visibility_timeout < function.timeout) {
            return Err(TopologyError::Wiring(format!(
                "queue {} shows a message again after {} s while function {} may work on it for {} s, raise its \
                 VisibilityTimeout to six times that",
                queue.name,
                queue.visibility_timeout.as_secs(),
                function.logical_id,
                function.timeout.as_secs(),
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parameters, QueueSource, Route, Source};
    use std::time::Duration;

    /// A complete system, small enough to break in one place.
    const SMALL: &str = "
Resources:
  Log: { Type: AWS::DynamoDB::Table, Properties: { StreamSpecification: { StreamViewType: NEW_IMAGE } } }
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: sagaline } }
  Dead: { Type: AWS::SQS::Queue, Properties: { QueueName: Dead } }
  Work:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: Work
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3 }
  Pipe:
    Type: AWS::Pipes::Pipe
    Properties:
      Source: !GetAtt Log.StreamArn
      SourceParameters:
        FilterCriteria: { Filters: [{ Pattern: '{\"eventName\": [\"INSERT\"]}' }] }
        DynamoDBStreamParameters: { BatchSize: 10, StartingPosition: LATEST, MaximumRetryAttempts: -1 }
      Target: !GetAtt Bus.Arn
      TargetParameters:
        InputTemplate: '{\"pk\": \"<$.dynamodb.NewImage.pk.S>\"}'
        EventBridgeEventBusParameters: { Source: log, DetailType: $.dynamodb.NewImage.event_name.S }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { source: [log] }
      Targets: [{ Id: work, Arn: !GetAtt Work.Arn, InputPath: $.detail }]
  Worker:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: worker } }
    Properties:
      Timeout: 10
      Events:
        Work: { Type: SQS, Properties: { Queue: !GetAtt Work.Arn } }
        Tick: { Type: Schedule, Properties: { Schedule: rate(1 minute) } }
        Route: { Type: Api, Properties: { Path: '/a/{id}', Method: get } }
  Role: { Type: AWS::IAM::Role, Properties: { Anything: !GetAZs '' } }
";

    fn load(text: &str) -> Result<Topology, TopologyError> {
        Topology::load(&[Source { name: "template-small.yaml", text }], &Parameters::default())
    }

    #[test]
    fn what_is_not_said_is_what_aws_takes_as_default() {
        let topology = load(SMALL).unwrap();
        let dead = topology.queue("Dead").unwrap();
        assert_eq!(
            (
                dead.visibility_timeout.as_secs(),
                dead.retention.as_secs(),
                dead.delay.as_secs(),
                &dead.redrive
            ),
            (30, 345_600, 0, &None)
        );
        let target = &topology.rules[0].targets[0];
        assert_eq!((target.maximum_retry_attempts, target.maximum_event_age.as_secs()), (185, 86_400));
        let worker = topology.function("worker").unwrap();
        assert_eq!((worker.timeout.as_secs(), worker.memory_mb), (10, 128));
        assert_eq!(
            worker.queues,
            [QueueSource {
                queue: "Work".to_owned(),
                batch_size: 10,
                batching_window: Duration::ZERO,
                maximum_concurrency: None,
                report_batch_item_failures: false,
            }]
        );
        assert_eq!(
            worker.routes,
            [Route { method: "GET".to_owned(), path: "/a/{id}".to_owned(), authorized: false }]
        );
        assert_eq!(worker.schedules[0].name, "Worker-Tick");
        assert_eq!((topology.pipe.maximum_retry_attempts, topology.pipe.maximum_record_age), (None, None));
        assert_eq!(topology.tables[0].name, "small-Log");
    }

    #[test]
    fn a_route_asks_the_authorizer_that_it_names_or_else_the_one_of_its_api() {
        let route = |own: &str, of_api: &str| {
            let event = format!("RestApiId: !Ref Api, {own} Path: '/a/{{id}}'");
            let api =
                format!("Resources:\n  Api: {{ Type: AWS::Serverless::Api, Properties: {{ {of_api} }} }}");
            let text = SMALL.replacen("Path: '/a/{id}'", &event, 1).replacen("Resources:", &api, 1);
            load(&text).unwrap().function("worker").unwrap().routes[0].authorized
        };
        let usual =
            "Auth: { DefaultAuthorizer: Keys, Authorizers: { Keys: { FunctionArn: !GetAtt Worker.Arn } } }";
        assert_eq!([route("", usual), route("", ""), route("", "Auth: {}")], [true, false, false]);
        let none = "Auth: { Authorizer: NONE },";
        assert_eq!([route(none, usual), route("Auth: { Authorizer: Keys },", "")], [false, true]);
        assert!(route("Auth: { ApiKeyRequired: false },", usual));
    }

    #[test]
    fn who_reads_what_the_pipe_gave_up_on_is_no_worker() {
        let gives_up = "MaximumRetryAttempts: -1, DeadLetterConfig: { Arn: !GetAtt Work.Arn }";
        let text = SMALL.replacen("MaximumRetryAttempts: -1", gives_up, 1);
        let worker = load(&text).unwrap().function("worker").unwrap().clone();
        assert_eq!(worker.queues, []);
        assert_eq!(worker.pipe_dead_letters.as_ref().map(|source| source.queue.as_str()), Some("Work"));
        assert_eq!(worker.sources().count(), 1);
    }

    #[test]
    fn a_clock_and_its_function_give_up_into_queues() {
        let dead = "rate(1 minute), RetryPolicy: { MaximumRetryAttempts: 2 }, DeadLetterConfig: { Arn: !GetAtt Dead.Arn }";
        let text = SMALL.replacen("rate(1 minute)", dead, 1);
        let own = "Timeout: 10\n      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt Dead.Arn }";
        let worker = load(&text.replacen("Timeout: 10", own, 1)).unwrap().function("worker").unwrap().clone();
        assert_eq!(worker.schedules[0].dead_letter_queue.as_deref(), Some("Dead"));
        assert_eq!(worker.dead_letter_queue.as_deref(), Some("Dead"));
    }

    #[test]
    fn what_is_not_understood_is_named_and_never_ignored() {
        let cases = [
            (
                "maxReceiveCount: 3",
                "maxReceiveCount: 0",
                "resource Work, property RedrivePolicy.maxReceiveCount: is 0",
            ),
            ("VisibilityTimeout: 60", "VisibilityTimeout: 60000", "property VisibilityTimeout: is 60000"),
            ("VisibilityTimeout: 60", "FifoQueue: true", "property FifoQueue: is not supported"),
            ("VisibilityTimeout: 60", "VisibilityTimeout: 5", "queue Work shows a message again after 5 s"),
            ("QueueName: Dead }", "QueueName: Work }", "is the queue itself"),
            ("!GetAtt Dead.Arn", "arn:aws:sqs:x", "deadLetterTargetArn: arn:aws:sqs:x is no queue"),
            ("!GetAtt Log.StreamArn", "!GetAtt Log.Arn", "resource Pipe, property Source: is no stream"),
            (
                "Target: !GetAtt Bus.Arn",
                "Target: !GetAtt Work.Arn",
                "resource Pipe, property Target: is no bus",
            ),
            ("BatchSize: 10,", "BatchSize: 100,", "DynamoDBStreamParameters.BatchSize: is 100"),
            (
                "[\\\"INSERT\\\"]",
                "[{\\\"wildcard\\\": \\\"*\\\"}]",
                "Filters.0.Pattern: a pipe does not support wildcard",
            ),
            ("EventBusName: !Ref Bus", "Description: x", "EventBusName: is default, which nothing sends to"),
            (
                "{ source: [log] }",
                "{ source: [{ like: x }] }",
                "EventPattern: failed to understand the event pattern at source",
            ),
            ("Arn: !GetAtt Work.Arn, In", "Arn: !GetAtt Bus.Arn, In", "Targets.0.Arn: arn:aws:events"),
            ("InputPath: $.detail", "Input: x", "Targets.0.Input: is not supported"),
            ("{ Queue: !GetAtt Work.Arn }", "{ BatchSize: 5 }", "Events.Work.Properties.Queue: is missing"),
            (
                "{ Queue: !GetAtt Work.Arn }",
                "{ Queue: !GetAtt Work.Arn, BatchSize: 50 }",
                "BatchSize: is more than 10",
            ),
            (
                "Tick: {",
                "Tick-Tock: {",
                "Events.Tick-Tock.Type: the event's name may hold letters and digits only",
            ),
            ("Type: SQS", "Type: Kinesis", "Events.Work.Type: Kinesis is not supported"),
            (
                "rate(1 minute)",
                "cron(* * * * ? *)",
                "Events.Tick.Properties.Schedule: only a rate is supported",
            ),
            (
                "Timeout: 10",
                "Timeout: 10\n      DeadLetterQueue: { Type: SNS, TargetArn: !GetAtt Dead.Arn }",
                "property DeadLetterQueue.Type: is not supported, use SQS",
            ),
            (
                "Timeout: 10",
                "Timeout: 10\n      EventInvokeConfig: { DestinationConfig: { OnFailure: { Type: SQS } } }",
                "property EventInvokeConfig.DestinationConfig: is not supported",
            ),
            (
                "rate(1 minute)",
                "rate(1 minute), DeadLetterConfig: { Type: SQS }",
                "Events.Tick.Properties.DeadLetterConfig.Type: is not supported",
            ),
            ("Binary: worker", "Other: worker", "property Metadata.BuildProperties.Binary: is missing"),
            (
                "Type: AWS::IAM::Role",
                "Type: AWS::Kinesis::Stream",
                "resource Role, property Type: AWS::Kinesis::Stream is not supported",
            ),
            ("Type: AWS::Pipes::Pipe", "Type: AWS::IAM::Role", "there are 0 pipes"),
        ];
        for (right, wrong, expected) in cases {
            let (right, wrong) = (right.replace("\\\"", "\""), wrong.replace("\\\"", "\""));
            assert!(SMALL.contains(&right), "{right}");
            let error = load(&SMALL.replacen(&right, &wrong, 1)).expect_err(expected).to_string();
            assert!(
                error.starts_with("failed to ") && error.contains(expected),
                "{right} -> {wrong}: {error}"
            );
        }
    }
}
