//! What is shown by whoever asks: nothing lets anybody in but the key that was given out, or a token of ours that is good
//! now, alone.
#![no_main]

use std::sync::{Arc, LazyLock};

use auth::{Authenticator, Credentials, TOKENS, token};
use event_store::memory::MemoryStore;
use event_store::{Key, KeyRow, Keys, Role, Secrets, Stamper, User, UserRow, Users};
use events::Timestamp;
use libfuzzer_sys::{Corpus, fuzz_target};
use sagaline_fuzz::shop::Ticking;
use sagaline_fuzz::{RUNTIME, parts};
use serde_json::Value;

const SECRET: [u8; 32] = [7; 32];
/// Zeros, so that a fuzzer can come near it.
const KEY: &str = "sgl_000000000000000000000000_0000000000000000000000000000000000000000000";

struct Door {
    authenticator: Authenticator,
    /// In seconds since 1970.
    now: i64,
    /// A token that is good.
    token: String,
}

static DOOR: LazyLock<Door> = LazyLock::new(|| {
    let store = Arc::new(MemoryStore::new());
    let created_at = Timestamp::from_millis(0);
    let (id, secret) = KEY[4..].split_once('_').expect("an id and a secret");
    let row = KeyRow {
        key_id: id.into(),
        name: "packers".into(),
        role: Role::Operator,
        customer_id: None,
        created_at,
        revoked_at: None,
    };
    let key = Key { row, secret_hash: auth::digest(secret) };
    let row = UserRow {
        username: "ann".into(),
        user_id: "usr-1".into(),
        role: Role::Admin,
        customer_id: None,
        created_at,
    };
    let user = User { row, password_hash: String::new() };
    RUNTIME.block_on(async {
        store.add_key(key).await.expect("memory answers");
        store.add_user(user).await.expect("memory answers");
        store.secret(TOKENS, SECRET).await.expect("memory answers");
    });
    let clock = Arc::new(Ticking::default());
    let now = clock.now().millis() / 1000;
    let authenticator = Authenticator::new(store.clone(), store.clone(), store, clock);
    Door { authenticator, now, token: token::new(&SECRET, "usr-1", "ann", now) }
});

// An `x-api-key`, an `authorization`, each empty for none, and what a token says that is signed.
fuzz_target!(|input: &[u8]| -> Corpus {
    let Some([key, authorization, said]) = parts(input) else { return Corpus::Reject };
    let shown =
        |text: &'static str| move |given: &str| if given == text { None } else { Some(given.to_owned()) };
    let [key, authorization] = [key, authorization].map(shown(""));
    let opens = enter(key.as_deref(), authorization.as_deref());
    let is_key = key.as_deref() == Some(KEY) && authorization.is_none();
    let bears = authorization.as_deref().and_then(|it| it.split_once(' '));
    let is_token = key.is_none()
        && bears.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer") && (token == DOOR.token || is_signed(token))
        });
    assert!(!opens || is_key || is_token, "{key:?} and {authorization:?} open the door");
    // Signed by us, whatever it says: only what is for us, of somebody there is, and good now and not for long.
    let Ok(said) = serde_json::from_str::<Value>(said) else { return Corpus::Keep };
    if !said.is_object() {
        return Corpus::Keep;
    }
    let signed = token::sign(&SECRET, &said);
    if enter(None, Some(&format!("Bearer {signed}"))) {
        let time = |name: &str| said[name].as_i64().unwrap_or_else(|| panic!("{name} is no time: {said}"));
        assert_eq!((&said["iss"], &said["aud"]), (&"sagaline".into(), &"sagaline-api".into()), "{said}");
        assert_eq!((&said["sub"], &said["name"]), (&"usr-1".into(), &"ann".into()), "{said}");
        assert!(time("nbf") <= DOOR.now + 30 && time("exp") > DOOR.now - 30, "{said}");
        assert!(time("exp") - time("nbf") <= 3_600, "{said}");
    }
    Corpus::Keep
});

fn enter(key: Option<&str>, authorization: Option<&str>) -> bool {
    let shown = Credentials { api_key: key, authorization };
    RUNTIME.block_on(DOOR.authenticator.principal(shown)).is_ok()
}

/// Whether the last part of a token is the code of the parts before it.
fn is_signed(token: &str) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let Some((said, code)) = token.rsplit_once('.') else { return false };
    URL_SAFE_NO_PAD.decode(code).is_ok_and(|code| code == auth::hmac::sign(&SECRET, said.as_bytes()))
}
