//! What functions log, and what Lambda and API Gateway would log of them: bytes, invocations, milliseconds.

use std::time::Duration;

use end_to_end::deploy::TEMPLATES;
use serde_json::json;
use topology::Source;

use crate::world::World;

/// Bytes that CloudWatch adds to every line. Source: "PutLogEvents", Amazon CloudWatch Logs API Reference: the size of
/// a batch is "the sum of all event messages in UTF-8, plus 26 bytes for each log event".
const A_LINE: usize = 26;

/// What Lambda itself logs about an invocation that is traced and went well, as JSON at the level INFO. Source:
/// "Lambda Telemetry API Event schema reference", AWS Lambda Developer Guide.
const LOGGED_BY_LAMBDA: [&str; 2] = [
    r#"{"time":"2026-11-21T20:00:00.000Z","type":"platform.start","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"12","tracing":{"spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=0"}}}"#,
    r#"{"time":"2026-11-21T20:00:00.020Z","type":"platform.report","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","metrics":{"durationMs":20.51,"billedDurationMs":21,"memorySizeMB":256,"maxMemoryUsedMB":33},"tracing":{"spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=0"},"status":"success"}}"#,
];
/// A line of the access log, as the templates' format has it.
const ACCESS: &str = r#"{"request_id":"c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "extended_request_id":"ExtendedId1234=", "time":"21/Nov/2026:20:00:00 +0000", "method":"POST", "route":"/orders", "status":"201", "error":"-", "integration_status":"200", "latency_ms":"41", "integration_latency_ms":"38", "response_bytes":"412", "api_key_id":"a1b2c3d4e5", "trace_id":"1-62e900b2-710d76f009d6e7785905449a"}"#;

/// What functions have logged, and what the double logged of them.
#[derive(Default)]
pub struct Logged {
    pub invocations: usize,
    pub megabyte_milliseconds: f64,
    pub bytes: usize,
}

impl Logged {
    /// What the functions have logged so far.
    pub async fn so_far(world: &World) -> Logged {
        // The double writes the log of an invocation after it has answered.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut logged = Logged::default();
        for function in &world.topology.functions {
            let group = format!("/aws/lambda/{}", function.binary);
            let asked = json!({ "logGroupName": group });
            let found = world.aws("logs", "Logs_20140328.FilterLogEvents", asked).await;
            let lines = found["events"].as_array().into_iter().flatten();
            for line in lines.filter_map(|event| event["message"].as_str()) {
                logged.add(line, function.memory_mb);
            }
        }
        logged
    }

    fn add(&mut self, line: &str, memory_mb: u32) {
        if let Some(report) = line.strip_prefix("REPORT ") {
            let billed = report.split("Billed Duration: ").nth(1).and_then(|rest| rest.split(' ').next());
            self.megabyte_milliseconds += f64::from(memory_mb) * billed.unwrap().parse::<f64>().unwrap();
            self.invocations += 1;
        } else if !line.starts_with("START ") && !line.starts_with("END ") {
            self.bytes += line.len() + A_LINE;
        }
    }

    pub fn since(&self, before: &Logged) -> Logged {
        Logged {
            invocations: self.invocations - before.invocations,
            megabyte_milliseconds: self.megabyte_milliseconds - before.megabyte_milliseconds,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Bytes that Lambda logs itself about an invocation that went well: none where it is to log warnings only.
pub fn of_lambda() -> usize {
    let level = |template: &Source<'_>| {
        template.document().unwrap()["Globals"]["Function"]["LoggingConfig"]["SystemLogLevel"] == "WARN"
    };
    if TEMPLATES.iter().all(level) {
        0
    } else {
        LOGGED_BY_LAMBDA.iter().map(|line| line.len() + A_LINE).sum()
    }
}

/// Bytes that API Gateway logs about a request.
pub fn of_the_api() -> usize {
    ACCESS.len() + A_LINE
}
