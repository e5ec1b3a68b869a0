//! A request, its head and its body: whatever it is, it is answered, and what is refused leaves no trace.
#![no_main]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, Request};
use event_store::memory::MemoryStore;
use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::{RUNTIME, api, read_all, send, shop, size};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((head, body)) = parse(input) else { return Corpus::Reject };
    let Some(request) = head.request(body) else { return Corpus::Reject };
    RUNTIME.block_on(async {
        let store = Arc::new(MemoryStore::new());
        shop::furnish(&*store).await;
        let (router, before) = (api(&store), size(&store).await);
        let reply = send(&router, request).await;
        let after = size(&store).await;
        if reply.status >= 400 {
            assert_eq!(after, before, "what was refused was stored: {reply:?}");
            return;
        }
        assert!(after <= before + 1, "one request is at most one event: {reply:?}");
        // Asked again it is not refused, and changes nothing unless a new thing was made under a new id.
        let again = send(&router, head.request(body).expect("it was one before")).await;
        assert!(again.status < 400, "{reply:?} and then {again:?}");
        assert!(again.status == 201 || size(&store).await == after, "{reply:?} and then {again:?}");
        read_all(&router, &store).await;
    });
    Corpus::Keep
});

struct Head<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

/// `POST /orders`, lines of headers, an empty line, and the body.
fn parse(input: &[u8]) -> Option<(Head<'_>, &[u8])> {
    let end = input.windows(2).position(|two| two == b"\n\n")?;
    let mut lines = str::from_utf8(&input[..end]).ok()?.split('\n');
    let (method, path) = lines.next()?.split_once(' ')?;
    let headers = lines.map(|line| line.split_once(": ")).collect::<Option<Vec<_>>>()?;
    Some((Head { method, path, headers }, &input[end + 2..]))
}

impl Head<'_> {
    fn request(&self, body: &[u8]) -> Option<Request<Body>> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in &self.headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes()).ok()?, *value);
        }
        request.body(Body::from(body.to_vec())).ok()
    }
}
