//! A life's rounds: writes come in, groups are committed, the log is copied, readers look, the disk fills up.

use event_store_embedded::Disk;
use rusqlite::{Connection, OpenFlags};

use crate::faults::Faults;
use crate::look::Wrong;
use crate::machine::Machine;
use crate::run::Run;

pub(crate) struct Rounds {
    /// Whether calls fail.
    fails: bool,
    /// Whether there is little room.
    is_full: bool,
    /// Somebody who reads for a long time, and keeps the log from starting over.
    reader: Option<Connection>,
}

impl Rounds {
    pub(crate) fn new(fails: bool) -> Self {
        Rounds { fails, is_full: false, reader: None }
    }

    /// Goes on until the power is cut, or it was enough.
    pub(crate) fn run(mut self, run: &mut Run, machine: &mut Machine) -> Result<(), Wrong> {
        for _ in 0..run.rng.u32(1..40) {
            self.round(run, machine)?;
            if !run.disk.lives() || machine.has_ended() {
                return Ok(());
            }
        }
        if run.rng.bool() { self.peace(run, machine) } else { Ok(()) }
    }

    fn round(&mut self, run: &mut Run, machine: &mut Machine) -> Result<(), Wrong> {
        for _ in 0..run.rng.u32(1..=12) {
            let write = run.work.next(&run.world);
            machine.tell(write);
        }
        let failed = match run.rng.u8(0..6) {
            0 => self.copy_while_committing(run, machine)?,
            1 => self.commit_while_copying(run, machine)?,
            2 => {
                machine.copy();
                self.commit(run, machine)?
            }
            _ => self.commit(run, machine)?,
        };
        match run.rng.u8(0..40) {
            0 => self.reader = begin_reading(run).ok(),
            1 | 2 => self.reader = None,
            3 => self.fill(run),
            4 | 5 => self.make_room(run),
            6 if run.disk.lives() => drop(run.check()?),
            _ => {}
        }
        if machine.has_ended() {
            return Ok(());
        }
        // What is in memory must be what is stored, above all where something went wrong.
        if run.disk.lives() && run.rng.u8(0..20) < if failed { 6 } else { 1 } {
            self.compare(run, machine)?;
        }
        Ok(())
    }

    fn commit(&mut self, run: &mut Run, machine: &mut Machine) -> Result<bool, Wrong> {
        machine.commit(run.rng.usize(1..=16));
        let failed = run.take_in(machine, self.is_full && !self.fails)?;
        run.report.full += u64::from(failed && self.is_full);
        Ok(failed)
    }

    /// The copier gets to copy in the middle of a commit.
    fn copy_while_committing(&mut self, run: &mut Run, machine: &mut Machine) -> Result<bool, Wrong> {
        run.disk.meanwhile(run.rng.u64(1..30), machine.copy_later());
        let copies = machine.copies();
        let failed = self.commit(run, machine)?;
        run.disk.alone();
        run.report.interleaved += machine.copies() - copies;
        Ok(failed)
    }

    /// The desk gets to commit in the middle of a copy.
    fn commit_while_copying(&mut self, run: &mut Run, machine: &mut Machine) -> Result<bool, Wrong> {
        run.disk.meanwhile(run.rng.u64(1..60), machine.commit_later(run.rng.usize(1..=16)));
        let copies = machine.copies();
        machine.copy();
        if run.disk.alone() {
            run.report.interleaved += machine.copies() - copies;
        }
        run.take_in(machine, self.is_full && !self.fails)
    }

    fn fill(&mut self, run: &mut Run) {
        run.disk.limit(Some(run.disk.used() + run.rng.u64(0..60_000)));
        self.is_full = true;
    }

    fn make_room(&mut self, run: &mut Run) {
        run.disk.limit(None);
        self.is_full = false;
    }

    fn compare(&self, run: &Run, machine: &Machine) -> Result<(), Wrong> {
        let shown = run.look(machine)?;
        match run.world.difference(&shown) {
            None => Ok(()),
            Some(difference) => Err(format!("acknowledged and shown are not the same: {difference}")),
        }
    }

    /// Nothing goes wrong any more: the store must go on by itself.
    fn peace(mut self, run: &mut Run, machine: &mut Machine) -> Result<(), Wrong> {
        run.disk.plan(Faults::default());
        self.make_room(run);
        self.reader = None;
        let write = run.work.next(&run.world);
        machine.tell(write);
        machine.commit(usize::MAX);
        if machine.has_ended() {
            return Ok(());
        }
        if run.take_in(machine, false)? {
            return Err("nothing is wrong with the disk any more, and a write fails".to_owned());
        }
        self.compare(run, machine)
    }
}

fn begin_reading(run: &Run) -> rusqlite::Result<Connection> {
    let path = run.disk.folder().join("sagaline.db");
    let reader = run.disk.connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    reader.execute_batch("BEGIN; SELECT count(*) FROM events;")?;
    Ok(reader)
}
