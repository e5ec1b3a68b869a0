//! Query strings and page tokens: both stores answer alike, a walk shows every row once, and a forged token is
//! refused or leads to a place of its own list.
#![no_main]

use std::sync::{Arc, LazyLock};

use auth::{CURSORS, hmac};
use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::Secrets;
use event_store::memory::MemoryStore;
use event_store_embedded::EmbeddedStore;
use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::{RUNTIME, Reply, api, get, parts, send, shop};
use serde_json::Value;
use tempfile::TempDir;

/// The shop in memory, and the shop in a file.
struct Shops {
    memory: Router,
    embedded: Router,
}

static SHOPS: LazyLock<Shops> = LazyLock::new(|| {
    let folder = TempDir::new().expect("the system's folder for temporary files can be written").keep();
    let embedded = Arc::new(EmbeddedStore::open(&folder).expect("an empty folder can be opened"));
    let memory = Arc::new(MemoryStore::new());
    RUNTIME.block_on(async {
        shop::furnish(&*memory).await;
        shop::furnish(&*embedded).await;
        for store in [&*memory as &dyn Secrets, &*embedded] {
            store.secret(CURSORS, SECRET).await.expect("a store that was just opened can be written");
        }
    });
    Shops { memory: api(&memory), embedded: api(&embedded) }
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some([query, place]) = parts(input) else { return Corpus::Reject };
    if query.contains("next_token") || query.contains('#') || get(query).is_none() {
        return Corpus::Reject;
    }
    LazyLock::force(&SHOPS);
    RUNTIME.block_on(async {
        let Some(first) = ask(query).await else { return };
        let (Some((name, rows)), Some(token)) = (listed(&first), first.body["next_token"].as_str()) else {
            return;
        };
        let beyond = |token: &str| {
            let separator = if query.contains('?') { '&' } else { '?' };
            format!("{query}{separator}next_token={token}")
        };
        // A walk along the tokens that were given shows every row once.
        let (mut seen, mut next) = (rows.clone(), Some(token.to_owned()));
        while let Some(token) = next {
            let page = ask(&beyond(&token)).await.expect("a token that was given is part of a URL");
            let (_, rows) =
                listed(&page).unwrap_or_else(|| panic!("{query}: a token of ours was refused: {page:?}"));
            assert!(!rows.is_empty(), "{query}: an empty page follows {token}");
            seen.extend(rows.clone());
            assert!(seen.len() < 100, "{query}: the walk does not end");
            next = page.body["next_token"].as_str().map(str::to_owned);
        }
        let mut once = seen.clone();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{query}: {name} come twice");
        // Signed by nobody, no text is a token, unless it happens to be one of this list.
        if let Some(reply) = ask(&beyond(place)).await {
            assert!(reply.status == 400 || is_ours(place, token), "{query} took {place:?}: {reply:?}");
        }
        // Signed, and with this list's fingerprint before it, it may be one: then it leads to a place of this list.
        let fingerprint = decoded(token).expect("a token of ours is a code and JSON")[0].clone();
        let said = format!("[{fingerprint},{place}]");
        let code = hmac::sign(&SECRET, said.as_bytes());
        let forged = URL_SAFE_NO_PAD.encode([&code[..], said.as_bytes()].concat());
        let reply = ask(&beyond(&forged)).await.expect("base64 is part of a URL");
        if let Some((_, rows)) = listed(&reply) {
            assert!(rows.iter().all(|row| seen.contains(row)), "{query} behind {place}: {reply:?}");
        } else {
            assert!(matches!(reply.status, 400 | 404), "{query} behind {place}: {reply:?}");
        }
    });
    Corpus::Keep
});

/// Asks both shops, whose answers are one. `None` if that is no URL.
async fn ask(query: &str) -> Option<Reply> {
    let memory = send(&SHOPS.memory, get(query)?).await;
    let embedded = send(&SHOPS.embedded, get(query)?).await;
    assert_eq!(timeless(&memory), timeless(&embedded), "{query}");
    Some(embedded)
}

/// A problem names the request that it is about.
fn timeless(reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    if let Some(fields) = reply.body.as_object_mut() {
        fields.remove("instance");
    }
    reply
}

fn listed(reply: &Reply) -> Option<(&String, &Vec<Value>)> {
    let fields = reply.body.as_object().filter(|_| reply.status == 200)?;
    fields.iter().find_map(|(name, value)| Some((name, value.as_array()?)))
}

/// What tokens are signed with here.
const SECRET: [u8; 32] = [7; 32];

fn decoded(token: &str) -> Option<Value> {
    serde_json::from_slice(URL_SAFE_NO_PAD.decode(token).ok()?.get(SECRET.len()..)?).ok()
}

/// Whether a text is a token with the same fingerprint as ours; in a URL it may go on with other parameters.
fn is_ours(text: &str, ours: &str) -> bool {
    let text = text.split(['&', '#']).next().unwrap_or_default();
    text.is_empty()
        || text.contains('%')
        || decoded(text).map(|it| it[0].clone()) == decoded(ours).map(|it| it[0].clone())
}
