//! Tokens of people who logged in: JSON Web Tokens (RFC 7519) signed with HS256, and with nothing else.

use std::sync::Once;

use ::signature::{Error as Unsigned, Signer, Verifier};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::hmac;

/// Who signs.
pub const ISSUER: &str = "sagaline";
/// For whom.
pub const AUDIENCE: &str = "sagaline-api";
/// How long a token is good, in seconds.
pub const LIFETIME: i64 = 60 * 60;
/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 30;
/// A token that is longer is none of ours, in bytes.
const LONGEST: usize = 4_096;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user: [`event_store::UserRow::user_id`].
    pub sub: String,
    /// The name that finds the user's row.
    pub name: String,
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`].
    pub aud: String,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// From when on it is good.
    pub nbf: i64,
    /// Until when.
    pub exp: i64,
}

/// A token for a user, good from `now` on; `now` in seconds since 1970.
pub fn new(secret: &[u8; 32], sub: &str, name: &str, now: i64) -> String {
    let claims = Claims {
        sub: sub.to_owned(),
        name: name.to_owned(),
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        iat: now,
        nbf: now,
        exp: now + LIFETIME,
    };
    sign(secret, &claims)
}

/// Signs what a token says.
pub fn sign(secret: &[u8; 32], claims: &impl Serialize) -> String {
    use_our_own();
    let token = encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret));
    token.expect("claims have only text keys, and HS256 takes any key")
}

/// What a token says, if it is signed, for us, and good at this moment; `now` in seconds since 1970.
pub fn read(secret: &[u8; 32], token: &str, now: i64) -> Option<Claims> {
    use_our_own();
    if token.len() > LONGEST {
        return None;
    }
    let mut wanted = Validation::new(Algorithm::HS256);
    // By our own clock, below; that they are there is looked at here.
    wanted.validate_exp = false;
    wanted.validate_nbf = false;
    wanted.set_issuer(&[ISSUER]);
    wanted.set_audience(&[AUDIENCE]);
    wanted.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    let TokenData { header, claims } = decode(token, &DecodingKey::from_secret(secret), &wanted).ok()?;
    // What a reader must understand (RFC 7515, section 4.1.11) is more than we do.
    if header.crit.is_some() {
        return None;
    }
    let claims: Claims = claims;
    let is_good = claims.nbf <= now.saturating_add(LEEWAY) && now.saturating_sub(LEEWAY) < claims.exp;
    // One that is good for longer is none of ours, whoever signed it.
    let lasts = claims.exp.checked_sub(claims.nbf)?;
    (is_good && (0..=LIFETIME).contains(&lasts)).then_some(claims)
}

/// The library signs with whatever it is given. This crate needs one algorithm of the dozen that its own providers
/// bring, and none of their elliptic curves or RSA.
fn use_our_own() {
    static ONCE: Once = Once::new();
    static HS256_ONLY: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(secret(key.as_bytes())?))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        verifier_factory: |algorithm, key| match algorithm {
            Algorithm::HS256 => Ok(Box::new(Hs256(secret(key.try_get_as_bytes()?)?))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Whoever was first in this process installed the same.
    ONCE.call_once(|| HS256_ONLY.install_default().unwrap_or(()));
}

fn secret(key: &[u8]) -> Result<[u8; 32], Error> {
    key.try_into().map_err(|_| ErrorKind::InvalidKeyFormat.into())
}

struct Hs256([u8; 32]);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        Ok(hmac::sign(&self.0, message).to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Unsigned> {
        if hmac::is_signed(&self.0, message, signature) { Ok(()) } else { Err(Unsigned::new()) }
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
