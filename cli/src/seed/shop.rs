//! The shop that `sagaline seed` opens: who buys there, what there is, and what became of each order.
//!
//! Nobody in it is real: names and addresses are such as nobody has, domains such as RFC 2606 keeps for examples.

use events::Slot;
use orders::{Status, StatusReason};
use serde_json::{Value, json};

/// Somebody who buys.
pub struct Customer {
    pub id: &'static str,
    pub name: &'static str,
}

/// Something to buy, and the lots of it that came in. Its SKU is its product's id.
pub struct Product {
    pub sku: &'static str,
    pub name: &'static str,
    pub price: f64,
    pub lots: &'static [(&'static str, u64)],
}

/// An order, what is done to it, and how it stands when nothing more happens.
pub struct Order {
    pub id: &'static str,
    pub customer: &'static str,
    pub items: &'static [(&'static str, u64)],
    pub express: bool,
    pub held: Option<Hold>,
    pub changes: &'static [Change],
    pub stands: Stands,
    pub shows: &'static str,
}

/// A state, and why it was cancelled if it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stands(pub Status, pub Option<StatusReason>);

/// A raw event in a slot that a worker needs. No order stands still before it has ended unless something is in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Stock cannot be asked for.
    Stock,
    /// The gateway cannot be asked for money.
    Money,
}

/// What somebody does to an order that has come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Money that did not come through the gateway.
    Paid {
        reference: &'static str,
    },
    Shipped {
        carrier: &'static str,
        tracking: &'static str,
    },
    Delivered,
    Cancelled {
        reason: &'static str,
    },
}

impl Hold {
    /// The slot that the raw event stands in.
    pub fn slot(self) -> Slot {
        match self {
            Hold::Stock => Slot::ReserveInventory,
            Hold::Money => Slot::PaymentAttempt(1),
        }
    }

    /// How an order stands that it holds.
    pub fn stands(self) -> Status {
        match self {
            Hold::Stock => Status::PendingInventory,
            Hold::Money => Status::Confirmed,
        }
    }
}

