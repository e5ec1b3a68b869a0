//! List prices and quotas, each with its source and its day.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

/// List prices of one region.
#[derive(Debug, Deserialize)]
pub struct Prices {
    /// The region.
    pub region: String,
    /// The day.
    pub as_of: String,
    /// What they leave out, and what they rest on.
    pub note: String,
    prices: BTreeMap<String, Price>,
}

/// One price.
#[derive(Debug, Deserialize)]
struct Price {
    dollars: f64,
}

impl Prices {
    /// The prices that this binary was built with.
    ///
    /// # Errors
    /// A file that is not what this version reads.
    pub fn listed() -> anyhow::Result<Prices> {
        serde_json::from_str(include_str!("prices.json")).context("failed to read the prices")
    }

    /// Dollars for what the file says the price is for: most are for a million.
    ///
    /// # Panics
    /// If the file has no such price, which a test finds.
    pub fn of(&self, name: &str) -> f64 {
        self.prices.get(name).expect("every price that is asked for is listed").dollars
    }
}

/// Default quotas of one region.
#[derive(Debug, Deserialize)]
pub struct Quotas {
    quotas: BTreeMap<String, Quota>,
}

/// How much of something an account may have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Quota {
    /// A second; of executions and readers, at once.
    pub per_second: f64,
    /// What it is a quota of: an account, a table.
    pub of: String,
    /// Whether AWS raises it if it is asked to.
    pub can_be_raised: bool,
    /// Where it stands.
    pub source: String,
}

impl Quotas {
    /// The quotas that this binary was built with.
    ///
    /// # Errors
    /// A file that is not what this version reads.
    pub fn listed() -> anyhow::Result<Quotas> {
        serde_json::from_str(include_str!("quotas.json")).context("failed to read the quotas")
    }

    /// One of them.
    ///
    /// # Panics
    /// If the file has no such quota, which a test finds.
    pub fn of(&self, name: &str) -> &Quota {
        self.quotas.get(name).expect("every quota that is asked for is listed")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_price_and_quota_names_its_source_and_says_what_it_rests_on() {
        let prices: Value = serde_json::from_str(include_str!("prices.json")).unwrap();
        for (name, price) in prices["prices"].as_object().unwrap() {
            let source = price["source"].as_str().unwrap();
            assert!(source.starts_with("https://aws.amazon.com/"), "{name}: {source}");
            let rests_on = price["rests_on"].as_str().unwrap();
            assert!(["page", "secondary", "memory"].iter().any(|on| rests_on.starts_with(on)), "{name}");
            assert!(price["dollars"].as_f64() > Some(0.0) && price["per"].is_string(), "{name}");
        }
        let quotas: Value = serde_json::from_str(include_str!("quotas.json")).unwrap();
        assert!(quotas["quotas"].as_object().unwrap().values().all(|quota| quota["source"].is_string()));
        assert_eq!(prices["region"], quotas["region"]);
    }
}
