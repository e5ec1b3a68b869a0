//! Clients that ask for anything at any time: colliding ids, hot SKUs, cancellations, forged events.

use events::{OrderId, Sku};
use serde_json::{Value, json};

use super::Workload;
use crate::ask::{Ask, Change, Line, Wants};
use crate::swarm::Swarm;

/// Draws the clients of one run.
pub(super) fn draw(rng: &mut fastrand::Rng, swarm: &Swarm) -> Workload {
    let orders = [3, 10, 40, 120][rng.usize(..4)];
    let mut clients = Clients { rng, swarm, workload: Workload::default(), orders: Vec::new() };
    clients.furnish(orders);
    for number in 0..orders {
        clients.order(number);
        if clients.rng.f32() < swarm.raw_events / 4.0 {
            clients.told_of_something_else();
        }
    }
    clients.look_around(orders / 4);
    clients.workload
}

struct Clients<'a> {
    rng: &'a mut fastrand::Rng,
    swarm: &'a Swarm,
    workload: Workload,
    /// What was placed, so that it can be placed again with the same or with other content.
    orders: Vec<(OrderId, Ask)>,
}

const CUSTOMERS: usize = 5;

fn sku(number: usize) -> Sku {
    Sku::parse(&format!("sku-{number}")).expect("a plain id")
}

fn order_id(number: usize) -> OrderId {
    OrderId::parse(&format!("order-{number}")).expect("a plain id")
}

