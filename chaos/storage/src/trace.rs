//! What was called, as one number: two runs of one seed must give the same.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::faults::{Call, Fate};
use crate::state::Life;

/// The calls so far.
#[derive(Clone, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    pub(crate) is_shown: bool,
    /// How many calls there were.
    pub calls: u64,
    /// How many of each kind failed.
    pub failed: BTreeMap<Call, u64>,
    /// In which kinds of call the power was cut, or the process killed.
    pub cut_in: BTreeMap<Call, u64>,
}

impl Trace {
    pub(crate) fn note(&mut self, call: Call, name: &str, about: &[u64], fate: Fate) {
        (call, name, about, fate).hash(&mut self.hasher);
        self.calls += 1;
        match fate {
            Fate::Fine => {}
            Fate::Fails => *self.failed.entry(call).or_default() += 1,
            Fate::Cut => *self.cut_in.entry(call).or_default() += 1,
        }
        if self.is_shown {
            println!("{:6} {call:?} {name} {about:?} {fate:?}", self.calls);
        }
    }

    pub(crate) fn life_ended(&mut self, how: Life) {
        if self.is_shown {
            println!("       {how:?}");
        }
    }

    /// The number.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

/// The content of a write as a number. SQLite draws the salts of its write-ahead log and the nonce of its
/// journal, so only what cannot hold them is looked at, such as the log's pages. Chance does not decide what
/// becomes of the others: whether they match does.
pub(crate) fn content(name: &str, bytes: &[u8]) -> u64 {
    if bytes.len() < 512 || name.ends_with("-journal") || (name.ends_with("-wal") && bytes.len() != 4096) {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
