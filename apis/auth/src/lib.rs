//! Who asks: keys of programs, tokens of people, and what either may.
//!
//! [`Authenticator`] is the one authorizer: behind API Gateway a function runs it, on one machine a layer does.

mod authenticator;
pub mod hmac;
pub mod key;
pub mod password;
mod principal;
pub mod random;
mod shared_secret;
pub mod token;

pub use authenticator::{Authenticator, CACHED, Credentials, Refusal};
pub use key::{digest, hex};
pub use principal::{Principal, Sees};
pub use shared_secret::{CURSORS, SharedSecret, TOKENS};
