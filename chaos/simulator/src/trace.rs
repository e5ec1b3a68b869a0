//! What happened, as a hash that two runs of one seed must share, and as lines for people.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::executor::Micros;

/// The trace of one run.
#[derive(Default)]
pub struct Trace {
    hash: FxHasher,
    lines: Option<String>,
}

impl Trace {
    /// A trace that also keeps its lines, if `lines`.
    pub fn new(lines: bool) -> Trace {
        Trace { hash: FxHasher::default(), lines: lines.then(String::new) }
    }

    /// Adds what happened: all of it for the hash, words for people, which are only made where they are kept.
    pub fn add(&mut self, at: Micros, what: impl Hash, words: impl FnOnce() -> String) {
        (at, what).hash(&mut self.hash);
        if let Some(lines) = &mut self.lines {
            let (seconds, rest) = (at / 1_000_000, at % 1_000_000);
            writeln!(lines, "{seconds:>6}.{rest:06} {}", words()).expect("a String takes any text");
        }
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Takes out the lines so far.
    pub fn take_lines(&mut self) -> String {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// A text as a number that stays the same, to choose by.
pub fn number(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
