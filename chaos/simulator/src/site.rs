//! Where a fault can strike: which handler, at which call of a port.

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Finds one by what it is called.
            pub fn parse(text: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.name() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// Whose code runs.
    Handler {
        /// The orders worker.
        Orders = "orders-worker",
        /// The inventory worker.
        Inventory = "inventory-worker",
        /// The payments worker.
        Payments = "payments-worker",
        /// The catalog worker.
        Catalog = "catalog-worker",
        /// The sweeper.
        Sweeper = "oms-sweeper",
        /// The sweeper of the whole log.
        LogSweeper = "oms-log-sweeper",
        /// An order is placed.
        PlaceOrder = "POST /orders",
        /// An order is placed through the compatibility API.
        CompatPlaceOrder = "POST /api/v1/orders/placeOrder",
        /// An order is shipped, delivered, cancelled or recorded as paid.
        ChangeOrder = "PATCH /orders/{id}",
        /// An order is cancelled.
        CancelOrder = "DELETE /orders/{id}",
        /// A lot is announced.
        Restock = "POST /inventory/restocks",
        /// A customer is registered.
        Register = "POST /customers",
        /// A product is listed.
        List = "POST /products",
        /// A product is withdrawn.
        Withdraw = "DELETE /products/{id}",
        /// An event is forged.
        RawEvent = "POST /chaos/raw-events",
        /// Something is read.
        Read = "GET",
        /// A read model is rebuilt.
        Replay = "replay",
        /// Everything is compared with the log.
        Audit = "audit",
    }
}

impl Handler {
    /// How much more often faults strike it: what is seldom called would hardly ever be struck.
    pub fn bad_luck(self) -> f32 {
        match self {
            Handler::Orders
            | Handler::Inventory
            | Handler::Payments
            | Handler::PlaceOrder
            | Handler::CompatPlaceOrder
            | Handler::ChangeOrder
            | Handler::CancelOrder
            | Handler::Restock
            | Handler::RawEvent
            | Handler::Read => 1.0,
            Handler::Catalog | Handler::Register | Handler::List | Handler::Withdraw => 4.0,
            // They make many calls each, and should come to their end most of the time.
            Handler::Sweeper | Handler::LogSweeper | Handler::Replay | Handler::Audit => 2.0,
        }
    }
}

named! {
    /// A call of a port.
    Call {
        /// [`event_store::EventLog::append`]
        Append = "append",
        /// [`event_store::EventLog::read_stream`]
        ReadStream = "read_stream",
        /// [`event_store::EventLog::read_slot`]
        ReadSlot = "read_slot",
        /// [`event_store::LogScan::scan`]
        Scan = "scan",
        /// [`event_store::LogScan::size`]
        Size = "size",
        /// [`event_store::ChangeFeed::follow`]
        Follow = "follow",
        /// [`event_store::ChangeFeed::head`]
        Head = "head",
        /// [`event_store::OrderViews::put`]
        PutOrder = "put_order",
        /// [`event_store::OrderViews::order`]
        Order = "order",
        /// [`event_store::OrderViews::payment`]
        Payment = "payment",
        /// [`event_store::OrderViews::delivery`]
        Delivery = "delivery",
        /// [`event_store::OrderViews::orders`]
        OrderList = "orders",
        /// [`event_store::OrderViews::payments`]
        PaymentList = "payments",
        /// [`event_store::StockViews::stock`]
        Stock = "stock",
        /// [`event_store::StockViews::stocks`]
        StockList = "stocks",
        /// [`event_store::StockViews::counted`]
        Counted = "counted",
        /// [`event_store::StockViews::ledger`]
        Ledger = "ledger",
        /// [`event_store::CatalogViews::put_customer`]
        PutCustomer = "put_customer",
        /// [`event_store::CatalogViews::put_personal`]
        PutPersonal = "put_personal",
        /// [`event_store::CatalogViews::customer`]
        Customer = "customer",
        /// [`event_store::CatalogViews::customers`]
        CustomerList = "customers",
        /// [`event_store::CatalogViews::put_product`]
        PutProduct = "put_product",
        /// [`event_store::CatalogViews::product`]
        Product = "product",
        /// [`event_store::CatalogViews::product_by_sku`]
        ProductBySku = "product_by_sku",
        /// [`event_store::CatalogViews::product_by_name`]
        ProductByName = "product_by_name",
        /// [`event_store::CatalogViews::products`]
        ProductList = "products",
        /// [`event_store::ShadowViews::rows`]
        Rows = "rows",
        /// [`event_store::ShadowViews::row`]
        Row = "row",
        /// [`event_store::ShadowViews::put_shadow`]
        PutShadow = "put_shadow",
        /// [`event_store::ShadowViews::progress`]
        Progress = "progress",
        /// [`event_store::ShadowViews::adopt`]
        Adopt = "adopt",
        /// [`event_store::ShadowViews::discard`]
        Discard = "discard",
        /// [`event_store::IntentStore::load`]
        LoadIntent = "load_intent",
        /// [`event_store::IntentStore::save`]
        SaveIntent = "save_intent",
        /// [`workers::Gateway::charge`]
        Charge = "charge",
        /// [`workers::Gateway::cancel`]
        CancelIntent = "cancel_intent",
        /// [`workers::Gateway::refund`]
        Refund = "refund",
        /// [`workers::Nudges::nudge`]
        Nudge = "nudge",
    }
}

named! {
    /// What happens to a call.
    Fault {
        /// It takes long enough to run into a time-out.
        Slow = "slow",
        /// The process ends before the call has its effect.
        CrashBefore = "crash_before",
        /// The process ends after the call had its effect.
        CrashAfter = "crash_after",
        /// The call has its effect, and the caller is told that it failed.
        LostAnswer = "lost_answer",
        /// The call is refused for now, without effect.
        Throttled = "throttled",
    }
}
