//! One run: a store lives through several lives on one disk, and each ends as the seed says.

use event_store::StoreError;
use event_store_embedded::{OpenError, Pace};
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};

use crate::disk::SimulatedDisk;
use crate::faults::{Call, Faults};
use crate::look::{self, Wrong};
use crate::machine::Machine;
use crate::report::Report;
use crate::round::Rounds;
use crate::state::Life;
use crate::told::{World, Write};
use crate::work::Work;

/// What a run is made of.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the run is drawn from.
    pub seed: u64,
    /// Whether every call to the disk is shown.
    pub show_calls: bool,
    /// What is wrong with the store or the disk, and must be found.
    #[cfg(feature = "planted")]
    pub bug: Option<crate::planted::Planted>,
}

impl Options {
    /// A run of a seed, with nothing planted, that shows nothing.
    pub fn of(seed: u64) -> Self {
        Options { seed, ..Options::default() }
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, life {life}: {what}")]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// In which life of the store, counted from 1.
    pub life: u32,
    /// What was promised, and what is.
    pub what: String,
}

/// Runs a seed.
///
/// # Errors
/// A promise was broken.
pub fn run(options: &Options) -> Result<Report, Failure> {
    #[cfg(feature = "planted")]
    let _bug = crate::planted::plant(options.bug);
    let mut run = Run::new(options);
    let lives = run.rng.u32(1..=4);
    let failed = |life: u32| move |what| Failure { seed: options.seed, life, what };
    for life in 1..=lives {
        run.live().map_err(failed(life))?;
    }
    run.disk.begin_anew();
    run.check().map_err(failed(lives))?;
    run.report.count(&run.disk.trace());
    Ok(run.report)
}

pub(crate) struct Run {
    pub(crate) rng: Rng,
    pub(crate) disk: SimulatedDisk,
    pub(crate) work: Work,
    pub(crate) report: Report,
    /// What was acknowledged.
    pub(crate) world: World,
    /// Groups that were not acknowledged since the last one that was: after a power cut any of them may turn
    /// out to be stored, whole, and no two of them, because each was written in the same place.
    ghosts: Vec<Vec<Write>>,
    runtime: Runtime,
}

impl Run {
    fn new(options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let disk = SimulatedDisk::new(rng.u64(..));
        if options.show_calls {
            disk.show_calls();
        }
        #[cfg(feature = "planted")]
        if options.bug == Some(crate::planted::Planted::SkippedSync) {
            disk.ignore_sync();
        }
        let runtime = Builder::new_current_thread().build();
        Run {
            disk,
            work: Work::new(rng.u64(..)),
            report: Report::default(),
            world: World::default(),
            ghosts: Vec::new(),
            runtime: runtime.expect("a runtime without a network needs nothing of the system"),
            rng,
        }
    }

    fn live(&mut self) -> Result<(), Wrong> {
        self.disk.begin_anew();
        let faults = self.faults();
        let fails = !faults.failing.is_empty();
        self.disk.plan(faults);
        if let Some(mut machine) = self.open(fails)? {
            let shown = self.look(&machine)?;
            self.settle(shown)?;
            Rounds::new(fails).run(self, &mut machine)?;
            self.report.copies += machine.copies();
            self.end(machine);
        }
        let found = self.check()?;
        match self.disk.life() {
            Life::Lives => self.report.closes += 1,
            Life::Killed => self.report.kills += 1,
            Life::Cut => {
                self.report.cuts += 1;
                self.settle(found)?;
            }
        }
        // Otherwise what was found may be in the system's memory only. Whoever opens it next settles that.
        Ok(())
    }

    /// A life that nothing has ended yet ends now.
    fn end(&mut self, machine: Machine) {
        match self.rng.u8(0..4) {
            0 if !machine.has_ended() => return machine.close(),
            1 => self.disk.kill(),
            _ => self.disk.cut_power(),
        }
        drop(machine);
    }

    fn faults(&mut self) -> Faults {
        // Some cuts come early, while the store is opened and recovers.
        // … and some in a sync, where it is decided whether a group is stored.
        let (cut_in, counted) = match self.rng.u8(0..8) {
            0 => (None, None),
            1 => (Some(self.rng.u64(1..200)), None),
            2 | 3 => (Some(self.rng.u64(1..100)), Some(Call::Sync)),
            _ => (Some(self.rng.u64(1..3_000)), None),
        };
        let failing = if self.rng.u8(0..3) == 0 { Faults::failing(&mut self.rng) } else { Vec::new() };
        Faults { cut_in, counted, kills: self.rng.u8(0..4) == 0, failing, room: None }
    }

