//! Clients of a real shop: some consecutive invoices of its December, each at its own time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use events::{OrderId, Sku};
use serde_json::json;

use super::Workload;
use crate::ask::{Ask, Change, Wants};
use crate::swarm::Swarm;

/// Draws a window of invoices, and what their customers and the shop do about them.
pub(super) fn draw(rng: &mut fastrand::Rng, swarm: &Swarm) -> Workload {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    let shop = SHOP.get_or_init(|| Shop::read(FILE));
    // Every line costs the simulation events, so whole invoices are rare, and then few.
    let is_whole = rng.u8(..16) == 0;
    let longest = if is_whole { MAX_LINES } else { [1, 2, 5][rng.usize(..3)] };
    let size = rng.usize(if is_whole { 20..=40 } else { 20..=120 });
    let first = rng.usize(..=shop.orders.len() - size);
    // A SKU costs requests before anybody orders it, so most runs have few, which many orders want.
    let kinds = match swarm.skus {
        few @ ..=3 => few.max(1),
        _ if is_whole => shop.goods.len(),
        some => 2 * some,
    };
    let window = &shop.orders[first..first + size];
    let orders: Vec<Order> = window.iter().map(|order| order.shortened(longest, kinds)).collect();
    let minutes = (orders[0].minute, orders[size - 1].minute);
    let cancelling = [0, 5, 20][rng.usize(..3)];
    let mut day = Day { rng, swarm, goods: &shop.goods, minutes, cancelling, workload: Workload::default() };
    day.open(&orders);
    orders.iter().for_each(|order| day.play(order));
    for note in &shop.notes {
        let is_of_then = (minutes.0..=minutes.1).contains(&note.minute);
        if is_of_then || orders.iter().any(|order| order.id == note.order) {
            day.cancel(&note.order, note.minute);
        }
    }
    day.workload
}

const FILE: &str = include_str!("../../../../examples/online-retail/online-retail-2010-12.csv");
/// The most distinct SKUs that one order may have.
const MAX_LINES: usize = 90;

/// What the file tells, each by first sight.
#[derive(Default)]
struct Shop {
    goods: Vec<Good>,
    orders: Vec<Order>,
    notes: Vec<Note>,
}

struct Good {
    sku: Sku,
    name: String,
    /// The first price it has, in hundredths; 0 if it never has one.
    minor: i64,
}

struct Order {
    id: OrderId,
    customer: String,
    /// Since the month began.
    minute: u32,
    /// Units of a good, by its place among the goods; none twice.
    lines: Vec<(usize, u32)>,
}

/// A credit note, which takes back an order; mostly one from before the file begins, that nobody knows.
struct Note {
    order: OrderId,
    minute: u32,
}

/// `invoice,sku,description,quantity,at,unit_price,customer,country`
type Row = (String, String, String, i64, String, f64, String, String);

/// The lines of each invoice, which follow each other.
fn invoices(file: &str) -> Vec<Vec<Row>> {
    let rows = csv::Reader::from_reader(file.as_bytes()).into_deserialize::<Row>();
    let rows: Vec<Row> = rows.map(|row| row.expect("the example is well-formed")).collect();
    rows.chunk_by(|one, next| one.0 == next.0).map(<[Row]>::to_vec).collect()
}

impl Shop {
    fn read(file: &str) -> Shop {
        let (mut shop, mut known) = (Shop::default(), BTreeMap::new());
        for invoice in invoices(file) {
            let (mut sold, mut returned) = (Vec::new(), Vec::new());
            for (_, sku, name, quantity, _, price, ..) in &invoice {
                // Postage and discounts have words for numbers, and nobody counts them on a shelf.
                if !sku.bytes().take(5).all(|byte| byte.is_ascii_digit()) {
                    continue;
                }
                let good = *known.entry(sku.clone()).or_insert_with(|| shop.meet(sku, name));
                if shop.goods[good].minor == 0 {
                    shop.goods[good].minor = (price * 100.0).round() as i64;
                }
                match u32::try_from(*quantity) {
                    Ok(0) | Err(_) => returned.push(good),
                    Ok(units) => add(&mut sold, good, units),
                }
            }
            let (number, .., at, _, customer, _) = &invoice[0];
            let customer = format!("cust-{}", if customer.is_empty() { "guest" } else { customer });
            match number.strip_prefix('C') {
                Some(number) => shop.take_back(number, &customer, minute(at), &returned),
                None => shop.sell(number, &customer, minute(at), &sold),
            }
        }
        shop
    }

    fn meet(&mut self, sku: &str, name: &str) -> usize {
        let name = if name.is_empty() { sku } else { name }.to_owned();
        let sku = Sku::parse(sku).expect("five digits and letters are an id");
        self.goods.push(Good { sku, name, minor: 0 });
        self.goods.len() - 1
    }

