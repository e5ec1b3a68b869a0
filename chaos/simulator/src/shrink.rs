//! Making a failing run small: fewer requests, fewer kinds of faults, as long as it still fails.

use crate::swarm::Switch;
use crate::{Plan, run};

/// No workload has more requests in its storm.
const MOST_ASKS: usize = 1_024;

/// A plan that fails still, with as little in it as could be found, and how it fails.
///
/// A run is one sequence of draws, so that leaving something out changes what comes after it: a smaller
/// plan may fail in another way, or not at all. What fails is kept, what does not is put back.
pub fn shrink(plan: &Plan, why: String) -> (Plan, String) {
    let (mut smallest, mut why) = (plan.clone(), why);
    let mut attempt = |smallest: &mut Plan, candidate: Plan| {
        let failure = run(&candidate).failure;
        let fails = failure.is_some();
        if let Some(failure) = failure {
            *smallest = candidate;
            why = failure;
        }
        fails
    };
    loop {
        let before = smallest.clone();
        for switch in Switch::ALL {
            if !smallest.without.contains(switch) {
                let mut candidate = smallest.clone();
                candidate.without.push(*switch);
                attempt(&mut smallest, candidate);
            }
        }
        // Big steps first, then smaller ones, each as often as it still fails.
        for step in [512, 128, 32, 8, 2, 1] {
            while let Some(left) = smallest.asks.unwrap_or(MOST_ASKS).checked_sub(step) {
                let candidate = Plan { asks: Some(left), ..smallest.clone() };
                if !attempt(&mut smallest, candidate) {
                    break;
                }
            }
        }
        if smallest == before {
            return (smallest, why);
        }
    }
}

impl Plan {
    /// The words that run it again.
    pub fn command(&self) -> String {
        let mut command = format!("cargo xtask sim --seed {}", self.seed);
        if let Some(asks) = self.asks {
            command += &format!(" --asks {asks}");
        }
        if !self.without.is_empty() {
            let names: Vec<&str> = self.without.iter().map(|switch| switch.name()).collect();
            command += &format!(" --without {}", names.join(","));
        }
        #[cfg(feature = "planted")]
        if let Some(bug) = self.planted {
            command += &format!(" --bug {bug}");
        }
        command + " --trace"
    }
}