impl Change {
    /// The state that it leads to.
    pub fn status(self) -> Status {
        match self {
            Change::Paid { .. } => Status::Paid,
            Change::Shipped { .. } => Status::Shipped,
            Change::Delivered => Status::Delivered,
            Change::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// The body of its request.
    pub fn request(self) -> Value {
        let status = self.status();
        match self {
            Change::Paid { reference } => json!({ "status": status, "reference": reference }),
            Change::Shipped { carrier, tracking } => {
                json!({ "status": status, "carrier": carrier, "tracking": tracking })
            }
            Change::Delivered => json!({ "status": status }),
            Change::Cancelled { reason } => json!({ "status": status, "reason": reason }),
        }
    }
}

impl Customer {
    /// The body of the request that registers them.
    pub fn request(&self) -> Value {
        let Customer { id, name } = self;
        let first = name.split(' ').next().unwrap_or(name).to_lowercase();
        json!({
            "customer_id": id, "name": name, "email": format!("{first}@example.org"),
            "address": format!("{name}\n1 Example Street\n00000 Exampleton"),
        })
    }
}

impl Product {
    /// The body of the request that lists it.
    pub fn request(&self) -> Value {
        json!({
            "product_id": self.sku, "sku": self.sku, "name": self.name, "price": self.price,
            "currency": "EUR",
        })
    }
}

impl Order {
    /// The body of the request that places it.
    pub fn request(&self) -> Value {
        let items: Vec<Value> =
            self.items.iter().map(|(sku, units)| json!({ "sku": sku, "quantity": units })).collect();
        let priority = if self.express { "express" } else { "standard" };
        json!({ "order_id": self.id, "customer_id": self.customer, "items": items, "priority": priority })
    }
}

pub const CUSTOMERS: [Customer; 4] = [
    Customer { id: "shop-ada", name: "Ada Example" },
    Customer { id: "shop-ben", name: "Ben Example" },
    Customer { id: "shop-cem", name: "Cem Example" },
    Customer { id: "shop-dora", name: "Dora Example" },
];

pub const PRODUCTS: [Product; 6] = [
    Product {
        sku: "SHOP-EARL-GREY",
        name: "Earl Grey, 100 g",
        price: 7.5,
        lots: &[("shop-may", 60), ("shop-june", 40)],
    },
    Product { sku: "SHOP-SENCHA", name: "Sencha, 100 g", price: 9.8, lots: &[("shop-may", 50)] },
    Product { sku: "SHOP-TEAPOT", name: "Teapot, 1.2 l", price: 34.0, lots: &[("shop-may", 12)] },
    Product { sku: "SHOP-CUP", name: "Cup, blue", price: 6.2, lots: &[("shop-may", 48)] },
    Product {
        sku: "SHOP-WHITE-TEA",
        name: "White tea of one tree, 20 g",
        price: 98.0,
        lots: &[("shop-may", 2)],
    },
    // The built-in gateway takes less than 100,000.
    Product {
        sku: "SHOP-SAMOVAR",
        name: "Samovar, gilt, of 1889",
        price: 120_000.0,
        lots: &[("shop-may", 1)],
    },
];

const NOTHING: Order = Order {
    id: "",
    customer: "",
    items: &[],
    express: false,
    held: None,
    changes: &[],
    stands: Stands(Status::Paid, None),
    shows: "",
};

const PARCEL: Change = Change::Shipped { carrier: "Example Post", tracking: "EX-0000-0001" };

/// In the order in which they are placed.
pub const ORDERS: [Order; 11] = [
    Order {
        id: "shop-delivered",
        customer: "shop-ada",
        items: &[("SHOP-TEAPOT", 1), ("SHOP-CUP", 4), ("SHOP-EARL-GREY", 2)],
        changes: &[PARCEL, Change::Delivered],
        stands: Stands(Status::Delivered, None),
        shows: "all the way: paid, shipped, delivered",
        ..NOTHING
    },
    Order {
        id: "shop-shipped",
        customer: "shop-ben",
        items: &[("SHOP-SENCHA", 3)],
        changes: &[Change::Shipped { carrier: "Example Post", tracking: "EX-0000-0002" }],
        stands: Stands(Status::Shipped, None),
        shows: "its parcel is on the way",
        ..NOTHING
    },
    Order {
        id: "shop-paid",
        customer: "shop-ada",
        items: &[("SHOP-EARL-GREY", 5)],
        shows: "what most orders are a moment after they were placed",
        ..NOTHING
    },
    Order {
        id: "shop-paid-express",
        customer: "shop-cem",
        items: &[("SHOP-CUP", 2)],
        express: true,
        shows: "the same through the express lane",
        ..NOTHING
    },
    Order {
        id: "shop-paid-by-transfer",
        customer: "shop-dora",
        items: &[("SHOP-TEAPOT", 2)],
        held: Some(Hold::Money),
        changes: &[Change::Paid { reference: "bank transfer 2026-0117" }],
        shows: "paid by another way than the gateway, as an operator recorded",
        ..NOTHING
    },
    Order {
        id: "shop-out-of-stock",
        customer: "shop-cem",
        items: &[("SHOP-EARL-GREY", 1), ("SHOP-WHITE-TEA", 3)],
        stands: Stands(Status::Cancelled, Some(StatusReason::ReservationFailed)),
        shows: "two on the shelf, three ordered: all or nothing",
        ..NOTHING
    },
    Order {
        id: "shop-rejected",
        customer: "shop-ben",
        items: &[("SHOP-SAMOVAR", 1)],
        stands: Stands(Status::Cancelled, Some(StatusReason::PaymentRejected)),
        shows: "more than the gateway takes; the samovar went back to the shelf",
        ..NOTHING
    },
    Order {
        id: "shop-cancelled-unpaid",
        customer: "shop-dora",
        items: &[("SHOP-CUP", 6)],
        held: Some(Hold::Money),
        changes: &[Change::Cancelled { reason: "ordered twice" }],
        stands: Stands(Status::Cancelled, Some(StatusReason::CancelledOnRequest)),
        shows: "cancelled before it was paid: the cups were released",
        ..NOTHING
    },
    Order {
        id: "shop-refunded",
        customer: "shop-ada",
        items: &[("SHOP-SENCHA", 2), ("SHOP-TEAPOT", 1)],
        changes: &[Change::Cancelled { reason: "the teapot was a present" }],
        stands: Stands(Status::Cancelled, Some(StatusReason::CancelledOnRequest)),
        shows: "cancelled after it was paid: money and goods went back",
        ..NOTHING
    },
    Order {
        id: "shop-confirmed",
        customer: "shop-ben",
        items: &[("SHOP-TEAPOT", 1)],
        held: Some(Hold::Money),
        stands: Stands(Status::Confirmed, None),
        shows: "reserved, and a raw event keeps the gateway from being asked",
        ..NOTHING
    },
    Order {
        id: "shop-pending",
        customer: "shop-cem",
        items: &[("SHOP-SENCHA", 1)],
        held: Some(Hold::Stock),
        stands: Stands(Status::PendingInventory, None),
        shows: "placed, and a raw event keeps its stock from being asked for",
        ..NOTHING
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn some_order_stands_in_every_state_and_one_is_cancelled_for_each_reason() {
        let states: BTreeSet<Status> = ORDERS.iter().map(|order| order.stands.0).collect();
        assert_eq!(states, Status::ALL.into());
        let reasons: BTreeSet<StatusReason> = ORDERS.iter().filter_map(|order| order.stands.1).collect();
        let every = [
            StatusReason::CancelledOnRequest,
            StatusReason::ReservationFailed,
            StatusReason::PaymentRejected,
        ];
        assert_eq!(reasons, every.into());
    }

    #[test]
    fn whoever_orders_is_a_customer_and_what_is_ordered_is_a_product() {
        for order in &ORDERS {
            assert!(CUSTOMERS.iter().any(|customer| customer.id == order.customer), "{}", order.id);
            for (sku, _) in order.items {
                assert!(PRODUCTS.iter().any(|product| product.sku == *sku), "{}: {sku}", order.id);
            }
        }
    }

    #[test]
    fn nobody_in_the_shop_is_real() {
        for customer in &CUSTOMERS {
            let said = customer.request();
            assert!(customer.name.ends_with(" Example"), "{said}");
            assert!(said["email"].as_str().unwrap().ends_with("@example.org"), "{said}");
            assert!(said["address"].as_str().unwrap().ends_with("Exampleton"), "{said}");
        }
    }
}
