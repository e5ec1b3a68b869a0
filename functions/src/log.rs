//! The log: a line of JSON for what is worth one, and nothing in it about a person.
//!
//! At `TRACE` the SDK logs requests as they are sent, and the runtime events as they come: names and addresses of people
//! are in them. Below `WARN` nobody but us knows what may be in a line, so others' lines begin there.

use std::fmt;

use serde_json::{Map, Value};
use telemetry::metrics;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::Record;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// What our crates that a function may have call their lines.
const OURS: [&str; 16] = [
    "api_functions",
    "apis",
    "auth",
    "catalog",
    "event_store",
    "event_store_dynamodb",
    "events",
    "functions",
    "inventory",
    "orders",
    "payments",
    "telemetry",
    "topology",
    "views",
    "worker_functions",
    "workers",
];

/// What says in a line which request it is about.
const REQUEST_ID: &str = "request_id";

/// Whether a line or a span is wanted where ours are logged down to `level`. A span of the runtime has the invocation's
/// id, and is allowed for that.
pub(crate) fn is_wanted(about: &Metadata<'_>, level: LevelFilter) -> bool {
    let of_others = if about.is_span() { LevelFilter::INFO } else { LevelFilter::WARN };
    *about.level() <= if is_ours(about.target()) { level } else { level.min(of_others) }
}

fn is_ours(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    OURS.contains(&name)
}

/// Writes what is logged down to `level`, a line each.
pub(crate) fn layer<S, W>(level: LevelFilter, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().event_format(Line).fmt_fields(Line).with_writer(writer);
    lines.with_filter(filter_fn(move |about| about.target() != metrics::TARGET && is_wanted(about, level)))
}

/// A line: when, how severe, what, and of the spans around it what it is about. A line costs by its length, so whatever
/// else a trace says of its spans is found there, by the line's `trace_id`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Kept::default();
        event.record(&mut line);
        for span in context.event_scope().into_iter().flatten() {
            // The runtime's says which invocation it is, where nobody of us says which request.
            if line.0.contains_key(REQUEST_ID) && !is_ours(span.metadata().target()) {
                continue;
            }
            let kept = span.extensions();
            let of_span = kept.get::<FormattedFields<N>>().map_or("", |fields| &fields.fields);
            for (name, value) in serde_json::from_str::<Map<String, Value>>(of_span).unwrap_or_default() {
                line.0.entry(name).or_insert(value);
            }
        }
        let mut now = String::new();
        SystemTime.format_time(&mut Writer::new(&mut now))?;
        // Down to the millisecond, which is as exact as CloudWatch keeps it.
        now.truncate("2026-01-01T00:00:00.000".len());
        line.0.insert("timestamp".to_owned(), format!("{now}Z").into());
        line.0.insert("level".to_owned(), event.metadata().level().as_str().into());
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

impl<'writer> FormatFields<'writer> for Line {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut kept = Kept::default();
        fields.record(&mut kept);
        write!(writer, "{}", Value::Object(kept.0))
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut kept = Kept(serde_json::from_str(&current.fields).unwrap_or_default());
        fields.record(&mut kept);
        current.fields = Value::Object(kept.0).to_string();
        Ok(())
    }
}

/// Fields but for those that OpenTelemetry's conventions name.
#[derive(Default)]
struct Kept(Map<String, Value>);

impl Kept {
    fn keep(&mut self, field: &Field, value: Value) {
        if !field.name().contains('.') {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Kept {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing::field;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const A_TIME: &str = "0000-00-00T00:00:00.000Z";

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `work` logs, without the times, which every line has.
    fn lines_of(level: LevelFilter, work: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(layer(level, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = written.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        let without_time = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_eq!(time.as_str().unwrap().replace(|sign: char| sign.is_ascii_digit(), "0"), A_TIME);
            line
        };
        lines.lines().map(without_time).collect()
    }

    #[test]
    fn what_others_say_of_a_request_is_logged_at_no_level() {
        let lines = lines_of(LevelFilter::TRACE, || {
            tracing::trace!(target: "aws_smithy_runtime::client::http", request = "Anna, 1 High Street", "sent");
            tracing::debug!(target: "hyper_util::client::legacy::pool", "reuse idle connection");
            tracing::info!(target: "rustls::client::hs", "negotiated");
            tracing::warn!(target: "lambda_runtime::layers::api_client", "the runtime is late");
            tracing::trace!(target: "workers::reconcile", "of ours");
        });
        let told: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(told, ["the runtime is late", "of ours"]);
    }

    #[test]
    fn at_a_severe_level_others_say_no_more_than_we_do() {
        let lines = lines_of(LevelFilter::ERROR, || {
            tracing::warn!(target: "h2", "of others");
            tracing::warn!(target: "apis::edge", "of ours");
            metrics::order_placed();
        });
        assert_eq!(lines, [] as [Value; 0]);
    }

    #[test]
    fn a_line_has_what_it_is_about_and_the_ids_of_its_request() {
        let lines = lines_of(LevelFilter::INFO, || {
            let invoked = tracing::info_span!(target: "lambda_runtime::layers::trace", "Lambda runtime invoke", requestId = "invocation-1");
            let _invoked = invoked.enter();
            tracing::warn!(target: "worker_functions::queue", "about no request");
            let span = tracing::info_span!(
                target: "workers::batch",
                "look",
                otel.name = "orders-worker",
                messaging.batch.message_count = 1,
                request_id = field::Empty,
                trace_id = field::Empty,
            );
            span.record("request_id", "request-1");
            span.record("trace_id", "trace-1");
            let _look = span.enter();
            let _call = tracing::info_span!(target: "event_store_dynamodb::calls", "dynamodb").entered();
            tracing::info!(target: "workers::reconcile", event = "OrderPlaced", "decided");
        });
        let expected = json!([
            { "level": "WARN", "message": "about no request", "requestId": "invocation-1" },
            {
                "level": "INFO", "message": "decided", "event": "OrderPlaced", "request_id": "request-1",
                "trace_id": "trace-1",
            },
        ]);
        assert_eq!(json!(lines), expected);
    }

    /// A crate that is not named here would be silent.
    #[test]
    fn every_crate_of_ours_that_a_function_may_have_is_known() {
        let no_function_has = ["account", "event-store-embedded", "local", "storage-simulator"];
        let workspace = include_str!("../../Cargo.toml").lines();
        let crates = workspace.filter(|line| line.contains("{ path = "));
        let crates = crates.map(|line| line.split(' ').next().unwrap());
        let crates = crates.filter(|name| !no_function_has.contains(name));
        let missing: Vec<&str> = crates.filter(|name| !is_ours(&name.replace('-', "_"))).collect();
        assert_eq!(missing, [] as [&str; 0]);
    }
}