    fn pace(&mut self) -> Pace {
        Pace {
            start_bytes: 4096 * self.rng.u64(1..60),
            large_bytes: 4096 * 100,
            restart_every: self.rng.u32(1..5),
            look_every: self.rng.u32(1..5),
        }
    }

    /// Opens the store; `None` if it did not live to see that. An error of the disk is no damage, and once it
    /// is over the store opens.
    fn open(&mut self, fails: bool) -> Result<Option<Machine>, Wrong> {
        let pace = self.pace();
        let opened = Machine::open(&self.disk, pace);
        self.report.cuts_while_opening += u64::from(self.disk.life() == Life::Cut);
        match opened {
            Ok(machine) => Ok(Some(machine).filter(|_| self.disk.lives())),
            Err(OpenError::Io { .. }) if !self.disk.lives() => Ok(None),
            Err(OpenError::Io { .. }) if fails => {
                self.report.refused_openings += 1;
                let calm = Faults { failing: Vec::new(), ..self.faults() };
                self.disk.plan(calm);
                self.open(false)
            }
            Err(error) => Err(format!("the store does not open: {error}")),
        }
    }

    /// What a running store shows, while nothing goes wrong.
    pub(crate) fn look(&self, machine: &Machine) -> Result<World, Wrong> {
        self.disk.calmly(|| self.runtime.block_on(look::world(&machine.store, &self.work.orders)))
    }

    /// What a store shows that is opened on a copy of the disk, and whether it is in order.
    pub(crate) fn check(&self) -> Result<World, Wrong> {
        let disk = self.disk.copy();
        let opened = Machine::open(&disk, Pace::default());
        let mut machine = opened.map_err(|error| format!("the store does not open any more: {error}"))?;
        let found = self.runtime.block_on(look::world(&machine.store, &self.work.orders))?;
        self.recognise(&found)?;
        self.runtime.block_on(look::audit(&disk, &mut machine, &found, &self.work.orders))?;
        machine.close();
        Ok(found)
    }

    /// What is found must be what was acknowledged, or that and one group whose answer was not.
    fn recognise(&self, found: &World) -> Result<(), Wrong> {
        let Some(difference) = self.world.difference(found) else { return Ok(()) };
        let haunted = self.ghosts.iter().any(|ghost| {
            let mut world = self.world.clone();
            ghost.iter().for_each(|write| drop(world.write(write)));
            world == *found
        });
        if haunted { Ok(()) } else { Err(format!("acknowledged and found are not the same: {difference}")) }
    }

    /// What is found is what counts from now on: whoever looks sees it.
    fn settle(&mut self, found: World) -> Result<(), Wrong> {
        self.recognise(&found)?;
        self.report.ghosts += u64::from(self.world != found);
        self.world = found;
        self.ghosts.clear();
        Ok(())
    }

    /// Takes in what the store has answered to one group: it must be what it should have answered. Says whether
    /// the group failed.
    pub(crate) fn take_in(&mut self, machine: &mut Machine, is_full: bool) -> Result<bool, Wrong> {
        let (mut ghost, mut answers, mut wrote) = (Vec::new(), 0, false);
        for (write, answer) in machine.answered() {
            match answer {
                Ok(answer) => {
                    let expected = self.world.write(&write);
                    if !answer.is_like(&expected) {
                        return Err(format!("{write:?} is answered {answer:?}, and should be {expected:?}"));
                    }
                    self.world.learn(&write, &answer);
                    answers += 1;
                    wrote |= answer.has_written();
                }
                Err(StoreError::Unavailable(why)) => {
                    if is_full && self.disk.lives() && !why.contains("full") {
                        return Err(format!("the disk is full, and {write:?} is told: {why}"));
                    }
                    ghost.push(write);
                }
                Err(cause) => return Err(format!("{write:?} is refused: {cause}")),
            }
        }
        if answers > 0 && !ghost.is_empty() {
            return Err(format!("of one group, {answers} writes are stored, and not {ghost:?}"));
        }
        if wrote {
            self.ghosts.clear();
        }
        self.report.acknowledged += answers;
        self.report.refused += ghost.len() as u64;
        let failed = !ghost.is_empty();
        if failed {
            self.ghosts.push(ghost);
        }
        Ok(failed)
    }
}
