//! The trace that API Gateway began, as the API continues traces.
//!
//! Source: "AWS X-Ray concepts", section "Tracing header": `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=1`.
//! X-Ray takes W3C's ids: a trace's 32 digits are those of `Root` without its version and dashes.

use lambda_http::http::{HeaderMap, HeaderValue};

/// Continues the trace that API Gateway began, unless the client has one.
pub(crate) fn continue_trace(headers: &mut HeaderMap) {
    if headers.contains_key("traceparent") {
        return;
    }
    let theirs = headers.get("x-amzn-trace-id").and_then(|header| header.to_str().ok());
    let traceparent = theirs.and_then(traceparent).and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", traceparent);
    }
}

/// The same by what Lambda says of an invocation: what API Gateway hands an authorizer of the request may name no parent.
pub(crate) fn continue_invocation(headers: &mut HeaderMap, invocation: Option<&str>) {
    if let Some(invocation) = invocation.and_then(|header| HeaderValue::try_from(header).ok()) {
        headers.insert("x-amzn-trace-id", invocation);
    }
    continue_trace(headers);
}

/// W3C's words for X-Ray's; `None` if nobody is named who could be continued.
fn traceparent(header: &str) -> Option<String> {
    let field = |name: &str| {
        let mut fields = header.split(';').filter_map(|field| field.trim().split_once('='));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let root: String = field("Root")?.strip_prefix("1-")?.split('-').collect();
    let sampled = if field("Sampled") == Some("1") { "01" } else { "00" };
    Some(format!("00-{root}-{}-{sampled}", field("Parent")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    const TRACE: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

    #[test]
    fn the_trace_of_api_gateway_is_continued_unless_the_client_has_one() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-trace-id", HeaderValue::from_static(HEADER));
        continue_trace(&mut headers);
        assert_eq!(headers["traceparent"], TRACE);
        headers.insert("traceparent", HeaderValue::from_static("the client's"));
        continue_trace(&mut headers);
        assert_eq!(headers["traceparent"], "the client's");
    }

    #[test]
    fn what_lambda_says_of_an_invocation_counts_more_than_what_the_request_brought() {
        let bare = "Root=1-5759e988-bd862e3fe1be46a994272793";
        for (invocation, traceparent) in [(Some(HEADER), Some(TRACE)), (Some("\n"), None), (None, None)] {
            let mut headers = HeaderMap::new();
            headers.insert("x-amzn-trace-id", HeaderValue::from_static(bare));
            continue_invocation(&mut headers, invocation);
            assert_eq!(headers.get("traceparent").map(|it| it.to_str().unwrap()), traceparent);
        }
    }

    #[test]
    fn a_header_that_names_no_parent_begins_nothing() {
        for header in
            ["", "Root=1-5759e988-bd862e3fe1be46a994272793", "Parent=53995c3f42cd8ad8", "Root=2-a;Parent=b"]
        {
            assert_eq!(traceparent(header), None, "{header}");
        }
        assert_eq!(traceparent(&HEADER.replace("Sampled=1", "Sampled=0")), Some(TRACE.replace("-01", "-00")));
    }
}
