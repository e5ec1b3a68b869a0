//! Who the clients are: what is set up before a storm, and what is asked for in it.

pub mod random;
pub mod retail;

use crate::ask::{Ask, Change, Wants};
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
    let mut workload =
        if rng.u8(..4) == 0 { retail::draw(&mut rng, swarm) } else { random::draw(&mut rng, swarm) };
    send_under_keys(&mut workload, &mut rng, swarm.keys);
    erase_some(&mut workload, &mut rng);
    workload
}

/// Some clients give their requests keys. Of those some send one twice, as a proxy does that got no answer, and some use
/// a key for two requests.
fn send_under_keys(workload: &mut Workload, rng: &mut fastrand::Rng, share: f32) {
    let asked = workload.storm.len();
    for number in 0..asked {
        let (at, ask) = &mut workload.storm[number];
        let takes_a_key = matches!(ask.wants, Wants::Place { .. } | Wants::Change { .. });
        if !takes_a_key || rng.f32() >= share {
            continue;
        }
        let under = ask.clone().under(format!("key-{number}"));
        *ask = under.clone();
        let later = *at + (1.0 - *at) * rng.f32() * rng.f32() * rng.f32();
        match rng.u8(..4) {
            0 | 1 => workload.storm.push((later, under)),
            2 => workload.storm.push((later, with_other_content(under, rng))),
            _ => {}
        }
    }
}

/// Some of those who say who they are want to be forgotten.
fn erase_some(workload: &mut Workload, rng: &mut fastrand::Rng) {
    let asked = workload.storm.len();
    for number in 0..asked {
        let (at, ask) = &workload.storm[number];
        let Wants::Register { customer_id, personal: true } = &ask.wants else { continue };
        if rng.u8(..3) > 0 {
            continue;
        }
        let later = at + (1.0 - at) * rng.f32() * rng.f32();
        let erase = Ask::erase(customer_id);
        if rng.u8(..4) == 0 {
            workload.storm.push((later + (1.0 - later) * rng.f32(), erase.clone()));
        }
        workload.storm.push((later, erase));
    }
}

/// The same method and path, and something else in it.
fn with_other_content(ask: Ask, rng: &mut fastrand::Rng) -> Ask {
    let Some(key) = ask.key.clone() else { return ask };
    match &ask.wants {
        Wants::Place { order_id, customer_id, lines, express } => {
            let mut lines = lines.clone();
            for (_, units) in &mut lines {
                *units += rng.u32(1..3);
            }
            Ask::place(order_id.as_ref(), customer_id, &lines, *express).under(key)
        }
        Wants::Change { order_id, .. } if ask.method == "PATCH" => {
            Ask::change(order_id, Change::Cancelled).under(key)
        }
        _ => ask,
    }
}
