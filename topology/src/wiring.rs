//! From the resources of the templates to what runs: each queue, rule, pipe and function, and what connects them.

use crate::error::TopologyError;
use crate::properties::Properties;
use crate::template::{Resource, Templates};
use crate::{
    DetailType, EventPattern, Function, InputTemplate, JsonPath, PartialBatchFailure, Pipe, Queue,
    QueueSource, Redrive, Route, Rule, Schedule, Table, Target, Topology,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Wires the deployed resources together.
pub(crate) fn wire(templates: &Templates) -> Result<Topology, TopologyError> {
    let resources = templates.resources_of(is_wired)?;
    let map = Map { resources: &resources };
    let [pipe] = map.of(PIPE).collect::<Vec<_>>()[..] else {
        let found = map.of(PIPE).count();
        return Err(TopologyError::Wiring(format!("there are {found} pipes, declare exactly one {PIPE}")));
    };
    let pipe = map.pipe(pipe)?;
    let rules = map.of(RULE).map(|rule| map.rule(rule, &pipe.bus)).filter_map(Result::transpose);
    let topology = Topology {
        queues: map.of(QUEUE).map(|queue| map.queue(queue)).collect::<Result<_, _>>()?,
        rules: rules.collect::<Result<_, _>>()?,
        functions: map.of(FUNCTION).map(|function| map.function(function)).collect::<Result<_, _>>()?,
        tables: map.of(TABLE).map(table).collect(),
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
const WIRED: [&str; 6] = [QUEUE, TABLE, BUS, RULE, PIPE, FUNCTION];

/// Types that decide who may do what, who is told, and how it looks, but move no event.
const PASSED_OVER: [&str; 23] = [
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
    "AWS::Serverless::Api",
    "AWS::Serverless::HttpApi",
    "AWS::SNS::Topic",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::",
    "AWS::WAFv2::",
    "AWS::XRay::",
];

/// SQS and Lambda allow at most this much, in their API references.
const MAX_VISIBILITY_SECONDS: u32 = 43_200;
const MAX_RETENTION_SECONDS: u32 = 1_209_600;
const DAY_SECONDS: u32 = 86_400;
/// Longer patterns are refused by `PutRule` and `CreatePipe`.
const MAX_PATTERN_LENGTH: usize = 4_096;

fn is_wired(kind: &str) -> Result<bool, String> {
    let is = |known: &&str| if known.ends_with("::") { kind.starts_with(*known) } else { kind == *known };
    match (WIRED.contains(&kind), PASSED_OVER.iter().any(|known| is(&known))) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err(format!("{kind} is not supported, use one of {}", WIRED.join(", "))),
    }
}

/// All resources, to find by ARN what one of them refers to.
struct Map<'a> {
    resources: &'a [Resource],
}

impl<'a> Map<'a> {
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

    fn queue(&self, resource: &Resource) -> Result<Queue, TopologyError> {
        let properties = Properties::of(resource);
        properties.only(&[
            "QueueName",
            "VisibilityTimeout",
            "MessageRetentionPeriod",
            "DelaySeconds",
            "MaximumMessageSize",
            "ReceiveMessageWaitTimeSeconds",
            "RedrivePolicy",
            "RedriveAllowPolicy",
            "SqsManagedSseEnabled",
            "KmsMasterKeyId",
            "KmsDataKeyReusePeriodSeconds",
            "Tags",
        ])?;
        if resource.name.ends_with(".fifo") {
            return Err(
                properties.error("QueueName", "FIFO queues are not supported, nothing here needs order")
            );
        }
        let visibility = properties.seconds("VisibilityTimeout", 0..=MAX_VISIBILITY_SECONDS)?;
        let retention = properties.seconds("MessageRetentionPeriod", 60..=MAX_RETENTION_SECONDS)?;
        let delay = properties.seconds("DelaySeconds", 0..=900)?;
        Ok(Queue {
            name: resource.name.clone(),
            logical_id: resource.logical_id.clone(),
            visibility_timeout: visibility.unwrap_or(Duration::from_secs(30)),
            retention: retention.unwrap_or(Duration::from_secs(4 * u64::from(DAY_SECONDS))),
            delay: delay.unwrap_or_default(),
            redrive: self.redrive(&properties, &resource.name)?,
        })
    }

    fn redrive(&self, queue: &Properties<'_>, name: &str) -> Result<Option<Redrive>, TopologyError> {
        let Some(policy) = queue.within("RedrivePolicy")? else { return Ok(None) };
        policy.only(&["deadLetterTargetArn", "maxReceiveCount"])?;
        let dead_letter_queue = self.queue_at(&policy, "deadLetterTargetArn")?;
        if dead_letter_queue == name {
            return Err(policy.error("deadLetterTargetArn", "is the queue itself, name another one"));
        }
        let max_receive_count = policy.count("maxReceiveCount", 1..=1_000)?;
        let max_receive_count =
            max_receive_count.ok_or_else(|| policy.error("maxReceiveCount", "is missing, add it"))?;
        Ok(Some(Redrive { dead_letter_queue, max_receive_count }))
    }

    /// A rule on the pipe's bus; `None` if it is disabled.
    fn rule(&self, resource: &Resource, bus: &str) -> Result<Option<Rule>, TopologyError> {
        let properties = Properties::of(resource);
        properties.only(&[
            "Name",
            "Description",
            "EventBusName",
            "EventPattern",
            "State",
            "Targets",
            "Tags",
        ])?;
        let on_bus = properties.text("EventBusName")?.unwrap_or("default");
        if on_bus != bus && !on_bus.ends_with(&format!(":event-bus/{bus}")) {
            let problem = format!("is {on_bus}, which nothing sends to, name the pipe's target {bus}");
            return Err(properties.error("EventBusName", problem));
        }
        match properties.text("State")?.unwrap_or("ENABLED") {
            "ENABLED" => {}
            "DISABLED" => return Ok(None),
            _ => return Err(properties.error("State", "is not supported, use ENABLED or DISABLED")),
        }
        let pattern = properties.value("EventPattern");
        let pattern = pattern.ok_or_else(|| properties.error("EventPattern", "is missing, add it"))?;
        let text = pattern.as_str().map_or_else(|| pattern.to_string(), str::to_owned);
        let pattern = event_pattern(&properties, "EventPattern", &text)?;
        let targets = properties.each("Targets")?;
        if !(1..=5).contains(&targets.len()) {
            return Err(properties.error("Targets", "a rule has one to five targets"));
        }
        let targets = targets.iter().map(|target| self.target(target)).collect::<Result<_, _>>()?;
        Ok(Some(Rule { name: resource.name.clone(), pattern, targets }))
    }

    fn target(&self, target: &Properties<'_>) -> Result<Target, TopologyError> {
        target.only(&["Id", "Arn", "InputPath", "RetryPolicy", "DeadLetterConfig"])?;
        target.required_text("Id")?;
        let input_path = target.text("InputPath")?.map(JsonPath::parse).transpose();
        let mut retries = None;
        let mut age = None;
        if let Some(policy) = target.within("RetryPolicy")? {
            policy.only(&["MaximumRetryAttempts", "MaximumEventAgeInSeconds"])?;
            retries = policy.count("MaximumRetryAttempts", 0..=185)?;
            age = policy.seconds("MaximumEventAgeInSeconds", 60..=DAY_SECONDS)?;
        }
        Ok(Target {
            queue: self.queue_at(target, "Arn")?,
            input_path: input_path.map_err(|error| target.error("InputPath", error))?,
            maximum_retry_attempts: retries.unwrap_or(185),
            maximum_event_age: age.unwrap_or(Duration::from_secs(DAY_SECONDS.into())),
            dead_letter_queue: self.dead_letter_queue(target)?,
        })
    }

    fn pipe(&self, resource: &Resource) -> Result<Pipe, TopologyError> {
        let properties = Properties::of(resource);
        properties.only(&[
            "Name",
            "Description",
            "RoleArn",
            "Source",
            "SourceParameters",
            "Target",
            "TargetParameters",
            "DesiredState",
            "LogConfiguration",
            "KmsKeyIdentifier",
            "Tags",
        ])?;
        if properties.text("DesiredState")?.unwrap_or("RUNNING") != "RUNNING" {
            return Err(properties
                .error("DesiredState", "a pipe that does not run moves no event, set it to RUNNING"));
        }
        let source = properties.required_text("Source")?;
        let table = self.of(TABLE).find(|table| table.stream_arn.as_deref() == Some(source));
        let problem = "is no stream of a table of these templates, refer to one with !GetAtt Table.StreamArn";
        let table = table.ok_or_else(|| properties.error("Source", problem))?;
        let target = properties.required_text("Target")?;
        let bus = self.of(BUS).find(|bus| bus.arn.as_deref() == Some(target));
        let problem = "is no bus of these templates, refer to one with !GetAtt Bus.Arn";
        let bus = bus.ok_or_else(|| properties.error("Target", problem))?;

        let source = properties.required_within("SourceParameters")?;
        source.only(&["FilterCriteria", "DynamoDBStreamParameters"])?;
        let stream = source.required_within("DynamoDBStreamParameters")?;
        stream.only(&[
            "BatchSize",
            "StartingPosition",
            "MaximumBatchingWindowInSeconds",
            "MaximumRecordAgeInSeconds",
            "MaximumRetryAttempts",
            "OnPartialBatchItemFailure",
            "ParallelizationFactor",
            "DeadLetterConfig",
        ])?;
        let age = stream.number("MaximumRecordAgeInSeconds", -1..=604_800)?;
        if age.is_some_and(|age| (0..60).contains(&age)) {
            return Err(stream.error("MaximumRecordAgeInSeconds", "is too short, write -1 or at least 60"));
        }
        let retries = stream.number("MaximumRetryAttempts", -1..=10_000)?;
        let target = properties.required_within("TargetParameters")?;
        target.only(&["InputTemplate", "EventBridgeEventBusParameters"])?;
        let template = InputTemplate::parse(target.required_text("InputTemplate")?);
        let event = target.required_within("EventBridgeEventBusParameters")?;
        event.only(&["Source", "DetailType"])?;
        // A bus takes ten entries in one call, so AWS refuses larger batches on the way to one.
        let batch_size = stream.count("BatchSize", 1..=10)?;
        Ok(Pipe {
            name: resource.name.clone(),
            table: table.name.clone(),
            bus: bus.name.clone(),
            filters: filters(&source)?,
            input_template: template.map_err(|error| target.error("InputTemplate", error))?,
            source_name: literal(&event, "Source")?,
            detail_type: detail_type(&event)?,
            batch_size: batch_size
                .ok_or_else(|| stream.error("BatchSize", "is missing, write at most 10"))?,
            batching_window: stream.seconds("MaximumBatchingWindowInSeconds", 0..=300)?.unwrap_or_default(),
            maximum_retry_attempts: retries.and_then(|it| u32::try_from(it).ok()),
            maximum_record_age: age.and_then(|it| u64::try_from(it).ok()).map(Duration::from_secs),
            on_partial_batch_item_failure: match stream.text("OnPartialBatchItemFailure")? {
                None => PartialBatchFailure::RetryWhole,
                Some("AUTOMATIC_BISECT") => PartialBatchFailure::Bisect,
                Some(_) => {
                    return Err(stream.error("OnPartialBatchItemFailure", "can only be AUTOMATIC_BISECT"));
                }
            },
            dead_letter_queue: self.dead_letter_queue(&stream)?,
        })
    }

    fn function(&self, resource: &Resource) -> Result<Function, TopologyError> {
        let properties = Properties::of(resource);
        let metadata = Properties::metadata_of(resource);
        let build = metadata.required_within("BuildProperties")?;
        let mut function = Function {
            logical_id: resource.logical_id.clone(),
            binary: build.required_text("Binary")?.to_owned(),
            timeout: properties.seconds("Timeout", 1..=900)?.unwrap_or(Duration::from_secs(3)),
            memory_mb: properties.count("MemorySize", 128..=10_240)?.unwrap_or(128),
            stack: resource.template.clone(),
            queues: Vec::new(),
            schedules: Vec::new(),
            routes: Vec::new(),
        };
        for (name, event) in properties.named("Events")? {
            event.only(&["Type", "Properties"])?;
            let kind = event.required_text("Type")?;
            let inner = event.required_within("Properties")?;
            match kind {
                "SQS" => function.queues.extend(self.queue_source(&inner)?),
                "Schedule" | "ScheduleV2" => {
                    let fallback = format!("{}-{name}", resource.logical_id);
                    function.schedules.push(schedule(&inner, kind, fallback)?);
                }
                "Api" | "HttpApi" => function.routes.push(route(&inner)?),
                _ => {
                    let problem =
                        format!("{kind} is not supported, use SQS, Schedule, ScheduleV2, Api or HttpApi");
                    return Err(event.error("Type", problem));
                }
            }
        }
        Ok(function)
    }

    /// A queue that feeds a function; `None` if it is disabled.
    fn queue_source(&self, event: &Properties<'_>) -> Result<Option<QueueSource>, TopologyError> {
        event.only(&[
            "Queue",
            "BatchSize",
            "Enabled",
            "FunctionResponseTypes",
            "MaximumBatchingWindowInSeconds",
            "ScalingConfig",
        ])?;
        let queue = self.queue_at(event, "Queue")?;
        let batch_size = event.count("BatchSize", 1..=10_000)?.unwrap_or(10);
        let batching_window = event.seconds("MaximumBatchingWindowInSeconds", 0..=300)?.unwrap_or_default();
        if batch_size > 10 && batching_window.is_zero() {
            let problem = "is more than 10, which needs a MaximumBatchingWindowInSeconds of at least 1";
            return Err(event.error("BatchSize", problem));
        }
        let responses = event.list("FunctionResponseTypes")?;
        if responses.iter().any(|response| response != "ReportBatchItemFailures") {
            return Err(event.error("FunctionResponseTypes", "can only be ReportBatchItemFailures"));
        }
        let mut maximum_concurrency = None;
        if let Some(scaling) = event.within("ScalingConfig")? {
            scaling.only(&["MaximumConcurrency"])?;
            maximum_concurrency = scaling.count("MaximumConcurrency", 2..=1_000)?;
        }
        let source = QueueSource {
            queue,
            batch_size,
            batching_window,
            maximum_concurrency,
            report_batch_item_failures: !responses.is_empty(),
        };
        Ok(event.flag("Enabled")?.unwrap_or(true).then_some(source))
    }
}

fn table(resource: &Resource) -> Table {
    Table { logical_id: resource.logical_id.clone(), name: resource.name.clone() }
}

fn filters(source: &Properties<'_>) -> Result<Vec<EventPattern>, TopologyError> {
    let Some(criteria) = source.within("FilterCriteria")? else { return Ok(Vec::new()) };
    criteria.only(&["Filters"])?;
    let filters = criteria.each("Filters")?;
    if filters.len() > 5 {
        return Err(criteria.error("Filters", "a pipe has at most five filters, merge some"));
    }
    let patterns = filters.iter().map(|filter| {
        filter.only(&["Pattern"])?;
        let pattern = event_pattern(filter, "Pattern", filter.required_text("Pattern")?)?;
        match pattern.bus_only_operator() {
            Some(operator) => {
                Err(filter.error("Pattern", format!("a pipe does not support {operator}, a rule does")))
            }
            None => Ok(pattern),
        }
    });
    patterns.collect()
}

fn event_pattern(properties: &Properties<'_>, name: &str, text: &str) -> Result<EventPattern, TopologyError> {
    if text.len() > MAX_PATTERN_LENGTH {
        let problem = format!("has {} characters, AWS takes at most {MAX_PATTERN_LENGTH}", text.len());
        return Err(properties.error(name, problem));
    }
    EventPattern::parse(text).map_err(|error| properties.error(name, error))
}

fn literal(properties: &Properties<'_>, name: &str) -> Result<String, TopologyError> {
    let text = properties.required_text(name)?;
    if text.starts_with('$') {
        return Err(properties.error(name, "a path is not supported here, write the text itself"));
    }
    Ok(text.to_owned())
}

fn detail_type(event: &Properties<'_>) -> Result<DetailType, TopologyError> {
    let text = event.required_text("DetailType")?;
    if !text.starts_with('$') {
        return Ok(DetailType::Literal(text.to_owned()));
    }
    JsonPath::parse(text).map(DetailType::Path).map_err(|error| event.error("DetailType", error))
}

fn route(event: &Properties<'_>) -> Result<Route, TopologyError> {
    event.only(&[
        "Path",
        "Method",
        "RestApiId",
        "ApiId",
        "Auth",
        "RequestParameters",
        "RequestModel",
        "TimeoutInMillis",
    ])?;
    let method = event.required_text("Method")?.to_ascii_uppercase();
    let method =
        if method == "*" || method == "X-AMAZON-APIGATEWAY-ANY-METHOD" { "ANY".to_owned() } else { method };
    let known = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    if !known.contains(&method.as_str()) {
        return Err(event.error("Method", format!("is no method, use one of {}", known.join(", "))));
    }
    let path = event.required_text("Path")?;
    if !path.starts_with('/') {
        return Err(event.error("Path", "starts with a /, as in /orders/{id}"));
    }
    Ok(Route { method, path: path.to_owned() })
}

fn schedule(event: &Properties<'_>, kind: &str, fallback: String) -> Result<Schedule, TopologyError> {
    event.only(&[
        "Schedule",
        "ScheduleExpression",
        "Name",
        "Description",
        "Enabled",
        "State",
        "RoleArn",
        "FlexibleTimeWindow",
    ])?;
    let property = if kind == "Schedule" { "Schedule" } else { "ScheduleExpression" };
    let every = rate(event.required_text(property)?).map_err(|problem| event.error(property, problem))?;
    let state = match event.text("State")? {
        None => None,
        Some("ENABLED") => Some(true),
        Some("DISABLED") => Some(false),
        Some(_) => return Err(event.error("State", "is either ENABLED or DISABLED")),
    };
    let enabled = event.flag("Enabled")?.or(state).unwrap_or(true);
    Ok(Schedule { name: event.text("Name")?.map_or(fallback, str::to_owned), every, enabled })
}

/// Reads `rate(1 minute)`. AWS wants the singular for one and the plural for more.
fn rate(expression: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str =
        "only a rate is supported, such as rate(1 minute), rate(5 minutes), rate(1 hour) or rate(7 days)";
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).ok_or(SHAPE)?;
    let (number, unit) = inner.trim().split_once(' ').ok_or(SHAPE)?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0).ok_or(SHAPE)?;
    let seconds = match (unit.trim(), number) {
        ("minute", 1) | ("minutes", 2..) => 60,
        ("hour", 1) | ("hours", 2..) => 3_600,
        ("day", 1) | ("days", 2..) => 86_400,
        _ => return Err(SHAPE),
    };
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

