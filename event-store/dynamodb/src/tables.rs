//! The names of the tables.

use event_store::View;

/// The name of each table; empty for one that a function has nothing to do with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// The log.
    pub events: String,
    /// Orders.
    pub orders: String,
    /// Payments.
    pub payments: String,
    /// Deliveries.
    pub deliveries: String,
    /// Customers.
    pub customers: String,
    /// Products.
    pub products: String,
    /// Counters.
    pub stock: String,
    /// Their movements.
    pub stock_ledger: String,
    /// The gateway's intents.
    pub intents: String,
    /// What a replay builds.
    pub shadow: String,
    /// Those who may ask.
    pub users: String,
    /// Answers that were given, and what was tried lately.
    pub idempotency: String,
}

impl Tables {
    /// The names that the templates give a function: `EVENT_TABLE`, `ORDER_TABLE` and so on.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Tables {
        let name = |of: &str| variable(of).unwrap_or_default();
        Tables {
            events: name("EVENT_TABLE"),
            orders: name("ORDER_TABLE"),
            payments: name("PAYMENT_TABLE"),
            deliveries: name("DELIVERY_TABLE"),
            customers: name("CUSTOMER_TABLE"),
            products: name("PRODUCT_TABLE"),
            stock: name("STOCK_TABLE"),
            stock_ledger: name("STOCK_LEDGER_TABLE"),
            intents: name("PAYMENT_INTENT_TABLE"),
            shadow: name("SHADOW_TABLE"),
            users: name("USER_TABLE"),
            idempotency: name("IDEMPOTENCY_TABLE"),
        }
    }

    /// The names that the templates give the tables, behind a prefix: `<prefix>EventTable`.
    pub fn prefixed(prefix: &str) -> Tables {
        Tables::named(|table| format!("{prefix}{table}"))
    }

    /// The tables by the names that the templates give them: `EventTable`, `OrderTable` and so on.
    pub fn named(mut name: impl FnMut(&str) -> String) -> Tables {
        Tables {
            events: name("EventTable"),
            orders: name("OrderTable"),
            payments: name("PaymentTable"),
            deliveries: name("DeliveryTable"),
            customers: name("CustomerTable"),
            products: name("ProductTable"),
            stock: name("StockTable"),
            stock_ledger: name("StockLedgerTable"),
            intents: name("PaymentIntentTable"),
            shadow: name("ShadowTable"),
            users: name("UserTable"),
            idempotency: name("IdempotencyTable"),
        }
    }

    /// The table of a read model's live rows.
    pub(crate) fn of(&self, view: View) -> &str {
        match view {
            View::Orders => &self.orders,
            View::Payments => &self.payments,
            View::Deliveries => &self.deliveries,
            View::Customers => &self.customers,
            View::Products => &self.products,
            View::Stock => &self.stock,
        }
    }
}
