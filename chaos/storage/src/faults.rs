//! What goes wrong on the disk, and when: drawn from the seed at each call.

use fastrand::Rng;

/// A call that reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// A file is opened, or made.
    Open,
    /// A file is deleted.
    Delete,
    /// Somebody asks whether a file is there.
    Look,
    /// Somebody asks how long a file is.
    Measure,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// A file is made shorter.
    Shorten,
    /// A file is to be durable.
    Sync,
    /// The names in the folder are to be durable.
    SyncFolder,
    /// Shared memory is asked for.
    Share,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It does what it should.
    Fine,
    /// It fails. A write may have written its beginning.
    Fails,
    /// The power is cut while it runs, or the process is killed.
    Cut,
}

/// What will go wrong from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The power is cut in the n-th call from now, counted from 1 …
    pub cut_in: Option<u64>,
    /// … where only calls of this kind are counted, if one is named.
    pub counted: Option<Call>,
    /// Not the power is cut then, but the process is killed: what was written stays in the system's memory.
    pub kills: bool,
    /// Of so many calls of each kind one fails, with this probability.
    pub failing: Vec<(Call, f64)>,
    /// The disk has room for so many bytes in all of its files.
    pub room: Option<u64>,
}

impl Faults {
    /// What becomes of the next call.
    pub(crate) fn next(&mut self, call: Call, rng: &mut Rng) -> Fate {
        let counts = self.counted.is_none_or(|kind| kind == call);
        if let Some(left) = self.cut_in.as_mut().filter(|_| counts) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Fate::Cut;
            }
        }
        let chance = self.failing.iter().find(|(kind, _)| *kind == call);
        match chance.is_some_and(|(_, chance)| rng.f64() < *chance) {
            true => Fate::Fails,
            false => Fate::Fine,
        }
    }

    /// A draw of which calls fail, and how often: of one kind often, or of all kinds now and then.
    pub(crate) fn failing(rng: &mut Rng) -> Vec<(Call, f64)> {
        const KINDS: [Call; 9] = [
            Call::Open,
            Call::Delete,
            Call::Look,
            Call::Measure,
            Call::Read,
            Call::Write,
            Call::Shorten,
            Call::Sync,
            Call::Share,
        ];
        match rng.u8(0..4) {
            0 => vec![(Call::Sync, 0.2)],
            1 => vec![(Call::Write, 0.02)],
            2 => vec![(KINDS[rng.usize(..KINDS.len())], 0.1)],
            _ => KINDS.into_iter().map(|kind| (kind, 0.01)).collect(),
        }
    }
}
