//! How events can get from the log's stream to the queues, and what each way costs.

use super::bill::{bill, without_logs};
use super::counts::Count;
use super::prices::{Prices, Quotas};

/// A way from the stream to the queues.
#[derive(Debug, Clone, PartialEq)]
pub struct Wiring {
    /// What it is.
    pub name: &'static str,
    /// What carrying costs, in dollars a million orders: from the stream into the queues.
    pub carrying: f64,
    /// What everything costs that way, without logs and traces.
    pub without_logs: f64,
    /// Events a second that its quotas let through, and `None` where there is none.
    pub most: Option<f64>,
    /// What speaks for it, or against it.
    pub remark: &'static str,
}

/// Queues that get an order's events: a standard and an express lane each of orders, payments and inventory.
const QUEUES: f64 = 6.0;
/// Records and messages in one request, at most: of the bus, of a topic, of a queue.
const IN_A_REQUEST: u32 = 10;

/// What is built, and what else could be, for orders of which so many events come at once.
pub fn wirings(count: &Count, prices: &Prices, quotas: &Quotas) -> [Wiring; 3] {
    let units = &count.units;
    let (events, sends) = (units.pipe_events, units.queue_sends);
    let batch = f64::from(count.batch.min(IN_A_REQUEST));
    let requests_of = |messages: f64| messages / batch;
    let built = events * prices.of("pipe_event")
        + units.bus_events * prices.of("bus_event")
        + sends * prices.of("queue_request");
    let rest = without_logs(&bill(units, prices)) - built;
    let wiring = |name, carrying: f64, most, remark| Wiring {
        name,
        carrying,
        without_logs: rest + carrying,
        most,
        remark,
    };
    // Each subscription's filter looks at each event.
    let filtered_gigabytes = units.bus_bytes * QUEUES / 1000.0;
    // Whether SQS bills what a topic sends to a queue, as it bills the bus, is not documented; here it does.
    let topic = events * prices.of("pipe_event")
        + requests_of(events) * prices.of("topic_request")
        + filtered_gigabytes * prices.of("topic_filtered_gigabyte")
        + sends * prices.of("queue_request");
    let direct = sends * prices.of("pipe_event") + requests_of(sends) * prices.of("queue_request");
    let by_deliveries = quotas.of("bus_deliveries").per_second * events / sends;
    let by_requests = quotas.of("bus_requests").per_second * batch;
    [
        wiring(
            "pipe, bus, rules, queues (built)",
            built,
            Some(by_deliveries.min(by_requests)),
            "others can listen, too",
        ),
        wiring(
            "pipe, topic, queues",
            topic,
            Some(quotas.of("topic_messages").per_second),
            "filters look at payloads",
        ),
        wiring("a pipe to each queue", direct, None, "a shard has two readers, and there are six queues"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::counts::Units;

    fn count(batch: u32) -> Count {
        let units = Units {
            pipe_events: 6.0,
            bus_events: 6.0,
            bus_bytes: 6_000.0,
            queue_sends: 10.0,
            api_requests: 1.0,
            ..Units::default()
        };
        let none = Default::default();
        Count {
            outcome: "paid".into(),
            batch,
            units,
            write_units_by: none,
            read_units_by: Default::default(),
        }
    }

    fn cents(dollars: f64) -> f64 {
        (dollars * 100.0).round() / 100.0
    }

    #[test]
    fn each_way_is_billed_for_what_it_does_with_an_event() {
        let (prices, quotas) = (Prices::listed().unwrap(), Quotas::listed().unwrap());
        let [built, topic, direct] = wirings(&count(1), &prices, &quotas);
        assert_eq!(cents(built.carrying), 6.0 * 0.4 + 6.0 + 10.0 * 0.4);
        assert_eq!(cents(topic.carrying), cents(6.0 * 0.4 + 6.0 * 0.5 + 36.0 * 0.09 + 10.0 * 0.4));
        assert_eq!(cents(direct.carrying), 10.0 * 0.4 + 10.0 * 0.4);
        assert_eq!(cents(built.without_logs), cents(3.5 + built.carrying), "and the rest of the order");
    }

    #[test]
    fn batches_save_requests_where_they_are_billed_by_batch() {
        let (prices, quotas) = (Prices::listed().unwrap(), Quotas::listed().unwrap());
        let [built, topic, direct] = wirings(&count(10), &prices, &quotas);
        assert_eq!(cents(built.carrying), 12.4, "the bus bills events");
        assert_eq!(cents(topic.carrying), cents(2.4 + 0.3 + 3.24 + 4.0));
        assert_eq!(cents(direct.carrying), 4.4);
        assert_eq!(
            built.most,
            Some(18_750.0 * 6.0 / 10.0),
            "the bus delivers so many, of which an event has some"
        );
    }
}