fn refuse_double_names(topology: &Topology) -> Result<(), TopologyError> {
    let routes = topology.functions.iter().flat_map(|function| &function.routes);
    let feeds = topology.functions.iter().flat_map(|function| &function.queues);
    let names = (topology.queues.iter().map(|queue| format!("queue {}", queue.name)))
        .chain(topology.rules.iter().map(|rule| format!("rule {}", rule.name)))
        .chain(topology.functions.iter().map(|function| format!("binary {}", function.binary)))
        .chain(topology.tables.iter().map(|table| format!("table {}", table.name)))
        .chain(routes.map(|route| format!("route {} {}", route.method, route.path)))
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
        let queues = function.queues.iter().filter_map(|source| topology.queue(&source.queue));
        for queue in queues.filter(|queue| queue.visibility_timeout < function.timeout) {
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
    use crate::{Parameters, Source};

    #[test]
    fn a_rate_is_read_and_anything_else_refused() {
        assert_eq!(rate("rate(1 minute)"), Ok(Duration::from_secs(60)));
        assert_eq!(rate("rate(5 minutes)"), Ok(Duration::from_secs(300)));
        assert_eq!(rate("rate(12 hours)"), Ok(Duration::from_secs(43_200)));
        assert_eq!(rate("rate(1 day)"), Ok(Duration::from_secs(86_400)));
        for text in [
            "rate(1 minutes)",
            "rate(2 minute)",
            "rate(0 minutes)",
            "rate(1 week)",
            "cron(0 12 * * ? *)",
            "rate()",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

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
        assert_eq!(worker.routes, [Route { method: "GET".to_owned(), path: "/a/{id}".to_owned() }]);
        assert_eq!(worker.schedules[0].name, "Worker-Tick");
        assert_eq!((topology.pipe.maximum_retry_attempts, topology.pipe.maximum_record_age), (None, None));
        assert_eq!(topology.tables[0].name, "small-Log");
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
            ("Type: SQS", "Type: Kinesis", "Events.Work.Type: Kinesis is not supported"),
            (
                "rate(1 minute)",
                "cron(* * * * ? *)",
                "Events.Tick.Properties.Schedule: only a rate is supported",
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
