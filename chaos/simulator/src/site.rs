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
        /// A lot is announced through the compatibility API.
        CompatRestock = "POST /api/v1/inventory/restockSku",
        /// A customer is registered.
        Register = "POST /customers",
        /// A customer is erased.
        Erase = "DELETE /customers/{id}",
        /// A product is listed.
        List = "POST /products",
        /// A product gets another price.
        Reprice = "PATCH /products/{id}",
        /// A product is withdrawn.
        Withdraw = "DELETE /products/{id}",
        /// A key is made.
        MakeKey = "POST /keys",
        /// A key is revoked.
        Revoke = "DELETE /keys/{id}",
        /// It is found out who asks, before whatever else is asked.
        Authorizer = "authorizer",
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
    /// How much more often faults strike a call of it: what is seldom made would hardly ever be struck.
    pub fn bad_luck(self, call: Call) -> f32 {
        let seldom = match (self, call) {
            (Handler::Payments, Call::CancelIntent | Call::Refund) => 4.0,
            (Handler::Sweeper, Call::Nudge | Call::ReadStream) | (Handler::LogSweeper, Call::Nudge) => 4.0,
            // Only where orders expire.
            (Handler::LogSweeper, Call::ReadStream) => 12.0,
            // An order that expires.
            (Handler::LogSweeper, Call::Append) => 8.0,
            // A request is given up only where a store failed it.
            (Handler::CancelOrder, Call::GiveUp) => 40.0,
            (Handler::ChangeOrder, Call::GiveUp) => 10.0,
            (Handler::CancelOrder, Call::KeepAnswer) => 4.0,
            (Handler::Register | Handler::Restock | Handler::List | Handler::Reprice, Call::GiveUp) => 10.0,
            (Handler::Withdraw | Handler::Erase | Handler::MakeKey, Call::GiveUp) => 30.0,
            (Handler::Withdraw | Handler::Erase, Call::KeepAnswer) => 4.0,
            (Handler::Read, Call::CustomerList) => 6.0,
            // As in an audit.
            (
                Handler::Replay,
                Call::Scan
                | Call::Size
                | Call::Head
                | Call::Rows
                | Call::PutShadow
                | Call::Progress
                | Call::Discard,
            ) => 0.4,
            (Handler::Replay, Call::Counted) => 1_000.0,
            (Handler::Replay, Call::PutOrder) => 60.0,
            (Handler::Replay, Call::Follow) => 12.0,
            (Handler::Replay, Call::Adopt | Call::ReadStream | Call::Row) => 3.0,
            // Most of its calls; or it would hardly ever come to the end, where doubts are looked at again.
            (Handler::Audit, Call::Row | Call::LoadIntent) => 0.1,
            (Handler::Audit, Call::Counted) => 1_000.0,
            (Handler::Audit, Call::ReadStream) => 16.0,
            (Handler::Audit, Call::Rows) => 3.0,
            _ => 1.0,
        };
        seldom * self.own_luck()
    }

    fn own_luck(self) -> f32 {
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
            Handler::CompatRestock
            | Handler::Catalog
            | Handler::Register
            | Handler::List
            | Handler::Reprice
            | Handler::Withdraw => 4.0,
            // Few ask for it.
            Handler::Erase | Handler::Revoke | Handler::MakeKey => 12.0,
            // What is known is not asked for again.
            Handler::Authorizer => 2.0,
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
        /// [`event_store::Idempotency::claim`]
        Claim = "claim",
        /// [`event_store::Idempotency::keep`]
        KeepAnswer = "keep_answer",
        /// [`event_store::Idempotency::give_up`]
        GiveUp = "give_up",
        /// [`event_store::Keys::key`]
        Key = "key",
        /// [`event_store::Keys::add_key`]
        AddKey = "add_key",
        /// [`event_store::Keys::revoke_key`]
        RevokeKey = "revoke_key",
        /// [`event_store::Users::forget_customer`]
        ForgetCustomer = "forget_customer",
        /// [`event_store::Secrets::secret`]
        Secret = "secret",
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
        /// Whoever made the call hears nothing in time, or dies over it, and it has its effect later than that.
        Late = "late",
    }
}

impl Call {
    /// Whether it changes something, so that it can do so late.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Call::Append
                | Call::PutOrder
                | Call::PutCustomer
                | Call::PutPersonal
                | Call::PutProduct
                | Call::PutShadow
                | Call::Adopt
                | Call::Discard
                | Call::SaveIntent
                | Call::Charge
                | Call::CancelIntent
                | Call::Refund
                | Call::Claim
                | Call::KeepAnswer
                | Call::GiveUp
                | Call::AddKey
                | Call::RevokeKey
                | Call::ForgetCustomer
                | Call::Nudge
        )
    }
}

