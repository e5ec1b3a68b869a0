//! A file on the simulated disk: what programs see of it, and what of that would survive a power cut.

use fastrand::Rng;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// The bytes of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many syncs failed. Everybody who has the file open is told of each, in a sync of their own, as Linux
    /// does since 4.13.
    pub(crate) failed_syncs: u64,
}

/// A change since the last sync.
#[derive(Debug, Clone)]
enum Change {
    Written { at: u64, bytes: Vec<u8> },
    Shortened { to: u64 },
}

impl File {
    /// A file that is on the disk as programs see it.
    pub(crate) fn settled(bytes: Vec<u8>) -> Self {
        File { synced: bytes.clone(), seen: bytes, ..File::default() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.seen
    }

    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.change(Change::Written { at, bytes: bytes.to_vec() });
    }

    /// A truncation that would make it longer does nothing.
    pub(crate) fn shorten(&mut self, to: u64) {
        self.change(Change::Shortened { to });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// A sync that fails has written some of it, still has some to write, and has forgotten the rest, which no
    /// later sync writes. Programs see that as before for as long as the system keeps it in memory.
    /// Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    pub(crate) fn sync_failed(&mut self, rng: &mut Rng) {
        self.failed_syncs += 1;
        let forgets = rng.f64();
        for change in std::mem::take(&mut self.unsynced) {
            if rng.f64() < forgets {
                continue;
            }
            match rng.bool() {
                true => change.apply(&mut self.synced),
                false => self.unsynced.push(change),
            }
        }
        let stays_in_memory = rng.bool();
        if !stays_in_memory {
            self.seen.clone_from(&self.synced);
            self.unsynced.iter().for_each(|change| change.apply(&mut self.seen));
        }
    }

    /// Of what was not synced each change survives with the probability `keeps`, and then, with the probability
    /// `tears`, not whole.
    pub(crate) fn lose_power(&mut self, keeps: f64, tears: f64, rng: &mut Rng) {
        for change in self.unsynced.drain(..) {
            if rng.f64() >= keeps {
                continue;
            }
            match rng.f64() < tears {
                true => change.tear(&mut self.synced, rng),
                false => change.apply(&mut self.synced),
            }
        }
        self.seen.clone_from(&self.synced);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Written { at, bytes } => put(to, *at, bytes),
            Change::Shortened { to: length } => to.truncate(*length as usize),
        }
    }

    fn tear(&self, on: &mut Vec<u8>, rng: &mut Rng) {
        let Change::Written { at, bytes } = self else { return self.apply(on) };
        match rng.u8(0..3) {
            // Its first bytes.
            0 => put(on, *at, &bytes[..rng.usize(0..=bytes.len())]),
            // Some of its sectors.
            1 => sectors(*at, bytes).filter(|_| rng.bool()).for_each(|(at, bytes)| put(on, at, bytes)),
            // That it made the file longer, but not what it wrote.
            _ => on.resize(on.len().max(*at as usize + bytes.len()), 0),
        }
    }
}

fn put(to: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (at, end) = (at as usize, at as usize + bytes.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// The parts of a write that lie in one sector each.
fn sectors(at: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (at, bytes);
    std::iter::from_fn(move || {
        let length = rest.len().min((SECTOR - at % SECTOR) as usize);
        let (part, behind) = rest.split_at(length);
        let here = at;
        (at, rest) = (at + length as u64, behind);
        (!part.is_empty()).then_some((here, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_be_lost() {
        let (mut file, mut rng) = (File::default(), Rng::with_seed(1));
        file.write(0, b"synced");
        file.sync();
        file.write(0, b"later!");
        file.shorten(2);
        assert_eq!(file.bytes(), b"la");
        file.lose_power(0.0, 0.0, &mut rng);
        assert_eq!(file.bytes(), b"synced");
    }

    #[test]
    fn a_write_is_torn_at_its_sectors() {
        let bytes = [7; 1500];
        let parts: Vec<_> = sectors(500, &bytes).map(|(at, part)| (at, part.len())).collect();
        assert_eq!(parts, [(500, 12), (512, 512), (1024, 512), (1536, 464)]);
    }

    #[test]
    fn what_a_failed_sync_forgot_is_written_by_no_later_one() {
        let seen_and_lost = (0..100).any(|seed| {
            let (mut file, mut rng) = (File::default(), Rng::with_seed(seed));
            file.write(0, b"forgotten");
            file.sync_failed(&mut rng);
            file.sync();
            let seen = file.bytes() == b"forgotten";
            file.lose_power(1.0, 0.0, &mut rng);
            seen && file.bytes().is_empty()
        });
        assert!(seen_and_lost);
    }
}