impl Clients<'_> {
    fn furnish(&mut self, orders: usize) {
        for customer in 0..CUSTOMERS {
            self.workload.before.push(Ask::register(&format!("customer-{customer}")));
        }
        let each = (orders * 2 / self.swarm.skus).max(1) as u32;
        for number in 0..self.swarm.skus {
            // Prices that a binary fraction cannot hold, and a few that no gateway takes.
            let minor = match self.rng.u8(..24) {
                0 => 0,
                1 => 9_999_999,
                _ => self.rng.i64(1..20_000),
            };
            let (sku, product) = (sku(number), format!("product-{number}"));
            self.workload.before.push(Ask::list(&product, &sku, &format!("A thing, no. {number}"), minor));
            let lots = self.rng.u32(..3);
            for lot in 0..lots {
                let units = self.rng.u32(1..=each * 2);
                let ask = Ask::restock(&sku, units, &format!("lot-{lot}"));
                if self.rng.bool() {
                    self.workload.before.push(ask);
                } else {
                    self.restock_in_the_storm(ask, &sku, units, lot);
                }
            }
        }
    }

    fn restock_in_the_storm(&mut self, ask: Ask, sku: &Sku, units: u32, lot: u32) {
        let at = self.rng.f32();
        self.at(at, ask);
        if self.collides() {
            let later = self.later(at);
            let other = units + self.rng.u32(..2);
            let older = self.rng.u8(..3) == 0;
            let again = if older { Ask::compat_restock } else { Ask::restock };
            self.at(later, again(sku, other, &format!("lot-{lot}")));
        }
    }

    fn at(&mut self, at: f32, ask: Ask) {
        self.workload.storm.push((at, ask));
    }

    fn later(&mut self, than: f32) -> f32 {
        than + (1.0 - than) * self.rng.f32() * self.rng.f32()
    }

    fn collides(&mut self) -> bool {
        self.rng.f32() < self.swarm.collisions
    }

    fn lines(&mut self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for _ in 0..1 + self.rng.usize(..3) {
            let sku = sku(self.rng.usize(..self.swarm.skus));
            if lines.iter().all(|(known, _)| *known != sku) {
                lines.push((sku, self.rng.u32(1..4)));
            }
        }
        lines
    }

    fn customer(&mut self) -> String {
        // Now and then nobody knows who that is.
        let of = if self.rng.u8(..40) == 0 { 99 } else { CUSTOMERS };
        format!("customer-{}", self.rng.usize(..of))
    }

    fn order(&mut self, number: usize) {
        let at = self.rng.f32();
        if self.rng.f32() < self.swarm.raw_events {
            return self.told_by_hand(number, at);
        }
        let id = order_id(number);
        let (customer, lines, express) = (self.customer(), self.lines(), self.rng.u8(..5) == 0);
        let nameless = self.rng.u8(..12) == 0;
        let mut ask = Ask::place((!nameless).then_some(&id), &customer, &lines, express);
        if self.rng.u8(..16) == 0 {
            ask = ask.with("prefer", "wait=5");
        }
        self.at(at, ask.clone());
        if nameless {
            return;
        }
        self.orders.push((id.clone(), ask));
        if self.collides() {
            self.place_again(at);
        }
        self.change(&id, at);
    }

    /// Somebody takes an id that is taken: with the same content, or with another.
    fn place_again(&mut self, at: f32) {
        let (id, same) = self.orders[self.rng.usize(..self.orders.len())].clone();
        let again = if self.rng.bool() {
            same
        } else {
            let (customer, lines) = (self.customer(), self.lines());
            Ask::place(Some(&id), &customer, &lines, self.rng.bool())
        };
        let later = self.later(at);
        self.at(later, again);
    }

    /// What becomes of an order: most are shipped, many cancelled, at any time, by anybody.
    fn change(&mut self, id: &OrderId, at: f32) {
        if self.rng.u8(..4) == 0 {
            let when = if self.rng.u8(..5) == 0 { self.rng.f32() } else { self.later(at) };
            let ask = if self.rng.bool() { Ask::cancel(id) } else { Ask::change(id, Change::Cancelled) };
            let ask = self.presupposing(ask);
            self.at(when, ask);
        }
        if self.rng.u8(..12) == 0 {
            let when = self.later(at);
            self.at(when, Ask::change(id, Change::Paid));
        }
        if self.rng.u8(..3) > 0 {
            let when = self.later(at);
            let ask = self.presupposing(Ask::change(id, Change::Shipped));
            self.at(when, ask);
            let then = self.later(when);
            self.at(then, Ask::change(id, Change::Delivered));
        }
        if self.rng.u8(..3) == 0 {
            let when = self.later(at);
            let mut ask = Ask::read(format!("/orders/{id}"));
            ask.wants = Wants::ReadOrder { order_id: id.clone() };
            if self.rng.u8(..8) == 0 {
                ask = ask.with("prefer", "wait=2");
            }
            self.at(when, ask);
        }
    }

    /// Now and then a client says which version of the order it means.
    fn presupposing(&mut self, ask: Ask) -> Ask {
        match self.rng.u8(..12) {
            0 => ask.with("if-match", "*"),
            1 => ask.with("if-match", format!("\"{}\"", self.rng.u8(1..8))),
            _ => ask,
        }
    }

    fn look_around(&mut self, looks: usize) {
        for _ in 0..looks {
            let (order, sku) = (self.rng.usize(..looks * 4), self.rng.usize(..self.swarm.skus));
            if self.rng.u8(..5) == 0 {
                let (at, ask) = (self.rng.f32(), self.ask_otherwise(order, sku));
                self.at(at, ask);
                continue;
            }
            let path = match self.rng.u8(..10) {
                0 => "/orders?limit=7".to_owned(),
                1 => "/orders?status=CANCELLED".to_owned(),
                2 => format!("/customers/customer-{}/orders", order % CUSTOMERS),
                3 => format!("/orders/order-{order}/events"),
                4 => format!("/orders/order-{order}/payments"),
                5 => format!("/orders/order-{order}/deliveries"),
                6 => "/inventory/skus".to_owned(),
                7 => format!("/inventory/skus/sku-{sku}/ledger"),
                8 => "/products?limit=3".to_owned(),
                _ => format!("/customers/customer-{}", order % CUSTOMERS),
            };
            let at = self.rng.f32();
            self.at(at, Ask::read(path));
        }
        for newcomer in 0..self.rng.usize(..4) {
            let (at, later) = (self.rng.f32() * 0.5, self.rng.f32() * 0.5 + 0.5);
            let (sku, product) = (sku(100 + newcomer), format!("product-{}", 100 + newcomer));
            let name = format!("customer-{}", 100 + newcomer);
            let one = if newcomer == 1 { Ask::register(&name) } else { Ask::register_person(&name, "Ann") };
            self.at(at, one);
            if newcomer == 0 {
                // Somebody else at the same time.
                self.at(at, Ask::register_person(&name, "Bea"));
            }
            if self.collides() {
                let again = self.later(at);
                let called = if self.rng.bool() { "Ann" } else { "Anna" };
                self.at(again, Ask::register_person(&name, called));
            }
            self.at(at, Ask::list(&product, &sku, "A new thing", 1_999));
            self.at(at, Ask::restock(&sku, 3, "lot-1"));
            let customer = format!("customer-{}", 100 + newcomer);
            self.at(later, Ask::place(None, &customer, &[(sku, 2)], false));
        }
        if self.rng.u8(..3) == 0 {
            let (at, product) = (self.rng.f32(), self.rng.usize(..self.swarm.skus));
            self.at(at, Ask::withdraw(&format!("product-{product}")));
        }
    }

    /// What is asked seldom.
    fn ask_otherwise(&mut self, order: usize, sku: usize) -> Ask {
        match self.rng.u8(..9) {
            0 => {
                let body = format!(r#"{{"items":[{{"sku":"sku-{sku}","quantity":2}}]}}"#);
                Ask::send("POST", "/inventory/check", body, Wants::Read)
            }
            1 => Ask::read(format!("/products/name/A%20thing,%20no.%20{sku}")),
            2 => Ask::read("/customers?limit=2"),
            3 => Ask::compat_read("orders/listOrders", &json!({ "limit": 5 })),
            4 => Ask::compat_read("orders/listOrders", &json!({ "orderId": order_id(order) })),
            5 => Ask::compat_read(
                "payments/listOrderPayments",
                &json!({ "limit": 5, "sortDirection": "desc" }),
            ),
            6 => Ask::compat_read("inventory/listSkus", &json!({})),
            7 => Ask::compat_read("inventory/listSkus", &json!({ "sku": format!("sku-{sku}") })),
            _ => Ask::read(format!("/inventory/skus/sku-{sku}")),
        }
    }

    /// An event that somebody writes by hand into a stream that is no order's.
    fn told_of_something_else(&mut self) {
        let (at, n) = (self.rng.f32(), self.rng.u8(..4));
        let sku = format!("sku-{}", self.rng.usize(..self.swarm.skus));
        let lot = json!({ "sku": sku, "units": self.rng.u32(1..9), "lotId": format!("raw-{n}") });
        let nonsense = Value::from("{ this is no JSON");
        let lot = if self.rng.u8(..4) == 0 { &nonsense } else { &lot };
        let (pk, sk, name, data) = match self.rng.u8(..5) {
            0 | 1 => {
                let sk = format!("EVENT#SkuRestocked#LOT_ID#raw-{n}");
                (format!("EVENTS#SKU#{sku}"), sk, "SKU_RESTOCKED_EVENT", lot.clone())
            }
            2 => {
                let data = json!({ "customer_id": "customer-0" });
                ("EVENTS#CUSTOMER_ID#customer-0".into(), format!("EVENT#Noted#{n}"), "CustomerNoted", data)
            }
            3 => {
                let data = json!({ "customer_id": format!("customer-{}", 90 + n) });
                let pk = format!("EVENTS#CUSTOMER_ID#customer-{}", 90 + n);
                (pk, "EVENT#CustomerRegistered".into(), "CustomerRegistered", data)
            }
            _ => ("EVENTS#PRODUCT_ID#product-0".into(), format!("EVENT#Noted#{n}"), "ProductNoted", nonsense),
        };
        self.at(at, Ask::raw(&pk, &sk, name, &data));
    }

    /// An order whose story, or a part of it, is written by hand: in an older system's words, in any
    /// order, twice, or as nonsense.
    fn told_by_hand(&mut self, number: usize, at: f32) {
        let id = order_id(number);
        let sku = sku(self.rng.usize(..self.swarm.skus));
        let flat = json!({
            "orderId": id, "sku": sku, "units": self.rng.u32(1..4),
            "price": f64::from(self.rng.u32(1..100_000)) / 100.0, "userId": "customer-0",
        });
        if self.rng.bool() {
            let wants = Wants::CompatPlace { order_id: id.clone() };
            self.at(at, Ask::send("POST", "/api/v1/orders/placeOrder", flat.to_string(), wants));
            self.change(&id, at);
            if self.rng.u8(..3) > 0 {
                return;
            }
        }
        let mut story: Vec<(&str, &str)> = STORY.to_vec();
        self.rng.shuffle(&mut story);
        story.truncate(self.rng.usize(1..=story.len()));
        let pk = format!("EVENTS#ORDER_ID#{id}");
        for (name, slot) in story {
            let when = self.later(at);
            let wrong_slot = self.rng.u8(..10) == 0;
            let slot = if wrong_slot { SLOTS[self.rng.usize(..SLOTS.len())] } else { slot };
            let data = match self.rng.u8(..10) {
                0 => Value::from("{ this is no JSON"),
                1 => json!({ "orderId": "order-0" }),
                _ => flat.clone(),
            };
            let ask = Ask::raw(&pk, slot, name, &data);
            if self.rng.u8(..4) == 0 {
                let again = self.later(when);
                self.at(again, ask.clone());
            }
            self.at(when, ask);
        }
    }
}