    /// What is too long for one order is told in parts.
    fn sell(&mut self, number: &str, customer: &str, minute: u32, lines: &[(usize, u32)]) {
        for (part, lines) in lines.chunks(MAX_LINES).enumerate() {
            let (id, customer) = (invoice_id(number, part), customer.to_owned());
            self.orders.push(Order { id, customer, minute, lines: lines.to_vec() });
        }
    }

    /// The customer's latest order with any of the goods; a guest's could be anybody's.
    fn take_back(&mut self, number: &str, customer: &str, minute: u32, goods: &[usize]) {
        let of_these = |order: &&Order| order.lines.iter().any(|(good, _)| goods.contains(good));
        let theirs = self.orders.iter().rev().filter(|order| order.customer == customer);
        let meant = theirs.filter(|_| customer != "cust-guest").find(of_these);
        let order = meant.map_or_else(|| invoice_id(number, 0), |order| order.id.clone());
        self.notes.push(Note { order, minute });
    }
}

fn invoice_id(number: &str, part: usize) -> OrderId {
    let id = if part == 0 { format!("inv-{number}") } else { format!("inv-{number}-{}", part + 1) };
    OrderId::parse(&id).expect("digits and dashes are an id")
}

/// Of a time such as `2010-12-01T08:26:00Z`, the minutes since the month began.
fn minute(at: &str) -> u32 {
    let read = |part: &str| part.parse::<u32>().expect("the example's times are RFC 3339");
    (read(&at[8..10]) * 24 + read(&at[11..13])) * 60 + read(&at[14..16])
}

fn add(lines: &mut Vec<(usize, u32)>, good: usize, units: u32) {
    match lines.iter_mut().find(|(known, _)| *known == good) {
        Some((_, sum)) => *sum += units,
        None => lines.push((good, units)),
    }
}

impl Order {
    /// Its first lines, of only so many kinds of goods.
    fn shortened(&self, longest: usize, kinds: usize) -> Order {
        let mut lines = Vec::new();
        self.lines.iter().take(longest).for_each(|(good, units)| add(&mut lines, good % kinds, *units));
        Order { id: self.id.clone(), customer: self.customer.clone(), minute: self.minute, lines }
    }
}

/// A window of the shop's time, as one run plays it.
struct Day<'a> {
    rng: &'a mut fastrand::Rng,
    swarm: &'a Swarm,
    goods: &'static [Good],
    /// From the first order to the last.
    minutes: (u32, u32),
    /// How many of a hundred customers change their mind.
    cancelling: u8,
    workload: Workload,
}

