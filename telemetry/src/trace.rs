//! W3C trace context: reading it, joining a span to it, and writing down that of the current span.
//!
//! Source: "Trace Context", W3C Recommendation, 23 November 2021. `tracestate` is not kept: an event has one attribute.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The version of `traceparent` that is written.
const VERSION: &str = "00";
/// Bytes of a `traceparent` of that version: `00-<32 digits>-<16 digits>-<2 digits>`.
const LENGTH: usize = 55;

/// Reads a `traceparent`; `None` if it is not valid. A later version than 00 is read as far as 00 knows it, as the
/// recommendation asks ("Versioning of traceparent").
pub fn read(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.get(..LENGTH)?.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let ends = match &traceparent[LENGTH..] {
        "" => true,
        more => version != VERSION && more.starts_with('-'),
    };
    let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    if !(well_formed && version != "ff" && ends) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// Writes a `traceparent`.
pub fn write(span: &SpanContext) -> String {
    format!("{VERSION}-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

/// The trace's id in a `traceparent`, for people who look for it in logs; empty if there is none.
pub fn id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

/// Makes a span a child of the one that a `traceparent` names. Must be called before the span is entered.
pub fn join(span: &Span, traceparent: &str) {
    if let Some(parent) = read(traceparent) {
        // Where nothing is exported there is nothing to join.
        span.set_parent(Context::new().with_remote_span_context(parent)).ok();
    }
}

/// Says that a span has to do with another trace, too.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(linked) = read(traceparent) {
        span.add_link(linked);
    }
}

/// The `traceparent` of a span; `None` where nothing is exported.
pub fn of(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| write(&context))
}

/// The `traceparent` of the span that is being worked in; `None` where nothing is exported.
pub fn current() -> Option<String> {
    of(&Span::current())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn again(traceparent: &str) -> Option<String> {
        read(traceparent).map(|span| write(&span))
    }

    #[test]
    fn a_valid_trace_is_read_and_a_later_version_is_read_as_00() {
        assert_eq!(again(TRACE).as_deref(), Some(TRACE));
        let late = TRACE.replacen("00", "cc", 1) + "-what-the-future-will-bring";
        assert_eq!(again(&late).as_deref(), Some(TRACE));
    }

    #[test]
    fn a_trace_that_is_no_good_is_not_read() {
        let no_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let no_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let upper = TRACE.to_uppercase();
        let longer = format!("{TRACE}-x");
        let odd = format!("{}é", &TRACE[..54]);
        let never = TRACE.replacen("00", "ff", 1);
        for bad in ["", no_trace, no_span, &TRACE[..54], &upper, &longer, &never, &odd] {
            assert_eq!(again(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_is_found_by_its_id() {
        assert_eq!(id(TRACE), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(id(""), "");
    }

    #[test]
    fn where_nothing_is_exported_no_span_has_a_trace() {
        assert_eq!(current(), None);
        let span = tracing::info_span!("work");
        join(&span, TRACE);
        assert_eq!(of(&span), None);
    }
}
