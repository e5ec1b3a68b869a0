//! The requests of a load: built by copying, each from the seed and its number alone.

use hyper::body::Bytes;

use super::zipf::{Random, Zipf};

/// What the body of an order's request is put together from.
pub struct Bodies {
    /// `{"order_id":"load-…-`
    begin: Vec<u8>,
    /// `","customer_id":"…","items":[` of each customer.
    middles: Vec<Vec<u8>>,
    /// `{"sku":"…","quantity":1}` of each SKU.
    items: Vec<Vec<u8>>,
    lines: usize,
    zipf: Zipf,
    seed: u64,
    order_prefix: String,
}

/// The customer of this number.
pub fn customer(number: u32) -> String {
    format!("load-customer-{number:03}")
}

impl Bodies {
    pub fn new(run: &str, skus: &[String], customers: u32, lines: usize, zipf: Zipf, seed: u64) -> Self {
        let order_prefix = format!("load-{run}-");
        let middle = |number| format!(r#"","customer_id":"{}","items":["#, customer(number)).into_bytes();
        let item = |sku: &String| format!(r#"{{"sku":"{sku}","quantity":1}}"#).into_bytes();
        Bodies {
            begin: format!(r#"{{"order_id":"{order_prefix}"#).into_bytes(),
            middles: (0..customers).map(middle).collect(),
            items: skus.iter().map(item).collect(),
            lines,
            zipf,
            seed,
            order_prefix,
        }
    }

    /// The body of order `number`.
    pub fn body(&self, number: u64) -> Bytes {
        let mut random = Random(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut ranks = Vec::with_capacity(self.lines);
        self.zipf.distinct(self.lines, &mut random, &mut ranks);
        let mut body = Vec::with_capacity(128 + self.lines * 48);
        body.extend_from_slice(&self.begin);
        body.extend_from_slice(digits(number).as_bytes());
        body.extend_from_slice(&self.middles[(number % self.middles.len() as u64) as usize]);
        for (index, rank) in ranks.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&self.items[*rank]);
        }
        body.extend_from_slice(b"]}");
        body.into()
    }

    /// The number of an order of this load, by its stream's key; `None` for anything else.
    pub fn number(&self, pk: &str) -> Option<u64> {
        pk.strip_prefix("EVENTS#ORDER_ID#")?.strip_prefix(&self.order_prefix)?.parse().ok()
    }
}

fn digits(number: u64) -> String {
    format!("{number:08}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bodies(seed: u64) -> Bodies {
        let skus: Vec<String> = (0..20).map(|sku| format!("load-sku-{sku:05}")).collect();
        Bodies::new("18c2", &skus, 100, 3, Zipf::new(20, 1.0), seed)
    }

    #[test]
    fn a_body_is_an_order_with_an_id_of_its_own() {
        let body: Value = serde_json::from_slice(&bodies(7).body(142)).unwrap();
        assert_eq!(body["order_id"], "load-18c2-00000142");
        assert_eq!(body["customer_id"], "load-customer-042");
        let skus: std::collections::BTreeSet<&str> =
            body["items"].as_array().unwrap().iter().map(|item| item["sku"].as_str().unwrap()).collect();
        assert_eq!(skus.len(), 3);
        assert_eq!(body["items"][0]["quantity"], 1);
    }

    #[test]
    fn one_seed_places_the_same_orders() {
        let all = |seed| -> Vec<Bytes> { (0..50).map(|number| bodies(seed).body(number)).collect() };
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
    }

    #[test]
    fn an_event_is_recognised_by_its_stream() {
        let bodies = bodies(7);
        assert_eq!(bodies.number("EVENTS#ORDER_ID#load-18c2-00000142"), Some(142));
        assert_eq!(bodies.number("EVENTS#ORDER_ID#load-18c2-123456789"), Some(123_456_789));
        for other in
            ["EVENTS#ORDER_ID#load-18c3-00000142", "EVENTS#SKU#load-18c2-1", "EVENTS#ORDER_ID#load-18c2-x"]
        {
            assert_eq!(bodies.number(other), None, "{other}");
        }
    }
}