/// Calls that handlers make too seldom for every fault to strike them in a run of ordinary length. An audit reads a
/// ledger only where a counter that moved while the log was read also seems wrong: once in millions of orders. Whoever
/// makes a key reads the secret of its process once, and takes the key away again where its customer was erased in between.
pub const SELDOM: &[(Handler, Call)] = &[
    (Handler::Audit, Call::Ledger),
    (Handler::MakeKey, Call::Secret),
    (Handler::MakeKey, Call::ForgetCustomer),
];

/// Every other call that a handler makes in a storm: each of them is struck by every fault, or too little was run.
pub const SITES: &[(Handler, &[Call])] = &[
    (Handler::Orders, &[Call::Append, Call::ReadStream, Call::PutOrder]),
    (Handler::Inventory, &[Call::Append, Call::ReadStream, Call::ReadSlot]),
    (
        Handler::Payments,
        &[
            Call::Append,
            Call::ReadStream,
            Call::LoadIntent,
            Call::SaveIntent,
            Call::Charge,
            Call::CancelIntent,
            Call::Refund,
        ],
    ),
    (Handler::Catalog, &[Call::ReadStream, Call::PutCustomer, Call::PutProduct]),
    (Handler::Sweeper, &[Call::ReadStream, Call::OrderList, Call::Nudge]),
    (
        Handler::LogSweeper,
        &[
            Call::Append,
            Call::ReadStream,
            Call::Scan,
            Call::Order,
            Call::Customer,
            Call::Product,
            Call::Nudge,
        ],
    ),
    (
        Handler::PlaceOrder,
        &[
            Call::Append,
            Call::ReadStream,
            Call::ReadSlot,
            Call::Customer,
            Call::ProductBySku,
            Call::Product,
            Call::Claim,
            Call::KeepAnswer,
            Call::GiveUp,
        ],
    ),
    (Handler::CompatPlaceOrder, &[Call::Append]),
    (
        Handler::ChangeOrder,
        &[Call::Append, Call::ReadStream, Call::PutOrder, Call::Claim, Call::KeepAnswer, Call::GiveUp],
    ),
    (
        Handler::CancelOrder,
        &[Call::Append, Call::ReadStream, Call::PutOrder, Call::Claim, Call::KeepAnswer, Call::GiveUp],
    ),
    (Handler::Restock, &[Call::Append, Call::Claim, Call::KeepAnswer, Call::GiveUp]),
    (Handler::CompatRestock, &[Call::Append]),
    (
        Handler::Register,
        &[
            Call::Append,
            Call::ReadStream,
            Call::PutCustomer,
            Call::PutPersonal,
            Call::Customer,
            Call::Claim,
            Call::KeepAnswer,
            Call::GiveUp,
        ],
    ),
    (
        Handler::Erase,
        &[
            Call::Append,
            Call::ReadStream,
            Call::PutCustomer,
            Call::ForgetCustomer,
            Call::Claim,
            Call::KeepAnswer,
            Call::GiveUp,
        ],
    ),
    (
        Handler::List,
        &[
            Call::Append,
            Call::ReadStream,
            Call::PutProduct,
            Call::ProductBySku,
            Call::Claim,
            Call::KeepAnswer,
            Call::GiveUp,
        ],
    ),
    (
        Handler::Reprice,
        &[Call::Append, Call::ReadStream, Call::PutProduct, Call::Claim, Call::KeepAnswer, Call::GiveUp],
    ),
    (
        Handler::Withdraw,
        &[Call::Append, Call::ReadStream, Call::PutProduct, Call::Claim, Call::KeepAnswer, Call::GiveUp],
    ),
    (Handler::MakeKey, &[Call::ReadStream, Call::AddKey, Call::Claim, Call::KeepAnswer, Call::GiveUp]),
    (Handler::Revoke, &[Call::RevokeKey]),
    (Handler::Authorizer, &[Call::Key]),
    (Handler::RawEvent, &[Call::Append, Call::ReadStream]),
    (
        Handler::Read,
        &[
            Call::ReadStream,
            Call::Order,
            Call::Payment,
            Call::Delivery,
            Call::OrderList,
            Call::PaymentList,
            Call::Stock,
            Call::StockList,
            Call::Ledger,
            Call::Customer,
            Call::CustomerList,
            Call::Product,
            Call::ProductByName,
            Call::ProductList,
            Call::Secret,
        ],
    ),
    (
        Handler::Replay,
        &[
            Call::ReadStream,
            Call::Scan,
            Call::Size,
            Call::Follow,
            Call::Head,
            Call::PutOrder,
            Call::Counted,
            Call::Rows,
            Call::Row,
            Call::PutShadow,
            Call::Progress,
            Call::Adopt,
            Call::Discard,
        ],
    ),
    (
        Handler::Audit,
        &[
            Call::ReadStream,
            Call::Scan,
            Call::Size,
            Call::Stock,
            Call::StockList,
            Call::Counted,
            Call::Rows,
            Call::Row,
            Call::LoadIntent,
        ],
    ),
];
