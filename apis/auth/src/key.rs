//! API keys: `sgl_<id>_<secret>`. The id finds the row; of the secret only its SHA-256 is kept.
//!
//! A secret has 256 random bits, so nothing slower than SHA-256 is needed to keep it from being guessed; one that was made
//! under an `Idempotency-Key` has as many as that key for whoever has read the whole store, and 256 for everybody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::{Key, KeyRow, Role};
use events::{CustomerId, Timestamp, Ulid};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{hmac, random};

/// What every API key begins with, so that one that leaked is found by those who look for leaks.
const PREFIX: &str = "sgl_";
/// The length of an id, in bytes.
const ID: usize = 12;
/// The length of a secret, in characters: 32 bytes.
const SECRET: usize = 43;

/// An API key as its holder shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey<'a> {
    /// Finds its row.
    pub id: &'a str,
    secret: &'a str,
}

impl<'a> ApiKey<'a> {
    /// Reads a key; `None` if it can be none.
    pub fn read(text: &'a str) -> Option<ApiKey<'a>> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let fits = id.len() == 2 * ID && secret.len() == SECRET && is_plain(id) && is_plain(secret);
        fits.then_some(ApiKey { id, secret })
    }

    /// Whether the stored hash is that of this key's secret. Takes as long for a near miss as for any other.
    pub fn is(&self, secret_hash: &str) -> bool {
        digest(self.secret).as_bytes().ct_eq(secret_hash.as_bytes()).into()
    }
}

/// A new key: what is kept of it, and what its holder is shown once.
pub fn new(
    name: String,
    role: Role,
    customer_id: Option<CustomerId>,
    created_at: Timestamp,
) -> (Key, String) {
    Material { id: random::bytes(), secret: random::bytes() }.key(name, role, customer_id, created_at)
}

/// What a key is made of.
pub(crate) struct Material {
    id: [u8; ID],
    secret: [u8; 32],
}

impl Material {
    /// That of a request which is perhaps carried out again: whoever does so makes the same key. It takes the secret of
    /// this system, what the request knows itself by, and the words of its `Idempotency-Key`, which no store keeps: so what
    /// is stored is not enough to make it.
    pub(crate) fn of_request(secret: &[u8; 32], seed: Ulid, words: &str) -> Material {
        let made =
            |what: &str| hmac::sign(secret, format!("{what} of the API key of {seed} {words}").as_bytes());
        let mut id = [0; ID];
        id.copy_from_slice(&made("id")[..ID]);
        Material { id, secret: made("secret") }
    }

    /// What is kept of the key, and what its holder is shown once.
    pub(crate) fn key(
        self,
        name: String,
        role: Role,
        customer_id: Option<CustomerId>,
        created_at: Timestamp,
    ) -> (Key, String) {
        let (id, secret) = (hex(&self.id), URL_SAFE_NO_PAD.encode(self.secret));
        let shown = format!("{PREFIX}{id}_{secret}");
        let row = KeyRow { key_id: id, name, role, customer_id, created_at, revoked_at: None };
        (Key { row, secret_hash: digest(&secret) }, shown)
    }
}

/// The SHA-256 of a text, as 64 hexadecimal digits.
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (Key, String) {
        new("test".into(), Role::Admin, None, Timestamp::from_millis(0))
    }

    #[test]
    fn a_key_is_recognised_by_its_hash_and_no_other_is() {
        let ((key, shown), (other, _)) = (made(), made());
        let read = ApiKey::read(&shown).unwrap();
        assert_eq!(read.id, key.row.key_id);
        assert!(read.is(&key.secret_hash) && !read.is(&other.secret_hash) && !read.is(""));
        assert!(!key.secret_hash.contains(&shown[30..]));
    }

    #[test]
    fn a_request_that_is_carried_out_again_makes_the_same_key_and_nobody_else_does() {
        let made = |secret: [u8; 32], seed, words| {
            let material = Material::of_request(&secret, Ulid(seed), words);
            material.key("test".into(), Role::Admin, None, Timestamp::from_millis(0))
        };
        let (key, shown) = made([7; 32], 1, "k");
        assert_eq!(made([7; 32], 1, "k"), (key.clone(), shown.clone()));
        let read = ApiKey::read(&shown).unwrap();
        assert!(read.id == key.row.key_id && read.is(&key.secret_hash));
        for (other, its) in [made([7; 32], 2, "k"), made([8; 32], 1, "k"), made([7; 32], 1, "l")] {
            assert!(
                other.row.key_id != key.row.key_id && other.secret_hash != key.secret_hash && its != shown
            );
        }
    }

    #[test]
    fn what_can_be_no_key_is_not_read() {
        let (_, shown) = made();
        let cut = &shown[..shown.len() - 1];
        let longer = format!("{shown}x");
        let other = shown.replace("sgl_", "sgx_");
        let spaced = format!("{cut} ");
        for bad in ["", "sgl_", "sgl__", cut, &longer, &other, &spaced, "sgl_é_ü"] {
            assert!(ApiKey::read(bad).is_none(), "{bad:?}");
        }
    }
}
