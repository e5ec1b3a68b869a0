//! Who the clients are: what is set up before a storm, and what is asked for in it.

pub mod random;
pub mod retail;

use event_store::Personal;
use events::OrderId;
use rustc_hash::FxHashMap;

use crate::ask::{Ask, Change, Wants};
use crate::holder::{Door, Holder, PROGRAMS};
use crate::swarm::Swarm;

/// What clients do in one run.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// Asked one after the other before the storm, and answered: customers, products, stock.
    pub before: Vec<Ask>,
    /// Asked in the storm, each at its share of the storm's time, 0 to 1.
    pub storm: Vec<(f32, Ask)>,
    /// Asked in the storm too, and numbered behind it: what was thought of later, so that the numbers of the rest stay.
    pub afterthoughts: Vec<(f32, Ask)>,
}

/// The workload of a seed: one of the two generators', which know nothing of each other.
pub fn draw(seed: u64, swarm: &Swarm) -> Workload {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x3a11_0ad5);
    let mut workload =
        if rng.u8(..4) == 0 { retail::draw(&mut rng, swarm) } else { random::draw(&mut rng, swarm) };
    send_under_keys(&mut workload, &mut rng, swarm.keys);
    erase_some(&mut workload, &mut rng);
    reprice_some(&mut workload, &mut rng);
    if swarm.asks_who {
        say_who_asks(&mut workload, &mut rng);
    }
    send_the_rest_under_keys(&mut workload, &mut rng, swarm.keys);
    // By draws of its own, so that the rest of a seed's course stays.
    make_keys(&mut workload, &mut fastrand::Rng::with_seed(seed ^ 0x6b65_7973), swarm.asks_who);
    workload
}

/// Somebody makes keys for customers at about the time at which these are erased, and for some before or later.
fn make_keys(workload: &mut Workload, rng: &mut fastrand::Rng, asks_who: bool) {
    let asked = workload.storm.iter().chain(&workload.afterthoughts);
    let erased = asked.filter_map(|(at, ask)| match &ask.wants {
        Wants::Erase { customer_id } => Some((*at, customer_id.clone())),
        _ => None,
    });
    for (number, (at, customer_id)) in erased.collect::<Vec<_>>().into_iter().enumerate() {
        for which in 0..3 {
            let at = if which == 0 { rng.f32() } else { at + (rng.f32() - 0.5) / 50.0 };
            let mut ask = Ask::make_key(&customer_id, format!("key-for-{number}-{which}"));
            ask.holder = asks_who.then_some(Holder::Admin);
            // Some do not ask again, so that nobody finds a key that came to be when they had given up.
            if which == 2 {
                ask.patience = 1;
            }
            workload.afterthoughts.push((at, ask));
        }
    }
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
        let at = *at;
        workload.storm.extend(again(at, under, rng));
    }
}

/// Those who change something else than an order do it under keys as well.
fn send_the_rest_under_keys(workload: &mut Workload, rng: &mut fastrand::Rng, share: f32) {
    let mut repeats = Vec::new();
    let asked = workload.storm.iter_mut().chain(&mut workload.afterthoughts);
    for (number, (at, ask)) in asked.enumerate() {
        let takes_a_key = matches!(
            ask.wants,
            Wants::Restock { .. }
                | Wants::Register { .. }
                | Wants::Erase { .. }
                | Wants::List { .. }
                | Wants::Reprice { .. }
                | Wants::Withdraw { .. }
        );
        // Few products are withdrawn: where there are keys at all, each under one.
        let is_seldom = share > 0.0 && matches!(ask.wants, Wants::Withdraw { .. });
        if !takes_a_key || !(is_seldom || rng.f32() < share) {
            continue;
        }
        *ask = ask.clone().under(format!("key-of-{number}"));
        repeats.extend(again(*at, ask.clone(), rng));
    }
    workload.afterthoughts.extend(repeats);
}

/// What comes a second time under the key of a request, if anything does.
fn again(at: f32, ask: Ask, rng: &mut fastrand::Rng) -> Option<(f32, Ask)> {
    let later = at + (1.0 - at) * rng.f32() * rng.f32() * rng.f32();
    match rng.u8(..4) {
        0 | 1 => Some((later, ask)),
        2 => Some((later, with_other_content(ask, rng))),
        _ => None,
    }
}

