//! What the rows of the read models look like to clients.

use auth::Principal;
use event_store::{
    CustomerRow, DeliveryRow, KeyRow, LedgerEntry, OrderRow, PaymentRow, Personal, ProductRow, StockRow,
    UserRow,
};
use events::{OrderLine, SkuRestocked, StockDelta};

use crate::shape;

shape! {
    "An order as it stands, folded from its events.",
    OrderRow as "Order" {
        order_id: "Names the order.",
        seen: "From how many events it was folded: its version, and the number in its ETag." = 6,
        status: "Where it stands.",
        customer_id: "Who placed it.",
        items: "What was ordered, each SKU once.",
        total: "What it costs." = 51,
        currency: "In which currency: ISO 4217.",
        priority: "Its lane through the queues.",
        open: "Whether something is still to come." = false,
        created_at: "When it was placed.",
        updated_at: "When the latest of its events was appended.",
    } perhaps {
        status_reason: "Why it is cancelled, if it is." = "reservation_failed",
        status_detail: "The reason in the words of who gave it." = "out_of_stock",
        pending: "Events that are in the log, and take effect only when what comes before them is there." = ["OrderShipped"],
    }
}

shape! {
    "One line of an order.",
    OrderLine as "OrderLine" {
        sku: "What.",
        quantity: "How many.",
    } perhaps {
        unit_price: "What one cost in the catalogue; missing where only the order's total is known.",
        name: "What the catalogue called it." = "Red teapot",
    }
}

shape! {
    "The payment of an order, from its first attempt on.",
    PaymentRow as "Payment" {
        order_id: "The order.",
        seen: "From how many events it was folded." = 5,
        status: "Where it stands.",
        amount: "How much." = 51,
        currency: "In which currency: ISO 4217.",
        attempts: "How often the gateway was to be asked.",
        retries: "How many attempts failed before the outcome, or so far." = 0,
        created_at: "When the first of its events was appended.",
        updated_at: "When the latest of its events was appended.",
    } perhaps {
        payment_id: "The gateway's id, or an operator's reference." = "pay-order-0001",
        by: "Who took the money.",
        reason: "Why it was rejected." = "attempts_exhausted",
    }
}

shape! {
    "The delivery of an order, from its payment on.",
    DeliveryRow as "Delivery" {
        order_id: "The order.",
        seen: "From how many events it was folded." = 6,
        status: "Where it stands.",
        created_at: "When it came to be.",
        updated_at: "When the latest of its events was appended.",
    } perhaps {
        carrier: "Who carries it." = "Parcels & Sons",
        tracking: "The carrier's number of the parcel." = "PS-4711",
    }
}

shape! {
    "What is known of a person. Nothing of it is in the log.",
    Personal as "Personal" {} perhaps {
        name: "Name." = "Anna",
        email: "Email address." = "anna@example.org",
        address: "Postal address." = "1 Teapot Lane",
    }
}

shape! {
    "A customer, and what is known of the person.",
    CustomerRow as "Customer" {
        customer_id: "Names the customer.",
        seen: "From how many events it was folded.",
        erased: "Whether the personal data was erased, for good." = false,
        created_at: "When the customer was registered.",
        updated_at: "When the latest of its events was appended.",
    } with personal
}

shape! {
    "An entry of the catalogue.",
    ProductRow as "Product" {
        product_id: "Names the product.",
        seen: "From how many events it was folded.",
        sku: "What is counted when it is sold.",
        name: "What it is called." = "Red teapot",
        price: "What one costs now.",
        currency: "In which currency: ISO 4217.",
        withdrawn: "Whether it can no longer be ordered." = false,
        created_at: "When it was listed.",
        updated_at: "When the latest of its events was appended.",
    }
}

shape! {
    "The counters of one SKU, in units. They move only in the write that appends the event which explains them.",
    StockRow as "Stock" {
        sku: "Whose counters.",
        available: "Can still be promised.",
        reserved: "Held for orders that are not settled." = 0,
        sold: "Sold." = 2,
        created_at: "When the first event that moved them was appended.",
        updated_at: "When the latest was.",
    }
}

shape! {
    "One movement of a SKU's counters, and the event that explains it.",
    LedgerEntry as "LedgerEntry" {
        event_id: "The event.",
        event_name: "Its name." = "InventoryReserved",
        pk: "The stream it stands in." = "EVENTS#ORDER_ID#order-0001",
        occurred_at: "When.",
        available: "Change of what can still be promised." = -2,
        reserved: "Change of what is held." = 2,
        sold: "Change of what was sold." = 0,
    }
}

shape! {
    "How the counters of one SKU moved.",
    StockDelta as "StockDelta" {
        sku: "Whose counters.",
    } perhaps {
        available: "Change of what can still be promised." = -2,
        reserved: "Change of what is held." = 2,
        sold: "Change of what was sold." = 2,
    }
}

shape! {
    "A lot that came in.",
    SkuRestocked as "Lot" {
        sku: "What.",
        units: "How many." = 10,
        lot_id: "Names the lot: the same lot is counted once.",
    }
}

shape! {
    "A user, as it may be shown.",
    UserRow as "User" {
        username: "What is typed at the login, in lower case." = "anna",
        user_id: "Stands for the user." = "usr-01arz3ndektsv4rrffq69g5fav",
        role: "What the user may ask for.",
        created_at: "When the user was registered.",
    } perhaps {
        customer_id: "Who the user is as a customer.",
    }
}

shape! {
    "An API key, as it may be shown.",
    KeyRow as "Key" {
        key_id: "Names the key; no secret." = "4f0a1c2b3d4e5f60",
        name: "What it is for." = "the packers",
        role: "What it may ask for.",
        created_at: "When it was made.",
    } perhaps {
        customer_id: "Whose orders.",
        revoked_at: "Since when it is good for nothing.",
    }
}

shape! {
    "Who asks.",
    Principal as "Principal" {
        id: "A user, a key, or anyone where nobody is asked." = "key:4f0a1c2b3d4e5f60",
    } perhaps {
        role: "What they may ask for.",
        customer_id: "Who they are as a customer.",
    }
}
