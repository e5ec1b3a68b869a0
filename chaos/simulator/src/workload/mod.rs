//! Who the clients are: what is set up before a storm, and what is asked for in it.

pub mod random;
pub mod retail;

use crate::ask::Ask;
use crate::swarm::Swarm;

/// What clients do in one run.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// Asked one after the other before the storm, and answered: customers, products, stock.
    pub before: Vec<Ask>,
    /// Asked in the storm, each at its share of the storm's time, 0 to 1.
    pub storm: Vec<(f32, Ask)>,
}

/// The workload of a seed: one of the two generators', which know nothing of each other.
pub fn draw(seed: u64, swarm: &Swarm) -> Workload {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x3a11_0ad5);
    if rng.u8(..4) == 0 { retail::draw(&mut rng, swarm) } else { random::draw(&mut rng, swarm) }
}
