//! HMAC-SHA256: signatures of what only this system reads again.

use ::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The code of a message.
pub fn sign(secret: &[u8; 32], message: &[u8]) -> [u8; 32] {
    keyed(secret, message).finalize().into_bytes().into()
}

/// Whether a code is that of a message; takes as long for one that is nearly right as for any other.
pub fn is_signed(secret: &[u8; 32], message: &[u8], code: &[u8]) -> bool {
    keyed(secret, message).verify_slice(code).is_ok()
}

fn keyed(secret: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length is one");
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_for_its_message_and_its_secret_alone() {
        let (secret, message) = ([7; 32], b"message");
        let code = sign(&secret, message);
        assert!(is_signed(&secret, message, &code));
        assert!(!is_signed(&[8; 32], message, &code));
        assert!(!is_signed(&secret, b"massage", &code));
        assert!(!is_signed(&secret, message, &code[..31]));
        assert!(!is_signed(&secret, message, &[]));
    }
}