/// Some of those who say who they are want to be forgotten.
fn erase_some(workload: &mut Workload, rng: &mut fastrand::Rng) {
    let asked = workload.storm.len();
    for number in 0..asked {
        let (at, ask) = &workload.storm[number];
        let Wants::Register { customer_id, personal } = &ask.wants else { continue };
        if *personal == Personal::default() || rng.u8(..3) > 0 {
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

/// Some products get another price, and some of those another one.
fn reprice_some(workload: &mut Workload, rng: &mut fastrand::Rng) {
    for number in 0..workload.before.len() {
        let Wants::List { product_id, minor, .. } = &workload.before[number].wants else { continue };
        while rng.u8(..4) == 0 {
            let minor = if rng.u8(..4) == 0 { *minor } else { rng.i64(1..20_000) };
            workload.afterthoughts.push((rng.f32(), Ask::reprice(product_id, minor)));
        }
    }
}

/// Everybody shows a key. Most may ask for what they ask for. Some keys are revoked.
fn say_who_asks(workload: &mut Workload, rng: &mut fastrand::Rng) {
    for program in 1..PROGRAMS {
        if rng.u8(..3) == 0 {
            workload.afterthoughts.push((rng.f32(), Ask::revoke(Holder::Program(program))));
        }
    }
    let mut customers: FxHashMap<OrderId, String> = FxHashMap::default();
    for (_, ask) in &workload.storm {
        if let Wants::Place { order_id: Some(order_id), customer_id, .. } = &ask.wants {
            customers.entry(order_id.clone()).or_insert_with(|| customer_id.clone());
        }
    }
    for ask in &mut workload.before {
        ask.holder = Some(Holder::Admin);
    }
    for (_, ask) in workload.storm.iter_mut().chain(&mut workload.afterthoughts) {
        // What is sent twice under one key is sent by one.
        let (is_theirs, program) = match ask.key {
            Some(_) => (true, 0),
            None => (rng.bool(), rng.u8(..PROGRAMS)),
        };
        let of_order = |order_id: &OrderId| customers.get(order_id).cloned();
        let customer = match Door::of(ask) {
            Door::Customer(id) => Some(id.to_owned()),
            Door::Order => ask.order().as_ref().and_then(of_order),
            _ => None,
        };
        ask.holder = Some(match (customer.filter(|_| is_theirs), &ask.wants) {
            _ if ask.key.is_none() && rng.u8(..16) == 0 => somebody(rng),
            (Some(customer), _) => Holder::Customer(customer),
            (None, Wants::Raw { .. } | Wants::Revoke { .. }) => Holder::Admin,
            (None, _) => Holder::Program(program),
        });
    }
}

fn somebody(rng: &mut fastrand::Rng) -> Holder {
    match rng.u8(..4) {
        0 => Holder::Nobody,
        1 => Holder::Program(rng.u8(..PROGRAMS)),
        _ => Holder::Customer(format!("customer-{}", rng.u8(..5))),
    }
}

/// The same method and path, of the same sender, and something else in it, if it can have something else.
fn with_other_content(ask: Ask, rng: &mut fastrand::Rng) -> Ask {
    let (Some(key), holder) = (ask.key.clone(), ask.holder.clone()) else { return ask };
    let other = match &ask.wants {
        Wants::Place { order_id, customer_id, lines, express } => {
            let mut lines = lines.clone();
            for (_, units) in &mut lines {
                *units += rng.u32(1..3);
            }
            Ask::place(order_id.as_ref(), customer_id, &lines, *express)
        }
        Wants::Change { order_id, .. } if ask.method == "PATCH" => Ask::change(order_id, Change::Cancelled),
        Wants::Restock { sku, units, lot_id } => Ask::restock(sku, units + rng.u32(1..3), lot_id),
        Wants::Reprice { product_id, minor } => Ask::reprice(product_id, minor + rng.i64(1..100)),
        Wants::List { product_id, sku, minor, .. } => {
            Ask::list(product_id, sku, "A thing", minor + rng.i64(1..100))
        }
        Wants::Register { customer_id, .. } => Ask::register_person(customer_id, "Bea"),
        _ => return ask,
    };
    Ask { holder, ..other.under(key) }
}
