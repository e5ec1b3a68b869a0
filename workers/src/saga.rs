//! The saga: which workers an event wakes. The templates' rules say the same; a test compares them.

use std::sync::Arc;

use event_store::{CatalogViews, EventLog, OrderViews, Stamper};
use events::EventName;

use crate::{Gateway, Reconcile, catalog, inventory, orders, payments};

/// A worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worker {
    /// Asks for an order's stock, and keeps the order's rows.
    Orders,
    /// Reserves, commits, releases and takes back stock; receives lots.
    Inventory,
    /// Charges, closes and refunds.
    Payments,
    /// Keeps the rows of customers and products.
    Catalog,
}

/// Who is woken by an event. A worker listens to every event that can make it owe something, and the
/// orders worker to every event that can change what an order's rows show.
pub fn listeners(event: EventName) -> &'static [Worker] {
    use Worker::{Catalog, Inventory, Orders, Payments};
    match event {
        // Payments too: where the placing comes last, it is what the payment was waiting for.
        EventName::OrderPlaced => &[Orders, Payments],
        EventName::ReserveInventory => &[Orders, Inventory],
        EventName::InventoryReserved => &[Orders, Payments],
        EventName::InventoryReservationFailed => &[Orders],
        EventName::PaymentAttempted => &[Orders],
        EventName::ManualPaymentRecorded => &[Orders, Payments],
        EventName::OrderPaymentAccepted => &[Orders, Inventory],
        EventName::OrderPaymentRejected => &[Orders, Inventory],
        EventName::InventoryCommitted => &[Orders],
        EventName::InventoryReleased => &[Orders],
        EventName::OrderCancelled => &[Orders, Inventory, Payments],
        EventName::OrderShipped => &[Orders],
        EventName::OrderDelivered => &[Orders],
        EventName::OrderPaymentRefunded => &[Orders],
        EventName::InventoryReturned => &[Orders],
        EventName::SkuRestocked => &[Inventory],
        EventName::StockReceived => &[],
        EventName::CustomerRegistered => &[Catalog],
        EventName::CustomerErased => &[Catalog],
        EventName::ProductListed => &[Catalog],
        EventName::ProductRepriced => &[Catalog],
        EventName::ProductWithdrawn => &[Catalog],
    }
}

impl Worker {
    /// Every worker.
    pub const ALL: [Worker; 4] = [Worker::Orders, Worker::Inventory, Worker::Payments, Worker::Catalog];

    /// The name of its binary, in the templates and in what it appends.
    pub fn binary(self) -> &'static str {
        match self {
            Worker::Orders => "orders-worker",
            Worker::Inventory => "inventory-worker",
            Worker::Payments => "payments-worker",
            Worker::Catalog => "catalog-worker",
        }
    }

    /// What it is for, in one sentence.
    pub fn does(self) -> &'static str {
        match self {
            Worker::Orders => "Asks for an order's stock, and keeps the order's rows.",
            Worker::Inventory => "Reserves, commits, releases and takes back stock; receives lots.",
            Worker::Payments => "Charges, closes and refunds.",
            Worker::Catalog => "Keeps the rows of customers and products.",
        }
    }

    /// The events that it appends.
    pub fn appends(self) -> &'static [EventName] {
        match self {
            Worker::Orders => &[EventName::ReserveInventory],
            Worker::Inventory => &[
                EventName::InventoryReserved,
                EventName::InventoryReservationFailed,
                EventName::InventoryCommitted,
                EventName::InventoryReleased,
                EventName::InventoryReturned,
                EventName::StockReceived,
            ],
            Worker::Payments => &[
                EventName::PaymentAttempted,
                EventName::OrderPaymentAccepted,
                EventName::OrderPaymentRejected,
                EventName::OrderPaymentRefunded,
            ],
            Worker::Catalog => &[],
        }
    }

    /// Finds a worker by its binary's name.
    pub fn of_binary(name: &str) -> Option<Worker> {
        Worker::ALL.into_iter().find(|worker| worker.binary() == name)
    }
}

/// What the workers need of the world.
#[derive(Clone)]
pub struct Ports {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Orders, payments and deliveries.
    pub orders: Arc<dyn OrderViews>,
    /// Customers and products.
    pub catalog: Arc<dyn CatalogViews>,
    /// Where money is taken.
    pub gateway: Arc<dyn Gateway>,
}

/// The workers, ready to be woken.
pub struct Workers {
    orders: orders::OrdersWorker,
    inventory: inventory::InventoryWorker,
    payments: payments::PaymentsWorker,
    catalog: catalog::CatalogWorker,
}

impl Workers {
    /// The workers over these ports; `stamper` gives each worker, by its binary's name, its clock and ids.
    pub fn new(ports: &Ports, stamper: impl Fn(&str) -> Arc<dyn Stamper>) -> Self {
        let Ports { log, orders, catalog, gateway } = ports;
        let stamper = |worker: Worker| stamper(worker.binary());
        Workers {
            orders: orders::OrdersWorker {
                log: log.clone(),
                views: orders.clone(),
                stamper: stamper(Worker::Orders),
            },
            inventory: inventory::InventoryWorker { log: log.clone(), stamper: stamper(Worker::Inventory) },
            payments: payments::PaymentsWorker {
                log: log.clone(),
                gateway: gateway.clone(),
                stamper: stamper(Worker::Payments),
            },
            catalog: catalog::CatalogWorker { log: log.clone(), views: catalog.clone() },
        }
    }

    /// One worker.
    pub fn get(&self, worker: Worker) -> &dyn Reconcile {
        match worker {
            Worker::Orders => &self.orders,
            Worker::Inventory => &self.inventory,
            Worker::Payments => &self.payments,
            Worker::Catalog => &self.catalog,
        }
    }
}
