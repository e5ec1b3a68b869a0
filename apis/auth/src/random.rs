//! Bytes that nobody can guess.

/// So many random bytes, from the operating system.
///
/// # Panics
/// The operating system has none: nothing that is a secret can be made then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
