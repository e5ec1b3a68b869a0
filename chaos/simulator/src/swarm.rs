//! What a seed turns on, and how often it strikes: rare mixes occur because most runs have few of them.

use crate::executor::{Micros, SECOND};
use crate::sim::LATEST;
use crate::site::{Fault, named};

named! {
    /// Something that a run can be without.
    Switch {
        /// [`Fault::Slow`]
        Slow = "slow",
        /// [`Fault::CrashBefore`]
        CrashBefore = "crash_before",
        /// [`Fault::CrashAfter`]
        CrashAfter = "crash_after",
        /// [`Fault::LostAnswer`]
        LostAnswer = "lost_answer",
        /// [`Fault::Throttled`]
        Throttled = "throttled",
        /// A message is delivered more than once.
        Duplicates = "duplicates",
        /// A message takes minutes instead of milliseconds.
        Delays = "delays",
        /// Messages of a queue are handed out in any order.
        Reordering = "reordering",
        /// A handled message is not deleted, a received one not handled.
        LostMessages = "lost_messages",
        /// The pipe fails, with some of its batch sent.
        PipeFailures = "pipe_failures",
        /// A rule cannot reach its queue.
        BusFailures = "bus_failures",
        /// A pipe or rule that failed gives up early, so its dead letters matter.
        EarlyGivingUp = "early_giving_up",
        /// Clocks are up to ten minutes wrong.
        SkewedClocks = "skewed_clocks",
        /// Indexes lag behind their tables.
        StaleIndexes = "stale_indexes",
        /// The gateway fails for now.
        GatewayFailures = "gateway_failures",
        /// Some functions run the version of the code that comes next.
        NextVersion = "next_version",
        /// Clients forge events.
        RawEvents = "raw_events",
        /// Dead letters are redriven while the storm goes on.
        Redrives = "redrives",
        /// Sweeps, replays and audits run while the storm goes on.
        Operators = "operators",
        /// Few SKUs, so that everybody wants the same.
        HotSkus = "hot_skus",
        /// Clients ask again with other content under the same id.
        Collisions = "collisions",
        /// Clients send requests under keys, and some of them twice.
        Keys = "keys",
        /// It is asked who asks: clients show keys, and some of those are revoked.
        AsksWho = "asks_who",
        /// The gateway is the built-in one, whose intents stand in a table.
        BuiltInGateway = "built_in_gateway",
        /// Orders that stand still expire.
        Expiry = "expiry",
        /// [`Fault::Late`]
        Late = "late",
    }
}

/// What one run has turned on: a share of 0 is off.
#[derive(Debug, Clone)]
pub struct Swarm {
    /// How often each of [`Fault::ALL`] strikes a call.
    pub faults: [f32; 6],
    /// How often a message is delivered twice.
    pub duplicates: f32,
    /// How often a message is late.
    pub delays: f32,
    /// Whether queues hand out messages in any order.
    pub reordering: bool,
    /// How often a delete or a receive is lost.
    pub lost_messages: f32,
    /// How often a batch of the pipe fails.
    pub pipe_failures: f32,
    /// How often a rule does not reach its queue.
    pub bus_failures: f32,
    /// After how many tries pipe and rules give up, where that is earlier than the templates say.
    pub gives_up_after: u32,
    /// How wrong a clock can be, in milliseconds either way.
    pub skew_ms: i64,
    /// How far an index can lag.
    pub stale: Micros,
    /// How often the gateway fails for now.
    pub gateway_failures: f32,
    /// How many of a hundred functions run the next version.
    pub next_version: u32,
    /// How often a client forges an event.
    pub raw_events: f32,
    /// Whether dead letters are redriven in the storm.
    pub redrives: bool,
    /// Whether sweeps, replays and audits run in the storm.
    pub operators: bool,
    /// How many SKUs there are.
    pub skus: usize,
    /// How often a client takes an id that is taken.
    pub collisions: f32,
    /// Whether the gateway is the built-in one.
    pub built_in_gateway: bool,
    /// Shards of the table's stream.
    pub shards: usize,
    /// Instances of each function.
    pub instances: usize,
    /// How long requests keep coming.
    pub storm: Micros,
    /// How often a request has a key.
    pub keys: f32,
    /// Whether it is asked who asks.
    pub asks_who: bool,
    /// Whether orders that stand still expire.
    pub expiry: bool,
}

