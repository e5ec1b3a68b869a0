//! `sagaline load`: places many orders, and measures how soon they are accepted and settled.

mod bodies;
mod book;
mod clients;
mod feed;
mod wire;
mod zipf;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::{ArgGroup, Args};
use events::Money;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::Session;
use crate::client::Client;
use crate::failure::Failure;
use crate::groundwork::{self, AT_ONCE, Registered};
use crate::progress::Progress;

use bodies::Bodies;
use book::{Book, Facts};
use clients::{Load, Pace};
use wire::Target;
use zipf::Zipf;

/// A load is never larger.
const MAX_ORDERS: u64 = 10_000_000;
/// A load never lasts longer, in seconds.
const MAX_SECONDS: u64 = 3_600;

#[derive(Args)]
#[command(group = ArgGroup::new("how much").required(true).args(["orders", "rate"]))]
pub struct Options {
    /// Closed loop: so many orders, each client placing its next when the one before is accepted.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_ORDERS))]
    orders: Option<u64>,
    /// Open loop: so many orders a second, whether or not the server keeps up. Latency counts from the time
    /// at which an order was due.
    #[arg(long, requires = "seconds", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: Option<u64>,
    /// For so many seconds.
    #[arg(long = "for", value_name = "SECONDS", requires = "rate", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// Connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,
    /// Products to choose from.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    skus: u32,
    /// Lines of each order, each with a SKU of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=90))]
    lines: u32,
    /// How uneven the choice is: the exponent of Zipf's law. 0: all alike; 1: as words in a text.
    #[arg(long, default_value_t = 0.0, value_parser = exponent)]
    zipf: f64,
    /// Units of each SKU, of which this run has its own; without it there is enough for every order.
    #[arg(long)]
    stock: Option<u64>,
    /// Which orders are placed; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop waiting when no order has settled for so many seconds.
    #[arg(long, default_value_t = 10)]
    settle_timeout: u64,
}

fn exponent(text: &str) -> Result<f64, String> {
    let exponent = text.parse().ok().filter(|exponent| (0.0..=10.0).contains(exponent));
    exponent.ok_or_else(|| "must be a number from 0 to 10".to_owned())
}

impl Options {
    /// How fast, and how many in all.
    fn pace(&self) -> Result<(Pace, u64), Failure> {
        let (pace, total) = match (self.orders, self.rate, self.seconds) {
            (_, Some(rate), Some(seconds)) => (Pace::Open { rate }, rate * seconds),
            (orders, ..) => (Pace::Closed, orders.unwrap_or(1)),
        };
        if total > MAX_ORDERS {
            return Err(Failure::Usage(format!(
                "{total} orders are too many: a load has at most {MAX_ORDERS}"
            )));
        }
        if self.lines > self.skus {
            return Err(Failure::Usage("an order cannot have more --lines than there are --skus".to_owned()));
        }
        Ok((pace, total))
    }
}

/// Customers that order in turn.
const CUSTOMERS: u32 = 100;

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    let (pace, total) = options.pace()?;
    let target = Target::loopback(&session.url, session.key.as_ref()).await?;
    let client = session.client();
    let run = format!("{:x}", since_epoch().as_millis());
    let seed = options.seed.unwrap_or_else(|| since_epoch().as_nanos() as u64);
    let skus = sku_names(&options, &run);
    prepare(&client, &skus, total, options.stock, &run).await?;
    let head = client.get("/events?limit=1").await?["head"].as_u64().unwrap_or(0);

    let bodies = Bodies::new(
        &run,
        &skus,
        CUSTOMERS,
        options.lines as usize,
        Zipf::new(skus.len(), options.zipf),
        seed,
    );
    let load = Arc::new(Load::new(target, pace, total, bodies));
    let follower = tokio::spawn(feed::follow(load.clone(), head));
    let limit = Duration::from_secs(MAX_SECONDS);
    let interrupted = tokio::select! {
        placed = tokio::time::timeout(limit, place_all(&load, options.clients)) => {
            let wait = Duration::from_secs(options.settle_timeout);
            tokio::select! {
                () = settle_all(&load, wait) => placed.is_err(),
                _ = tokio::signal::ctrl_c() => true,
            }
        }
        _ = tokio::signal::ctrl_c() => true,
    };
    load.stop();
    follower.abort();

    let facts = Facts {
        seed,
        rate: options.rate,
        orders: total,
        clients: options.clients,
        skus: options.skus,
        lines: options.lines,
        zipf: options.zipf,
    };
    let book = load.book();
    session.output.show(&book.json(&facts), |_| book.table(&facts))?;
    verdict(&book, &load, interrupted)
}

