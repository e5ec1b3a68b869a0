//! Which requests append which events. What a request of the raw event API appends is anything at all.

use events::EventName;

/// Each event that a request appends: the event, the method, and the path as [`crate::routes`] has it.
pub const APPENDS: &[(EventName, &str, &str)] = &[
    (EventName::OrderPlaced, "POST", "/orders"),
    (EventName::OrderPlaced, "POST", "/api/v1/orders/placeOrder"),
    (EventName::ManualPaymentRecorded, "PATCH", "/orders/{id}"),
    (EventName::OrderShipped, "PATCH", "/orders/{id}"),
    (EventName::OrderDelivered, "PATCH", "/orders/{id}"),
    (EventName::OrderCancelled, "PATCH", "/orders/{id}"),
    (EventName::OrderCancelled, "DELETE", "/orders/{id}"),
    (EventName::SkuRestocked, "POST", "/inventory/restocks"),
    (EventName::SkuRestocked, "POST", "/api/v1/inventory/restockSku"),
    (EventName::CustomerRegistered, "POST", "/customers"),
    (EventName::CustomerRegistered, "POST", "/users"),
    (EventName::CustomerErased, "DELETE", "/customers/{id}"),
    (EventName::ProductListed, "POST", "/products"),
    (EventName::ProductRepriced, "PATCH", "/products/{id}"),
    (EventName::ProductWithdrawn, "DELETE", "/products/{id}"),
];
