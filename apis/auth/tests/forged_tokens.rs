//! Tokens that somebody made to get in: none of them opens anything.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use auth::hmac;
use auth::token::{self, AUDIENCE, ISSUER, LIFETIME};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const SECRET: [u8; 32] = [7; 32];
/// 2026-01-01T00:00:00Z, in seconds since 1970.
const NOW: i64 = 1_767_225_600;

fn claims() -> Value {
    json!({
        "sub": "usr-1", "name": "anna", "iss": ISSUER, "aud": AUDIENCE,
        "iat": NOW, "nbf": NOW, "exp": NOW + LIFETIME,
    })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of these parts, signed with this secret as HS256 says.
fn signed_with(secret: &[u8; 32], header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    let code = URL_SAFE_NO_PAD.encode(hmac::sign(secret, message.as_bytes()));
    format!("{message}.{code}")
}

fn signed(header: &Value, payload: &Value) -> String {
    signed_with(&SECRET, &part(header), &part(payload))
}

fn hs256() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

/// The claims with one of them changed, signed as they should be.
fn with(name: &str, value: Value) -> String {
    let mut changed = claims();
    changed[name] = value;
    signed(&hs256(), &changed)
}

fn without(name: &str) -> String {
    let mut changed = claims();
    changed.as_object_mut().unwrap().remove(name);
    signed(&hs256(), &changed)
}

fn with_header(header: Value) -> String {
    signed(&header, &claims())
}

fn is_good(token: &str) -> bool {
    token::read(&SECRET, token, NOW).is_some()
}

#[test]
fn our_own_tokens_are_good_for_an_hour_and_half_a_minute_of_wrong_clocks() {
    let own = token::new(&SECRET, "usr-1", "anna", NOW);
    assert!(is_good(&own) && is_good(&signed(&hs256(), &claims())));
    let said = token::read(&SECRET, &own, NOW).unwrap();
    assert_eq!((&*said.sub, &*said.name, said.exp - said.nbf), ("usr-1", "anna", LIFETIME));
    for (later, good) in [(-31, false), (-30, true), (0, true), (LIFETIME + 29, true), (LIFETIME + 30, false)]
    {
        assert_eq!(token::read(&SECRET, &own, NOW + later).is_some(), good, "{later}");
    }
}

#[test]
fn a_corpus_of_forged_tokens_is_refused() {
    let own = token::new(&SECRET, "usr-1", "anna", NOW);
    let [header, payload, code] = own.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = "usr-2";
    let forged_payload = {
        let mut changed = claims();
        changed["sub"] = other.into();
        part(&changed)
    };
    let none =
        |name: &str, code: &str| format!("{}.{payload}.{code}", part(&json!({ "alg": name, "typ": "JWT" })));
    let corpus: Vec<(&str, String)> = vec![
        // Algorithms.
        ("no algorithm", none("none", "")),
        ("no algorithm, and a signature", none("none", code)),
        ("no algorithm, in capitals", none("None", "")),
        ("no algorithm, in all capitals", none("NONE", "")),
        ("no algorithm, oddly", none("nOnE", "")),
        ("no algorithm named", format!("{}.{payload}.{code}", part(&json!({ "typ": "JWT" })))),
        ("an empty algorithm", with_header(json!({ "alg": "" }))),
        ("a null algorithm", with_header(json!({ "alg": null }))),
        ("another algorithm, our signature", with_header(json!({ "alg": "HS384" }))),
        ("a third algorithm, our signature", with_header(json!({ "alg": "HS512" }))),
        ("RSA, the secret as its public key", with_header(json!({ "alg": "RS256" }))),
        ("RSA with PSS", with_header(json!({ "alg": "PS256" }))),
        ("elliptic curves", with_header(json!({ "alg": "ES256" }))),
        ("Edwards curves", with_header(json!({ "alg": "EdDSA" }))),
        ("an algorithm in lower case", with_header(json!({ "alg": "hs256" }))),
        ("two algorithms", with_header(json!({ "alg": ["HS256", "none"] }))),
        ("an algorithm of nobody", with_header(json!({ "alg": "HS256 " }))),
        // Signatures.
        ("another secret", signed_with(&[8; 32], header, payload)),
        ("an empty secret", signed_with(&[0; 32], header, payload)),
        ("no signature", format!("{header}.{payload}.")),
        ("no signature and no dot", format!("{header}.{payload}")),
        ("a signature cut short", format!("{header}.{payload}.{}", &code[..code.len() - 2])),
        ("half a signature", format!("{header}.{payload}.{}", &code[..code.len() / 2])),
        ("a longer signature", format!("{header}.{payload}.{code}AA")),
        ("the payload of another", format!("{header}.{forged_payload}.{code}")),
        ("a signature of the payload alone", {
            format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&SECRET, payload.as_bytes())))
        }),
        ("a signature in hexadecimal", {
            let raw = URL_SAFE_NO_PAD.decode(code).unwrap();
            format!("{header}.{payload}.{}", raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }),
        ("a signature with padding", {
            format!("{header}.{payload}.{}", URL_SAFE.encode(URL_SAFE_NO_PAD.decode(code).unwrap()))
        }),
        // Times.
        ("expired long ago", with("exp", json!(NOW - LIFETIME))),
        ("expired by a minute", {
            let mut old = claims();
            (old["nbf"], old["exp"]) = (json!(NOW - 120), json!(NOW - 60));
            signed(&hs256(), &old)
        }),
        ("not good yet", {
            let mut early = claims();
            (early["nbf"], early["exp"]) = (json!(NOW + 60), json!(NOW + 120));
            signed(&hs256(), &early)
        }),
        ("good for a year", with("exp", json!(NOW + 365 * 86_400))),
        ("good for ever", with("exp", json!(i64::MAX))),
        ("an end beyond all numbers", with("exp", json!(1e300))),
        ("an end as a string", with("exp", json!((NOW + 60).to_string()))),
        ("an end that is nothing", with("exp", Value::Null)),
        ("an end in an array", with("exp", json!([NOW + 60]))),
        ("an end before 1970", with("exp", json!(-1))),
        ("an end before its beginning", {
            let mut turned = claims();
            (turned["nbf"], turned["exp"]) = (json!(NOW + 20), json!(NOW + 10));
            signed(&hs256(), &turned)
        }),
        ("a beginning as a string", with("nbf", json!(NOW.to_string()))),
        ("a beginning before all time", with("nbf", json!(i64::MIN))),
        ("no end", without("exp")),
        ("no beginning", without("nbf")),
        // For whom, by whom, of whom.
        ("nobody's", without("iss")),
        ("somebody else's", with("iss", json!("evil"))),
        ("several people's", with("iss", json!(7))),
        ("for nobody", without("aud")),
        ("for somebody else", with("aud", json!("another-api"))),
        ("for somebody whose name begins like ours", with("aud", json!(format!("{AUDIENCE}-2")))),
        ("of nobody", without("sub")),
        ("of a number", with("sub", json!(1))),
        ("without a name", without("name")),
        // Shapes.
        (
            "one that must be understood better",
            with_header(json!({ "alg": "HS256", "crit": ["b64"], "b64": false })),
        ),
        ("nothing", String::new()),
        ("dots", "..".into()),
        ("one part", header.to_owned()),
        ("four parts", format!("{own}.{code}")),
        ("five parts, as if it were encrypted", format!("{header}.{payload}.{code}.{code}.{code}")),
        ("a payload that is no JSON", signed_with(&SECRET, header, &URL_SAFE_NO_PAD.encode("hello"))),
        ("a payload that is a list", signed(&hs256(), &json!([1, 2]))),
        ("a payload that is empty", signed(&hs256(), &json!({}))),
        ("a header that is no JSON", signed_with(&SECRET, &URL_SAFE_NO_PAD.encode("HS256"), payload)),
        ("a header in the other alphabet of base64", {
            let odd = STANDARD.encode(r#"{"alg":"HS256","typ":"JWT","x":"???>>>"}"#);
            signed_with(&SECRET, &odd, payload)
        }),
        ("a space before it", format!(" {own}")),
        ("a line end behind it", format!("{own}\n")),
        ("a zero byte in it", own.replacen('.', "\0.", 1)),
        ("letters beyond ASCII", format!("{own}é")),
        (
            "nine thousand letters",
            signed(&hs256(), &{
                let mut huge = claims();
                huge["padding"] = "x".repeat(9_000).into();
                huge
            }),
        ),
    ];
    assert!(corpus.len() >= 40, "{}", corpus.len());
    for (what, token) in corpus {
        assert!(!is_good(&token), "{what}: {token}");
    }
}