/// What an older system's clients write, and where.
const STORY: [(&str, &str); 12] = [
    ("ORDER_PLACED_EVENT", "EVENT#OrderPlaced"),
    ("ORDER_CREATED_EVENT", "EVENT#ReserveInventory"),
    ("ORDER_STOCK_ALLOCATED_EVENT", "EVENT#Reservation"),
    ("ORDER_STOCK_DEPLETED_EVENT", "EVENT#Reservation"),
    ("ORDER_PAYMENT_ACCEPTED_EVENT", "EVENT#Payment"),
    ("ORDER_PAYMENT_REJECTED_EVENT", "EVENT#Payment"),
    ("ORDER_CANCELED_EVENT", "EVENT#Closing"),
    ("ORDER_SHIPPED_EVENT", "EVENT#Closing"),
    ("ORDER_DELIVERED_EVENT", "EVENT#Delivery"),
    ("OrderPaymentRefunded", "EVENT#Refund"),
    ("ORDER_FORGOTTEN_EVENT", "EVENT#Forgotten"),
    ("InventoryCommitted", "EVENT#Settlement"),
];

/// Where an event that belongs elsewhere may come to stand.
const SLOTS: [&str; 6] = [
    "EVENT#Reservation",
    "EVENT#Payment",
    "EVENT#Settlement",
    "EVENT#PaymentAttempt#1",
    "EVENT#Anything",
    "EVENT#Refund",
];
