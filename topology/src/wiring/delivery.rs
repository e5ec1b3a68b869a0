//! The way of an event: the pipe that takes it from the log to the bus, the rules there, and their queues.

use super::{Account, BUS, TABLE};
use crate::error::TopologyError;
use crate::properties::Properties;
use crate::template::Resource;
use crate::{
    DetailType, EventPattern, InputTemplate, JsonPath, PartialBatchFailure, Pipe, Queue, Redrive, Rule,
    Target,
};
use std::time::Duration;

/// SQS and Lambda allow at most this much, in their API references.
const MAX_VISIBILITY_SECONDS: u32 = 43_200;
const MAX_RETENTION_SECONDS: u32 = 1_209_600;
const DAY_SECONDS: u32 = 86_400;
/// Longer patterns are refused by `PutRule` and `CreatePipe`.
const MAX_PATTERN_LENGTH: usize = 4_096;

impl Account<'_> {
    pub(super) fn queue(&self, resource: &Resource) -> Result<Queue, TopologyError> {
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
            stack: resource.template.clone(),
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
    pub(super) fn rule(&self, resource: &Resource, bus: &str) -> Result<Option<Rule>, TopologyError> {
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

    pub(super) fn pipe(&self, resource: &Resource) -> Result<Pipe, TopologyError> {
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