impl Swarm {
    /// What a seed turns on, less what it should be without.
    pub fn draw(seed: u64, without: &[Switch]) -> Swarm {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5a0a_9a11_e5a0_9a11);
        // How stormy the whole run is: most runs are mild enough for orders to end well in the storm too.
        let mood = [0.3, 1.0, 1.0, 3.0][rng.usize(..4)];
        let mut share = |switch: Switch, shares: &[f32], on: f32| {
            let (drawn, is_on) = (shares[rng.usize(..shares.len())] * mood, rng.f32() < on);
            // A gateway fails as often as `sagaline up` lets it under chaos; of the rest too much would leave nothing to see.
            let most = if switch == Switch::GatewayFailures { 0.7 } else { 0.5 };
            if is_on && !without.contains(&switch) { drawn.min(most) } else { 0.0 }
        };
        let often = [0.002, 0.01, 0.03, 0.08];
        let faults = [
            share(Switch::Slow, &[0.001, 0.005, 0.02], 0.35),
            share(Switch::CrashBefore, &often, 0.45),
            share(Switch::CrashAfter, &often, 0.45),
            share(Switch::LostAnswer, &often, 0.45),
            share(Switch::Throttled, &often, 0.45),
            0.0,
        ];
        let often = [0.01, 0.05, 0.15];
        let duplicates = share(Switch::Duplicates, &often, 0.5);
        let delays = share(Switch::Delays, &[0.005, 0.02, 0.1], 0.4);
        let reordering = share(Switch::Reordering, &[1.0], 0.7) > 0.0;
        let lost_messages = share(Switch::LostMessages, &often, 0.4);
        let pipe_failures = share(Switch::PipeFailures, &often, 0.4);
        let bus_failures = share(Switch::BusFailures, &often, 0.4);
        let gives_up = share(Switch::EarlyGivingUp, &[1.0], 0.4) > 0.0;
        let skew = share(Switch::SkewedClocks, &[1.0], 0.6) > 0.0;
        let stale = share(Switch::StaleIndexes, &[1.0], 0.5) > 0.0;
        let gateway_failures = share(Switch::GatewayFailures, &[0.05, 0.2, 0.7], 0.5);
        let next_version = share(Switch::NextVersion, &[1.0], 0.4) > 0.0;
        let raw_events = share(Switch::RawEvents, &[0.02, 0.1, 0.2], 0.35);
        let redrives = share(Switch::Redrives, &[1.0], 0.5) > 0.0;
        let operators = share(Switch::Operators, &[1.0], 0.4) > 0.0;
        let hot = share(Switch::HotSkus, &[1.0], 0.4) > 0.0;
        let collisions = share(Switch::Collisions, &[0.02, 0.1, 0.3], 0.5);
        let built_in_gateway = share(Switch::BuiltInGateway, &[1.0], 0.4) > 0.0;
        // Drawn last, each in its turn, so that a seed that was found to fail before there were keys, or before orders
        // expired, has the rest of its course.
        let keys = |rng: &mut fastrand::Rng| {
            let (drawn, is_on) = ([0.1, 0.5][rng.usize(..2)], rng.f32() < 0.4);
            if is_on && !without.contains(&Switch::Keys) { drawn } else { 0.0 }
        };
        let asks_who = |rng: &mut fastrand::Rng| rng.f32() < 0.3 && !without.contains(&Switch::AsksWho);
        let mut swarm = Swarm {
            faults,
            duplicates,
            delays,
            reordering,
            lost_messages,
            pipe_failures,
            bus_failures,
            gives_up_after: if gives_up { rng.u32(1..4) } else { u32::MAX },
            skew_ms: if skew { [50, 5_000, 600_000][rng.usize(..3)] } else { 0 },
            stale: if stale { [SECOND / 5, 10 * SECOND, 60 * SECOND][rng.usize(..3)] } else { 0 },
            gateway_failures,
            next_version: if next_version { 50 } else { 0 },
            raw_events,
            redrives,
            operators,
            skus: if hot { rng.usize(1..4) } else { rng.usize(4..24) },
            collisions,
            built_in_gateway,
            shards: rng.usize(1..5),
            instances: rng.usize(1..4),
            storm: [20, 60, 600][rng.usize(..3)] * SECOND,
            keys: keys(&mut rng),
            asks_who: asks_who(&mut rng),
            expiry: rng.f32() < 0.3 && !without.contains(&Switch::Expiry),
        };
        let (drawn, is_on) = ([0.002, 0.01, 0.03][rng.usize(..3)] * mood, rng.f32() < 0.4);
        if is_on && !without.contains(&Switch::Late) {
            swarm.faults[Fault::Late as usize] = drawn;
        }
        swarm
    }

    /// So much later than whoever made it gave it up can a call have its effect.
    pub fn latest(&self) -> Micros {
        if self.of(Fault::Late) > 0.0 { LATEST } else { 0 }
    }

    /// How often a fault strikes a call.
    pub fn of(&self, fault: Fault) -> f32 {
        self.faults[fault as usize]
    }
}
