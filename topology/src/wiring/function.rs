//! What invokes a function: queues, the clock, requests.

use super::{API, Account};
use crate::error::TopologyError;
use crate::properties::Properties;
use crate::template::Resource;
use crate::{Function, Pipe, QueueSource, Route, Schedule};
use std::time::Duration;

impl Account<'_> {
    pub(super) fn function(&self, resource: &Resource, pipe: &Pipe) -> Result<Function, TopologyError> {
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
            pipe_dead_letters: None,
            dead_letter_queue: self.function_dead_letter_queue(&properties)?,
            schedules: Vec::new(),
            routes: Vec::new(),
        };
        for (name, event) in properties.named("Events")? {
            event.only(&["Type", "Properties"])?;
            if !name.chars().all(|character| character.is_ascii_alphanumeric()) {
                return Err(
                    event.error("Type", "the event's name may hold letters and digits only, rename it")
                );
            }
            let kind = event.required_text("Type")?;
            let inner = event.required_within("Properties")?;
            match kind {
                "SQS" => match self.queue_source(&inner)? {
                    Some(source) if pipe.dead_letter_queue.as_ref() == Some(&source.queue) => {
                        function.pipe_dead_letters = Some(source);
                    }
                    source => function.queues.extend(source),
                },
                "Schedule" | "ScheduleV2" => {
                    let fallback = format!("{}-{name}", resource.logical_id);
                    function.schedules.push(self.schedule(&inner, kind, fallback)?);
                }
                "Api" | "HttpApi" => function.routes.push(self.route(&inner)?),
                _ => {
                    let problem =
                        format!("{kind} is not supported, use SQS, Schedule, ScheduleV2, Api or HttpApi");
                    return Err(event.error("Type", problem));
                }
            }
        }
        Ok(function)
    }

    /// The queue for asynchronous invocations that failed; they may go nowhere else.
    fn function_dead_letter_queue(&self, function: &Properties<'_>) -> Result<Option<String>, TopologyError> {
        if let Some(invoke) = function.within("EventInvokeConfig")? {
            invoke.only(&["MaximumRetryAttempts", "MaximumEventAgeInSeconds"])?;
        }
        let Some(dead) = function.within("DeadLetterQueue")? else { return Ok(None) };
        dead.only(&["Type", "TargetArn"])?;
        if dead.required_text("Type")? != "SQS" {
            return Err(dead.error("Type", "is not supported, use SQS"));
        }
        self.queue_at(&dead, "TargetArn").map(Some)
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

    fn schedule(
        &self,
        event: &Properties<'_>,
        kind: &str,
        fallback: String,
    ) -> Result<Schedule, TopologyError> {
        event.only(&[
            "Schedule",
            "ScheduleExpression",
            "Name",
            "Description",
            "Enabled",
            "State",
            "RoleArn",
            "FlexibleTimeWindow",
            "RetryPolicy",
            "DeadLetterConfig",
        ])?;
        let property = if kind == "Schedule" { "Schedule" } else { "ScheduleExpression" };
        let every = rate(event.required_text(property)?).map_err(|problem| event.error(property, problem))?;
        let state = match event.text("State")? {
            None => None,
            Some("ENABLED") => Some(true),
            Some("DISABLED") => Some(false),
            Some(_) => return Err(event.error("State", "is either ENABLED or DISABLED")),
        };
        if let Some(policy) = event.within("RetryPolicy")? {
            policy.only(&["MaximumRetryAttempts", "MaximumEventAgeInSeconds"])?;
        }
        let enabled = event.flag("Enabled")?.or(state).unwrap_or(true);
        Ok(Schedule {
            name: event.text("Name")?.map_or(fallback, str::to_owned),
            every,
            enabled,
            dead_letter_queue: self.dead_letter_queue(event)?,
        })
    }

    fn route(&self, event: &Properties<'_>) -> Result<Route, TopologyError> {
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
        let method = if method == "*" || method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
            "ANY".to_owned()
        } else {
            method
        };
        let known = ["ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
        if !known.contains(&method.as_str()) {
            return Err(event.error("Method", format!("is no method, use one of {}", known.join(", "))));
        }
        let path = event.required_text("Path")?;
        if !path.starts_with('/') {
            return Err(event.error("Path", "starts with a /, as in /orders/{id}"));
        }
        Ok(Route { method, path: path.to_owned(), authorized: self.is_authorized(event)? })
    }

    /// Whether the event or else its API names an authorizer.
    fn is_authorized(&self, event: &Properties<'_>) -> Result<bool, TopologyError> {
        let own = event.within("Auth")?.map(|auth| auth.text("Authorizer")).transpose()?.flatten();
        if let Some(own) = own {
            return Ok(own != "NONE");
        }
        let named = event.text("RestApiId")?;
        let Some(api) = self.of(API).find(|api| named == Some(&api.name)) else { return Ok(false) };
        let auth = Properties::of(api).within("Auth")?;
        let usual = auth.map(|auth| auth.text("DefaultAuthorizer")).transpose()?.flatten();
        Ok(usual.is_some_and(|usual| usual != "NONE"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
