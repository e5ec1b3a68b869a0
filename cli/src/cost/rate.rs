//! Whether it can take so many events a second, what limits it then, and what it costs.

use super::bill::{bill, total, without_logs};
use super::counts::Count;
use super::prices::{Prices, Quota, Quotas};

/// What a component has to take at a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The component.
    pub component: String,
    /// So much a second; of executions, at once.
    pub needed: f64,
    /// How much there is.
    pub quota: Quota,
}

impl Need {
    /// How many quotas it needs.
    pub fn quotas(&self) -> f64 {
        self.needed / self.quota.per_second
    }
}

/// Orders a second that make so many events.
pub fn orders(events_per_second: f64, count: &Count) -> f64 {
    events_per_second / count.units.pipe_events
}

/// Events in one request to the bus, at most. Source: "PutEvents", Amazon EventBridge API Reference.
const EVENTS_IN_A_REQUEST: u32 = 10;
/// Memory of every function, in MB; the templates say so.
const MEMORY: f64 = 256.0;

/// What every component needs, the one that is over its quota the most first.
pub fn needs(count: &Count, orders_per_second: f64, quotas: &Quotas) -> Vec<Need> {
    let units = &count.units;
    let need = |component: &str, units: f64, quota: &str| Need {
        component: component.to_owned(),
        needed: units * orders_per_second,
        quota: quotas.of(quota).clone(),
    };
    let in_a_request = f64::from(count.batch.min(EVENTS_IN_A_REQUEST));
    let mut needs = vec![
        need("API Gateway, requests", units.api_requests, "api_requests"),
        need("Bus, requests", units.bus_events / in_a_request, "bus_requests"),
        need("Bus, deliveries to queues", units.queue_sends, "bus_deliveries"),
        need(
            "Lambda, at once (durations of a double)",
            units.megabyte_milliseconds / MEMORY / 1000.0,
            "concurrency",
        ),
    ];
    for (table, units) in &count.write_units_by {
        needs.push(need(&format!("{table}, write units"), *units, "table_writes"));
    }
    for (table, units) in &count.read_units_by {
        needs.push(need(&format!("{table}, read units"), *units, "table_reads"));
    }
    if let Some(units) = count.write_units_by.get("StockTable") {
        needs.push(need("one SKU in every basket, write units", *units, "item_writes"));
    }
    needs.sort_by(|one, other| other.quotas().total_cmp(&one.quotas()));
    needs
}

/// What it costs to go on at a rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// How DynamoDB's capacity is paid.
    pub capacity: &'static str,
    /// Dollars an hour without logs and traces.
    pub hour_without_logs: f64,
    /// Dollars an hour.
    pub hour: f64,
}

/// Hours of a month, as AWS counts them.
pub const MONTH: f64 = 730.0;
/// How much of provisioned capacity is used at even traffic. Source: "Managing throughput capacity automatically with
/// DynamoDB auto scaling", Amazon DynamoDB Developer Guide: a target of 70 percent is the console's default.
const USED: f64 = 0.7;

/// Both ways to pay.
pub fn running(count: &Count, orders_per_second: f64, prices: &Prices) -> [Running; 2] {
    let lines = bill(&count.units, prices);
    let millions_an_hour = orders_per_second * 3600.0 / 1e6;
    let on_demand = Running {
        capacity: "on demand",
        hour_without_logs: without_logs(&lines) * millions_an_hour,
        hour: total(&lines) * millions_an_hour,
    };
    let units = &count.units;
    let by_request = units.write_units * prices.of("write_unit") + units.read_units * prices.of("read_unit");
    let by_hour = (units.write_units * prices.of("write_unit_provisioned")
        + units.read_units * prices.of("read_unit_provisioned"))
        * orders_per_second
        / USED;
    let instead = |dollars: f64| dollars - by_request * millions_an_hour + by_hour;
    let provisioned = Running {
        capacity: "provisioned, 70 % used",
        hour_without_logs: instead(on_demand.hour_without_logs),
        hour: instead(on_demand.hour),
    };
    [on_demand, provisioned]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::counts::Units;

    fn count() -> Count {
        let units = Units {
            api_requests: 1.0,
            write_units: 20.0,
            read_units: 10.0,
            pipe_events: 5.0,
            bus_events: 5.0,
            queue_sends: 8.0,
            megabyte_milliseconds: 256.0 * 100.0,
            ..Units::default()
        };
        let by = |table: &str, units| [(table.to_owned(), units)].into();
        let outcome = "paid".into();
        Count {
            outcome,
            batch: 10,
            units,
            write_units_by: by("StockTable", 4.0),
            read_units_by: by("EventTable", 10.0),
        }
    }

    #[test]
    fn what_is_over_its_quota_the_most_comes_first() {
        let quotas = Quotas::listed().unwrap();
        let orders = orders(100_000.0, &count());
        assert_eq!(orders, 20_000.0);
        let needs = needs(&count(), orders, &quotas);
        let needed: Vec<(&str, f64, f64)> = needs
            .iter()
            .map(|need| (&*need.component, need.needed, (need.quotas() * 100.0).round() / 100.0))
            .collect();
        let expected = [
            ("one SKU in every basket, write units", 80_000.0, 80.0),
            ("Bus, deliveries to queues", 160_000.0, 8.53),
            ("EventTable, read units", 200_000.0, 5.0),
            ("API Gateway, requests", 20_000.0, 2.0),
            ("Lambda, at once (durations of a double)", 2_000.0, 2.0),
            ("StockTable, write units", 80_000.0, 2.0),
            ("Bus, requests", 10_000.0, 1.0),
        ];
        assert_eq!(needed, expected);
    }

    #[test]
    fn provisioned_capacity_is_paid_by_the_hour_and_a_third_of_it_stands_idle() {
        let [on_demand, provisioned] = running(&count(), 1_000.0, &Prices::listed().unwrap());
        // 3.6 million orders an hour, 20 write units at $0.625 and 10 read units at $0.125 each.
        let capacity = 3.6 * (20.0 * 0.625 + 10.0 * 0.125);
        let by_hour = (20_000.0 * 0.00065 + 10_000.0 * 0.00013) / 0.7;
        let saved = on_demand.hour_without_logs - provisioned.hour_without_logs;
        assert!((saved - (capacity - by_hour)).abs() < 1e-9, "{saved}");
        assert!((on_demand.hour - provisioned.hour - saved).abs() < 1e-9, "logs cost the same");
    }
}
