//! Passwords: argon2id, with the least that OWASP's Password Storage Cheat Sheet asks for (19 MiB, two passes, one
//! lane), which are the library's defaults.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

/// The fewest characters of a password. Source: NIST SP 800-63B-4, section 3.1.1.2, for one that stands beside nothing
/// else.
pub const SHORTEST: usize = 15;
/// The most bytes of a password; longer ones only cost time.
pub const LONGEST: usize = 256;

/// The hash of a password under a salt of its own, in PHC format.
pub fn hash(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.expect("the library's own parameters are good for any password").to_string()
}

/// The hash of a password that nobody knows.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FnYWxpbmVub2JvZHk$\
    KfUyDr2VVRMD1kPWtTwzvQ2zYkF3GJnTnXQ7CWlc1no";

/// Whether a password is the one of a hash. Where there is no hash, as much is computed as if there were, so that the
/// time it takes does not say who is registered.
pub fn is(password: &str, hash: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else { return false };
    let fits = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    fits && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_one_of_its_hash_and_no_other() {
        let hash = hash("correct horse battery");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is("correct horse battery", Some(&hash)));
        assert!(!is("correct horse batterY", Some(&hash)) && !is("", Some(&hash)));
        assert!(!is("correct horse battery", None) && !is("correct horse battery", Some("no hash")));
    }

    #[test]
    fn for_nobody_as_much_is_computed_as_for_somebody() {
        let (nobody, somebody) = (PasswordHash::new(NOBODY).unwrap(), hash("correct horse battery"));
        let somebody = PasswordHash::new(&somebody).unwrap();
        assert_eq!((nobody.algorithm, &nobody.params), (somebody.algorithm, &somebody.params));
        assert!(nobody.hash.is_some() && nobody.salt.is_some());
    }

    #[test]
    fn two_hashes_of_a_password_differ() {
        assert_ne!(hash("correct horse battery"), hash("correct horse battery"));
    }
}
