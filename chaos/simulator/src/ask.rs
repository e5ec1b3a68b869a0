//! What a client asks for: a request, and what its answer would mean.

use event_store::Personal;
use events::{OrderId, Sku};

use crate::holder::Holder;
use crate::site::Handler;

/// What everything is sold for.
pub const CURRENCY: &str = "GBP";

/// Units of a SKU.
pub type Line = (Sku, u32);

/// A request that a client sends, again if it hears nothing.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Its method.
    pub method: &'static str,
    /// Its path and query.
    pub path: String,
    /// Its body, as text; empty for none.
    pub body: String,
    /// A header that it carries besides those that all have.
    pub header: Option<(&'static str, String)>,
    /// The `Idempotency-Key` that it carries.
    pub key: Option<String>,
    /// Who asks, where somebody has to be who they are.
    pub holder: Option<Holder>,
    /// What it is about.
    pub wants: Wants,
    /// How often the client asks before it gives up.
    pub patience: u32,
}

/// What a request is about, so that its answer can be held against the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Wants {
    /// To place an order.
    Place {
        /// Its id, where the client chose it.
        order_id: Option<OrderId>,
        /// Whose.
        customer_id: String,
        /// What; no SKU twice.
        lines: Vec<Line>,
        /// Whether it takes the express lane.
        express: bool,
    },
    /// To place an order as an older system's client does; repeated with other content it is accepted too.
    CompatPlace {
        /// Its id.
        order_id: OrderId,
    },
    /// To bring an order into a state.
    Change {
        /// Which order.
        order_id: OrderId,
        /// Into which state.
        into: Change,
    },
    /// To announce a lot.
    Restock {
        /// Of what.
        sku: Sku,
        /// How much.
        units: u32,
        /// Under which id.
        lot_id: String,
    },
    /// To announce a lot as an older system's client does: the first one that has its id stands.
    CompatRestock {
        /// Of what.
        sku: Sku,
        /// How much.
        units: u32,
        /// Under which id.
        lot_id: String,
    },
    /// To register a customer.
    Register {
        /// Under which id.
        customer_id: String,
        /// Who that is.
        personal: Personal,
    },
    /// To erase a customer.
    Erase {
        /// Whom.
        customer_id: String,
    },
    /// To list a product.
    List {
        /// Under which id.
        product_id: String,
        /// Of which SKU.
        sku: Sku,
        /// At which price, in hundredths.
        minor: i64,
        /// What it is called.
        name: String,
    },
    /// To change what a product costs.
    Reprice {
        /// Which.
        product_id: String,
        /// The new price, in hundredths.
        minor: i64,
    },
    /// To take a product off the list.
    Withdraw {
        /// Which.
        product_id: String,
    },
    /// To make a key by which somebody acts for a customer.
    MakeKey {
        /// For whom.
        customer_id: String,
    },
    /// To make a key good for nothing.
    Revoke {
        /// Whose.
        holder: Holder,
    },
    /// To put any item into the log.
    Raw {
        /// Its partition key.
        pk: String,
        /// Its sort key.
        sk: String,
    },
    /// To read an order.
    ReadOrder {
        /// Which.
        order_id: OrderId,
    },
    /// To read anything else, for which only the kind of answer is looked at.
    Read,
}

/// A state that a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `PAID`, by an operator.
    Paid,
    /// `SHIPPED`.
    Shipped,
    /// `DELIVERED`.
    Delivered,
    /// `CANCELLED`.
    Cancelled,
}

impl Change {
    /// As the API spells it.
    pub fn status(self) -> &'static str {
        match self {
            Change::Paid => "PAID",
            Change::Shipped => "SHIPPED",
            Change::Delivered => "DELIVERED",
            Change::Cancelled => "CANCELLED",
        }
    }
}

impl Ask {
    /// A request with a JSON body.
    pub fn send(method: &'static str, path: impl Into<String>, body: String, wants: Wants) -> Ask {
        Ask { method, path: path.into(), body, header: None, key: None, holder: None, wants, patience: 4 }
    }

    /// The same with a header.
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Ask {
        Ask { header: Some((name, value.into())), ..self }
    }

    /// The version that it presupposes.
    pub fn tag(&self) -> Option<u32> {
        let (_, value) = self.header.as_ref().filter(|(name, _)| *name == "if-match")?;
        value.trim_matches('"').parse().ok()
    }