fn verdict(book: &Book, load: &Load, interrupted: bool) -> anyhow::Result<()> {
    if interrupted {
        return Err(Failure::Interrupted.into());
    }
    if let Some(cause) = load.lost() {
        return Err(Failure::Unreachable { url: load.target.to_string(), cause }.into());
    }
    match (book.failed(), book.unsettled()) {
        (0, 0) => Ok(()),
        (0, unsettled) => bail!("{unsettled} accepted orders did not settle in time"),
        (failed, _) => bail!("{failed} orders were not accepted"),
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// With --stock the SKUs are the run's own: what an earlier run left on the shelf does not count.
fn sku_names(options: &Options, run: &str) -> Vec<String> {
    let whose = options.stock.map(|_| format!("{run}-")).unwrap_or_default();
    (0..options.skus).map(|sku| format!("load-{whose}sku-{sku:05}")).collect()
}

/// Registers customers and products, and sees to it that there is stock: as much as was asked for, or a unit
/// of every SKU for every order.
async fn prepare(
    client: &Client,
    skus: &[String],
    total: u64,
    stock: Option<u64>,
    run: &str,
) -> anyhow::Result<()> {
    let customers: Vec<String> = (0..CUSTOMERS).map(bodies::customer).collect();
    let progress = &Progress::new("customers, stock", (customers.len() + skus.len()) as u64);
    let register = customers.iter().map(|customer| async move {
        accepted(customer, groundwork::customer(client, customer).await?)?;
        progress.one();
        anyhow::Ok(())
    });
    stream::iter(register).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let lot = &format!("load-{run}");
    let list = skus.iter().map(|sku| async move {
        let price = Money::from_minor(100).expect("one euro is an amount");
        accepted(sku, groundwork::product(client, sku, sku, price, "EUR").await?)?;
        stock_up(client, sku, stock.unwrap_or(total), lot).await?;
        progress.one();
        anyhow::Ok(())
    });
    stream::iter(list).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    progress.finish();
    Ok(())
}

fn accepted(id: &str, registered: Registered) -> anyhow::Result<()> {
    match registered {
        Registered::New | Registered::There | Registered::Other => Ok(()),
        Registered::Refused(why) => bail!("failed to register {id}: {why}"),
    }
}

async fn stock_up(client: &Client, sku: &str, wanted: u64, lot: &str) -> anyhow::Result<()> {
    let (available, received) = groundwork::units(client, sku).await?;
    let missing = wanted.saturating_sub(u64::try_from(available).unwrap_or(0));
    if missing > 0 {
        accepted(sku, groundwork::restock(client, sku, missing, lot).await?)?;
        let enough = u64::try_from(received).unwrap_or(0) + missing;
        groundwork::wait_for_units(client, sku, enough, Duration::from_secs(60)).await?;
    }
    Ok(())
}

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

async fn place_all(load: &Arc<Load>, clients: u16) {
    let progress = Progress::new("accepted", load.total);
    let placing = clients::run(load, clients);
    let show = async {
        loop {
            tokio::time::sleep(TICK).await;
            progress.at(load.counts().0, load.total);
        }
    };
    tokio::select! { () = placing => {}, () = show => {} }
    progress.at(load.counts().0, load.total);
    progress.finish();
}

/// Until every accepted order has settled, or none has for too long.
async fn settle_all(load: &Load, timeout: Duration) {
    let (accepted, mut settled) = load.counts();
    let (progress, mut since) = (Progress::new("settled", accepted), Instant::now());
    while settled < accepted && load.lost().is_none() && since.elapsed() < timeout {
        tokio::time::sleep(TICK / 4).await;
        let (_, now) = load.counts();
        if now > settled {
            (settled, since) = (now, Instant::now());
        }
        progress.at(settled, accepted);
    }
    progress.at(settled, accepted);
    progress.finish();
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn pace(line: &str) -> Result<(Pace, u64), String> {
        let line = Line::try_parse_from(["load"].into_iter().chain(line.split_whitespace()));
        line.map_err(|error| error.to_string())?.options.pace().map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_load_is_so_many_orders_or_a_rate_for_a_time() {
        assert_eq!(pace("--orders 5000"), Ok((Pace::Closed, 5_000)));
        assert_eq!(pace("--rate 1000 --for 30"), Ok((Pace::Open { rate: 1_000 }, 30_000)));
        for wrong in
            ["", "--rate 10", "--for 10", "--orders 1 --rate 1 --for 1", "--orders 0", "--orders 10000001"]
        {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }

    /// The book is locked for one look at a time: an earlier version looked twice at once, and waited for itself.
    #[tokio::test]
    async fn a_load_of_which_nothing_is_left_ends() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let bodies = Bodies::new("1", &["sku-1".to_owned()], 1, 1, Zipf::new(1, 0.0), 1);
        let load = Arc::new(Load::new(Target::loopback(&url, None).await.unwrap(), Pace::Closed, 0, bodies));
        let all = async {
            place_all(&load, 2).await;
            settle_all(&load, Duration::from_secs(5)).await;
        };
        tokio::time::timeout(Duration::from_secs(5), all).await.unwrap();
        assert_eq!(load.counts(), (0, 0));
    }

    #[test]
    fn a_load_is_bounded_in_every_direction() {
        for wrong in [
            "--rate 1000000 --for 3600",
            "--rate 1 --for 3601",
            "--orders 1 --lines 5 --skus 4",
            "--orders 1 --lines 91",
            "--orders 1 --zipf -1",
            "--orders 1 --clients 0",
        ] {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }
}
