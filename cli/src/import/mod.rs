//! `sagaline import`: plays the orders of a real shop, from a CSV file, against a running server.

mod place;
mod plan;
mod summary;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use events::LotId;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::Session;
use crate::client::Client;
use crate::failure::Failure;
use crate::groundwork::{self, AT_ONCE, Registered};
use crate::progress::Progress;

use plan::Plan;
use summary::Summary;

#[derive(Args)]
pub struct Options {
    /// The file, with the columns invoice,sku,description,quantity,at,unit_price,customer,country.
    file: PathBuf,
    /// How much of what the file asks for is on the shelf, 0 to 1. Below 1 some orders run out.
    #[arg(long, default_value_t = 0.9, value_parser = share)]
    stock_share: f64,
    /// How many lines an order has at most; an invoice with more becomes several orders.
    #[arg(long, default_value_t = plan::MAX_LINES, value_parser = lines)]
    max_lines: usize,
    /// How long to wait for what is still under way, in seconds: for stock before the first order, and for
    /// the end of every order after the last.
    #[arg(long, default_value_t = 60)]
    settle_timeout: u64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

fn lines(text: &str) -> Result<usize, String> {
    let lines = text.parse().ok().filter(|lines| (1..=plan::MAX_LINES).contains(lines));
    lines.ok_or_else(|| format!("must be a number from 1 to {}", plan::MAX_LINES))
}

pub async fn run(options: Options, session: &Session) -> anyhow::Result<()> {
    let name = || format!("failed to read {}", options.file.display());
    let plan =
        plan::plan(File::open(&options.file).with_context(name)?, options.max_lines).with_context(name)?;
    let client = session.client();
    let import = Import {
        client: &client,
        plan: &plan,
        lot_id: lot_id(&options.file),
        share: options.stock_share,
        settle: Duration::from_secs(options.settle_timeout),
    };
    let summary = import.run().await.map_err(explain)?;
    session.output.show(&summary.json(), |_| summary.table())?;
    summary.complaint().map_or(Ok(()), |complaint| bail!(complaint))
}

/// What to do when the server went away, or cannot store anything for now, or nothing more.
fn explain(error: anyhow::Error) -> anyhow::Error {
    let may_come_back = |failure: &Failure| match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(refusal) => !refusal.is_final(),
        Failure::NotSagaline { .. }
        | Failure::Usage(_)
        | Failure::CameToNothing { .. }
        | Failure::TimedOut { .. }
        | Failure::Interrupted => false,
    };
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(may_come_back) {
        error.context("the import stopped; start the same import again, it goes on where it was")
    } else {
        error
    }
}

/// One lot of each SKU for each file: the same file again is the same lot.
fn lot_id(file: &Path) -> LotId {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' };
    let stem: String = stem.chars().take(60).map(plain).collect();
    let lot = if stem.len() < 4 { format!("lot-{stem}") } else { stem };
    LotId::parse(&lot).expect("plain characters, 4 to 64 of them")
}

struct Import<'a> {
    client: &'a Client,
    plan: &'a Plan,
    lot_id: LotId,
    share: f64,
    settle: Duration,
}

impl Import<'_> {
    async fn run(&self) -> anyhow::Result<Summary> {
        let mut summary = Summary::new(self.plan, self.share);
        self.register(&mut summary).await?;
        self.restock(&mut summary).await?;
        place::place(self.client, self.plan, &mut summary).await?;
        place::settle(self.client, self.settle, &mut summary).await?;
        Ok(summary)
    }

    /// Customers and products: orders are refused without them.
    async fn register(&self, summary: &mut Summary) -> anyhow::Result<()> {
        let customers = self.plan.customers.iter().map(|customer| (customer.as_str(), None));
        let products = self.plan.products.iter().map(|product| (product.sku.as_str(), Some(product)));
        let progress = Progress::new("customers, products", (customers.len() + products.len()) as u64);
        let progress = &progress;
        let requests = customers.chain(products).map(|(id, product)| async move {
            let registered = match product {
                None => groundwork::customer(self.client, id).await,
                Some(product) => {
                    groundwork::product(self.client, id, &product.name, product.price, "GBP").await
                }
            };
            progress.one();
            registered.map(|registered| (id, registered))
        });
        let mut answers = stream::iter(requests).buffer_unordered(AT_ONCE);
        while let Some((id, registered)) = answers.try_next().await? {
            summary.registered(id, registered);
        }
        progress.finish();
        Ok(())
    }

    /// Sends each SKU's lot to the shelf and waits until it is counted there.
    async fn restock(&self, summary: &mut Summary) -> anyhow::Result<()> {
        let lots = self.plan.lots(self.share);
        let progress = Progress::new("stock", lots.len() as u64);
        let progress = &progress;
        let requests = lots.into_iter().map(|(sku, units)| async move {
            let sku = sku.as_str();
            let restocked = groundwork::restock(self.client, sku, units, self.lot_id.as_str()).await?;
            match restocked {
                Registered::New | Registered::There => {
                    groundwork::wait_for_units(self.client, sku, units, self.settle).await?;
                }
                // The lot was sent with another share; what stands is counted as it is.
                Registered::Other => groundwork::wait_for_units(self.client, sku, 1, self.settle).await?,
                Registered::Refused(_) => {}
            }
            progress.one();
            anyhow::Ok((sku, restocked))
        });
        let mut answers = stream::iter(requests).buffer_unordered(AT_ONCE);
        while let Some((sku, restocked)) = answers.try_next().await? {
            summary.restocked(sku, restocked);
        }
        progress.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_is_named_after_its_file() {
        let named = |path: &str| lot_id(Path::new(path)).to_string();
        assert_eq!(named("examples/online-retail/online-retail-2010-12.csv"), "online-retail-2010-12");
        assert_eq!(named("/tmp/März 2011.csv"), "M-rz-2011");
        assert_eq!(named("a.csv"), "lot-a");
        assert_eq!(named(&format!("{}.csv", "x".repeat(200))).len(), 60);
    }

    #[test]
    fn a_share_is_between_nothing_and_everything() {
        assert_eq!(share("0.9"), Ok(0.9));
        assert_eq!((share("0"), share("1")), (Ok(0.0), Ok(1.0)));
        for bad in ["1.1", "-0.1", "NaN", "inf", "all"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_that_goes_away_means_start_it_again_and_a_refusal_does_not() {
        let gone = Failure::Unreachable { url: "http://127.0.0.1:1".into(), cause: "reset".into() };
        assert!(format!("{:#}", explain(gone.into())).contains("start the same import again"));
        let refused = |status| {
            let refusal = crate::failure::Refusal::read(status, &serde_json::Value::Null);
            format!("{:#}", explain(Failure::Refused(refusal).into()))
        };
        assert_eq!([422, 429, 503].map(|status| refused(status).contains("again")), [false, true, true]);
    }
}