    /// The same under a key, so that it may be sent for longer than whoever died over it had for it.
    pub fn under(self, key: impl Into<String>) -> Ask {
        Ask { key: Some(key.into()), patience: 12, ..self }
    }

    /// A request of an older system's client that only reads.
    pub fn compat_read(route: &str, body: &serde_json::Value) -> Ask {
        Ask::send("POST", format!("/api/v1/{route}"), body.to_string(), Wants::Read)
    }

    /// A request that only reads.
    pub fn read(path: impl Into<String>) -> Ask {
        Ask::send("GET", path, String::new(), Wants::Read)
    }

    /// An order of one of the shop's customers.
    pub fn place(order_id: Option<&OrderId>, customer_id: &str, lines: &[Line], express: bool) -> Ask {
        let items: Vec<String> =
            lines.iter().map(|(sku, units)| format!(r#"{{"sku":"{sku}","quantity":{units}}}"#)).collect();
        let id = order_id.map_or(String::new(), |id| format!(r#""order_id":"{id}","#));
        let lane = if express { r#","priority":"express""# } else { "" };
        let body = format!(r#"{{{id}"customer_id":"{customer_id}","items":[{}]{lane}}}"#, items.join(","));
        let wants = Wants::Place {
            order_id: order_id.cloned(),
            customer_id: customer_id.to_owned(),
            lines: lines.to_vec(),
            express,
        };
        Ask::send("POST", "/orders", body, wants)
    }

    /// A change of an order's state.
    pub fn change(order_id: &OrderId, into: Change) -> Ask {
        let more = match into {
            Change::Paid => format!(r#","reference":"transfer of {order_id}""#),
            Change::Shipped => format!(r#","carrier":"Parcels & Sons","tracking":"PS-{order_id}""#),
            Change::Cancelled => r#","reason":"wrong colour""#.to_owned(),
            Change::Delivered => String::new(),
        };
        let body = format!(r#"{{"status":"{}"{more}}}"#, into.status());
        let wants = Wants::Change { order_id: order_id.clone(), into };
        Ask::send("PATCH", format!("/orders/{order_id}"), body, wants)
    }

    /// A cancellation, the short way.
    pub fn cancel(order_id: &OrderId) -> Ask {
        let wants = Wants::Change { order_id: order_id.clone(), into: Change::Cancelled };
        Ask::send("DELETE", format!("/orders/{order_id}"), String::new(), wants)
    }

    /// A lot.
    pub fn restock(sku: &Sku, units: u32, lot_id: &str) -> Ask {
        let body = format!(r#"{{"sku":"{sku}","units":{units},"lot_id":"{lot_id}"}}"#);
        let wants = Wants::Restock { sku: sku.clone(), units, lot_id: lot_id.to_owned() };
        Ask::send("POST", "/inventory/restocks", body, wants)
    }

    /// A customer.
    pub fn register(customer_id: &str) -> Ask {
        let body = format!(r#"{{"customer_id":"{customer_id}"}}"#);
        Ask::send(
            "POST",
            "/customers",
            body,
            Wants::Register { customer_id: customer_id.to_owned(), personal: Personal::default() },
        )
    }

    /// A customer of whom a name and an address are known.
    pub fn register_person(customer_id: &str, name: &str) -> Ask {
        let (email, address) = ("somebody@example.org", "1 High Street");
        let body = serde_json::json!({
            "customer_id": customer_id, "name": name, "email": email, "address": address,
        });
        let known = |text: &str| Some(text.to_owned());
        let personal = Personal { name: known(name), email: known(email), address: known(address) };
        let wants = Wants::Register { customer_id: customer_id.to_owned(), personal };
        Ask::send("POST", "/customers", body.to_string(), wants)
    }

    /// The end of what is known of a customer.
    pub fn erase(customer_id: &str) -> Ask {
        let wants = Wants::Erase { customer_id: customer_id.to_owned() };
        Ask::send("DELETE", format!("/customers/{customer_id}"), String::new(), wants)
    }

    /// A lot, as an older system's client tells of it.
    pub fn compat_restock(sku: &Sku, units: u32, lot_id: &str) -> Ask {
        let body = serde_json::json!({ "sku": sku, "units": units, "lotId": lot_id }).to_string();
        let wants = Wants::CompatRestock { sku: sku.clone(), units, lot_id: lot_id.to_owned() };
        Ask::send("POST", "/api/v1/inventory/restockSku", body, wants)
    }

    /// A product that sells a SKU under the SKU's own name, at a price in hundredths.
    pub fn list(product_id: &str, sku: &Sku, name: &str, minor: i64) -> Ask {
        let (whole, hundredths) = (minor / 100, minor % 100);
        let quoted = serde_json::Value::from(name);
        let body = format!(
            r#"{{"product_id":"{product_id}","sku":"{sku}","name":{quoted},"price":{whole}.{hundredths:02},"currency":"{CURRENCY}"}}"#
        );
        let (product_id, sku, name) = (product_id.to_owned(), sku.clone(), name.to_owned());
        let wants = Wants::List { product_id, sku, minor, name };
        Ask::send("POST", "/products", body, wants)
    }

    /// Another price of a product, in hundredths.
    pub fn reprice(product_id: &str, minor: i64) -> Ask {
        let body = format!(r#"{{"price":{}.{:02}}}"#, minor / 100, minor % 100);
        let wants = Wants::Reprice { product_id: product_id.to_owned(), minor };
        Ask::send("PATCH", format!("/products/{product_id}"), body, wants)
    }

    /// A key by which somebody acts for a customer. Without an `Idempotency-Key` it would be another one each time.
    pub fn make_key(customer_id: &str, key: impl Into<String>) -> Ask {
        let key = key.into();
        // Called as the request is, so that it is known which request made it.
        let body = format!(r#"{{"name":"{key}","role":"customer","customer_id":"{customer_id}"}}"#);
        let wants = Wants::MakeKey { customer_id: customer_id.to_owned() };
        Ask::send("POST", "/keys", body, wants).under(key)
    }

    /// The end of a key.
    pub fn revoke(holder: Holder) -> Ask {
        let path = format!("/keys/{}", holder.key_id());
        Ask::send("DELETE", path, String::new(), Wants::Revoke { holder })
    }

    /// The end of a product.
    pub fn withdraw(product_id: &str) -> Ask {
        let wants = Wants::Withdraw { product_id: product_id.to_owned() };
        Ask::send("DELETE", format!("/products/{product_id}"), String::new(), wants)
    }

    /// Any item of the log.
    pub fn raw(pk: &str, sk: &str, name: &str, data: &serde_json::Value) -> Ask {
        let body = serde_json::json!({ "pk": pk, "sk": sk, "event_name": name, "data": data }).to_string();
        let wants = Wants::Raw { pk: pk.to_owned(), sk: sk.to_owned() };
        Ask::send("POST", "/chaos/raw-events", body, wants)
    }

    /// The order that it is about, if its client named one that stands already.
    pub fn order(&self) -> Option<OrderId> {
        match &self.wants {
            Wants::Change { order_id, .. } | Wants::ReadOrder { order_id } => Some(order_id.clone()),
            Wants::Read => {
                let (id, _part) = self.path.strip_prefix("/orders/")?.split_once('/')?;
                OrderId::recorded(id).ok()
            }
            _ => None,
        }
    }

    /// Whose code answers it.
    pub fn handler(&self) -> Handler {
        match &self.wants {
            Wants::Place { .. } => Handler::PlaceOrder,
            Wants::CompatPlace { .. } => Handler::CompatPlaceOrder,
            Wants::Change { .. } if self.method == "DELETE" => Handler::CancelOrder,
            Wants::Change { .. } => Handler::ChangeOrder,
            Wants::Restock { .. } => Handler::Restock,
            Wants::CompatRestock { .. } => Handler::CompatRestock,
            Wants::Register { .. } => Handler::Register,
            Wants::Erase { .. } => Handler::Erase,
            Wants::List { .. } => Handler::List,
            Wants::Reprice { .. } => Handler::Reprice,
            Wants::Withdraw { .. } => Handler::Withdraw,
            Wants::MakeKey { .. } => Handler::MakeKey,
            Wants::Revoke { .. } => Handler::Revoke,
            Wants::Raw { .. } => Handler::RawEvent,
            Wants::ReadOrder { .. } | Wants::Read => Handler::Read,
        }
    }
}
