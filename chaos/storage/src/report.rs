//! What happened in a run, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use crate::faults::Call;
use crate::trace::Trace;

/// What happened in a run, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Power cuts, each followed by a check of everything.
    pub cuts: u64,
    /// … of them while the store was opened, recovering from what was before.
    pub cuts_while_opening: u64,
    /// Power cuts and kills in the middle of a call, by the kind of call. The others came between two calls.
    pub cuts_in: BTreeMap<Call, u64>,
    /// How often the process was killed, and what it had written stayed in the system's memory.
    pub kills: u64,
    /// How often the store was closed.
    pub closes: u64,
    /// How often an error of the disk kept the store from being opened.
    pub refused_openings: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that were told to ask again, or that nobody answered.
    pub refused: u64,
    /// How often a group that was not acknowledged turned out to be stored, whole.
    pub ghosts: u64,
    /// Calls that failed, by their kind.
    pub failed: BTreeMap<Call, u64>,
    /// Groups that failed because the disk was full.
    pub full: u64,
    /// Copies of the write-ahead log in the background.
    pub copies: u64,
    /// … of them in the middle of a commit, or with a commit in their middle.
    pub interleaved: u64,
    /// Calls to the disk.
    pub calls: u64,
    /// The calls as one number: the same for every run of a seed.
    pub trace: u64,
}

impl Report {
    pub(crate) fn count(&mut self, trace: &Trace) {
        self.calls = trace.calls;
        self.cuts_in.clone_from(&trace.cut_in);
        self.failed.clone_from(&trace.failed);
        self.trace = trace.hash();
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.cuts += other.cuts;
        self.cuts_while_opening += other.cuts_while_opening;
        self.kills += other.kills;
        self.closes += other.closes;
        self.refused_openings += other.refused_openings;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.ghosts += other.ghosts;
        self.full += other.full;
        self.copies += other.copies;
        self.interleaved += other.interleaved;
        self.calls += other.calls;
        self.trace ^= other.trace;
        for (call, times) in other.cuts_in {
            *self.cuts_in.entry(call).or_default() += times;
        }
        for (call, times) in other.failed {
            *self.failed.entry(call).or_default() += times;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |calls: &BTreeMap<Call, u64>| {
            let each: Vec<String> = calls.iter().map(|(call, times)| format!("{call:?} {times}")).collect();
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        };
        writeln!(f, "{} power cuts, {} of them while opening", self.cuts, self.cuts_while_opening)?;
        writeln!(f, "{} kills, {} clean ends", self.kills, self.closes)?;
        writeln!(f, "cuts and kills in the middle of a call: {}", times(&self.cuts_in))?;
        writeln!(f, "{} calls to the disk; failed: {}", self.calls, times(&self.failed))?;
        writeln!(f, "{} writes acknowledged, {} told to ask again", self.acknowledged, self.refused)?;
        writeln!(f, "{} unacknowledged groups found stored, whole", self.ghosts)?;
        writeln!(f, "{} groups met a full disk, {} openings failed", self.full, self.refused_openings)?;
        write!(f, "{} copies of the log, {} interleaved with a commit", self.copies, self.interleaved)
    }
}