impl Day<'_> {
    fn at(&mut self, at: f32, ask: Ask) {
        self.workload.storm.push((at, ask));
    }

    fn later(&mut self, than: f32) -> f32 {
        than + (1.0 - than) * self.rng.f32() * self.rng.f32()
    }

    /// How much of the storm has passed at a minute, which may lie outside the window. The last tenth is
    /// left for what becomes of the last orders.
    fn share(&self, minute: u32) -> f32 {
        let (begin, end) = self.minutes;
        0.9 * (minute.clamp(begin, end) - begin) as f32 / (end - begin).max(1) as f32
    }

    /// Customers, goods, and stock for a drawn share of what will be asked for, some of it to come.
    fn open(&mut self, orders: &[Order]) {
        let customers: BTreeSet<&str> = orders.iter().map(|order| order.customer.as_str()).collect();
        self.workload.before.extend(customers.into_iter().map(Ask::register));
        let mut asked = vec![0; self.goods.len()];
        orders.iter().flat_map(|order| &order.lines).for_each(|(good, units)| asked[*good] += units);
        let percent = self.rng.u32(50..=120);
        for (Good { sku, name, minor }, asked) in self.goods.iter().zip(asked).filter(|good| good.1 > 0) {
            self.workload.before.push(Ask::list(&format!("p-{sku}"), sku, name, *minor));
            let units: u32 = (asked * percent).div_ceil(100);
            let late = if self.rng.u8(..3) == 0 { self.rng.u32(1..=units) } else { 0 };
            if units > late {
                self.workload.before.push(Ask::restock(sku, units - late, "lot-1"));
            }
            if late > 0 {
                let at = self.rng.f32();
                self.at(at, Ask::restock(sku, late, "lot-2"));
            }
        }
    }

    /// An order, and what its customer, the warehouse and the office do about it.
    fn play(&mut self, order: &Order) {
        let (id, at) = (&order.id, self.share(order.minute));
        let ask = self.place(order);
        if self.rng.u8(..16) == 0 {
            let impatient = (at + 0.02 * self.rng.f32()).min(1.0);
            self.at(impatient, ask.clone());
        }
        self.at(at, ask);
        if self.rng.u8(..100) < self.cancelling {
            self.cancel(id, order.minute);
        }
        if self.rng.u8(..16) == 0 {
            let paid = self.later(at);
            self.at(paid, Ask::change(id, Change::Paid));
        }
        if self.rng.u8(..3) > 0 {
            let shipped = self.later(at);
            self.at(shipped, Ask::change(id, Change::Shipped));
            let delivered = self.later(shipped);
            self.at(delivered, Ask::change(id, Change::Delivered));
        }
        if self.rng.bool() {
            let (looked, look) = (self.later(at), self.look(order));
            self.at(looked, look);
        }
    }

    fn place(&mut self, Order { id, customer, lines, .. }: &Order) -> Ask {
        if self.rng.f32() >= self.swarm.raw_events {
            let line = |(good, units): &(usize, u32)| (self.goods[*good].sku.clone(), *units);
            let lines: Vec<_> = lines.iter().map(line).collect();
            return Ask::place(Some(id), customer, &lines, self.rng.u8(..12) == 0);
        }
        let (Good { sku, minor, .. }, units) = (&self.goods[lines[0].0], lines[0].1);
        let price = (minor * i64::from(units)) as f64 / 100.0;
        let body = json!({ "orderId": id, "sku": sku, "units": units, "price": price, "userId": customer });
        let wants = Wants::CompatPlace { order_id: id.clone() };
        Ask::send("POST", "/api/v1/orders/placeOrder", body.to_string(), wants)
    }

    /// After that minute; now and then at any time, even before there is anything to cancel.
    fn cancel(&mut self, id: &OrderId, minute: u32) {
        let is_early = self.rng.u8(..5) == 0;
        let at = if is_early { self.rng.f32() } else { self.later(self.share(minute)) };
        let ask = if self.rng.bool() { Ask::cancel(id) } else { Ask::change(id, Change::Cancelled) };
        self.at(at, ask);
    }

    fn look(&mut self, Order { id, customer, lines, .. }: &Order) -> Ask {
        let sku = &self.goods[lines[self.rng.usize(..lines.len())].0].sku;
        match self.rng.u8(..10) {
            0 => Ask::read(format!("/orders?customer_id={customer}")),
            1 => Ask::read(format!("/customers/{customer}/orders")),
            2 => Ask::read(format!("/inventory/skus/{sku}")),
            3 => Ask::read(format!("/inventory/skus/{sku}/ledger")),
            4 => Ask::read(format!("/products/p-{sku}")),
            5 => Ask::read(format!("/orders/{id}/payments")),
            6 => Ask::read(format!("/orders/{id}/events")),
            _ => {
                let wants = Wants::ReadOrder { order_id: id.clone() };
                Ask { wants, ..Ask::read(format!("/orders/{id}")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use events::{CustomerId, LotId, ProductId};
    use serde_json::Value;

    use super::*;

    fn drawn(seed: u64) -> Workload {
        draw(&mut fastrand::Rng::with_seed(seed), &Swarm::draw(seed, &[]))
    }

    /// The numbers are those of the example's README.
    #[test]
    fn the_whole_file_is_read() {
        let invoices = invoices(FILE);
        assert_eq!((invoices.len(), invoices.iter().map(Vec::len).sum::<usize>()), (512, 10_000));

        let Shop { goods, orders, notes } = Shop::read(FILE);
        assert_eq!((goods.len(), orders.len(), notes.len()), (2_009, 461, 43));
        assert_eq!(goods.iter().filter(|good| good.minor == 0).count(), 15);
        let units: Vec<u32> = orders.iter().flat_map(|order| &order.lines).map(|line| line.1).collect();
        assert_eq!((units.len(), units.iter().sum::<u32>()), (9_490, 90_389));
        assert!(orders.is_sorted_by_key(|order| order.minute));
        let known: BTreeSet<&OrderId> = orders.iter().map(|order| &order.id).collect();
        assert_eq!((known.len(), notes.iter().filter(|note| known.contains(&note.order)).count()), (461, 9));
    }

    #[test]
    fn two_draws_from_one_seed_are_equal() {
        for seed in 0..20 {
            assert_eq!(format!("{:?}", drawn(seed)), format!("{:?}", drawn(seed)));
        }
    }

    #[test]
    fn every_request_can_be_understood() {
        for seed in 0..200 {
            let Workload { before, storm, .. } = drawn(seed);
            assert!(storm.iter().all(|(at, _)| (0.0..=1.0).contains(at)));
            for ask in before.iter().chain(storm.iter().map(|(_, ask)| ask)) {
                assert_eq!(ask.body.is_empty(), ["GET", "DELETE"].contains(&ask.method), "{ask:?}");
                assert!(ask.body.is_empty() || serde_json::from_str::<Value>(&ask.body).is_ok(), "{ask:?}");
                match &ask.wants {
                    Wants::Place { lines, customer_id, .. } => {
                        let skus: BTreeSet<&Sku> = lines.iter().map(|line| &line.0).collect();
                        assert!(skus.len() == lines.len() && (1..=MAX_LINES).contains(&lines.len()));
                        assert!(CustomerId::parse(customer_id).is_ok());
                    }
                    Wants::List { product_id, .. } => assert!(ProductId::parse(product_id).is_ok()),
                    Wants::Restock { lot_id, .. } => assert!(LotId::parse(lot_id).is_ok()),
                    _ => {}
                }
            }
        }
    }
}
