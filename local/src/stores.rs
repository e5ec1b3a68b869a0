//! Where things are kept: log, rows and intents in one store, queues always in this process's own.

use std::path::Path;
use std::sync::Arc;

use apis::access::{Access, Guard};
use event_store::{
    Beside, CatalogViews, ChangeFeed, EventLog, Idempotency, IntentStore, Keys, LogScan, OrderViews, Secrets,
    ShadowViews, Stamper, StockViews, Tries, Users,
};
use event_store_embedded::EmbeddedStore;
use tokio::task::JoinHandle;

use crate::runs::{LOOKS, Moment};

/// Where the log, the rows and the gateway's intents are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Store {
    /// In the folder, with everything else.
    #[default]
    Embedded,
    /// In tables of DynamoDB Local, or of whatever speaks its API.
    Dynamodb {
        /// Where it answers: `http://127.0.0.1:8000`.
        endpoint_url: String,
        /// What the names of its tables begin with.
        prefix: String,
    },
}

/// Whether a folder holds an embedded store, whole or not. Looks only.
pub fn is_store(folder: &Path) -> bool {
    EmbeddedStore::exists(folder)
}

/// Removes the embedded store of a folder, if there is one; other files in it stay.
///
/// # Errors
/// Somebody has it open, or it is somebody else's database.
pub fn erase(folder: &Path) -> anyhow::Result<()> {
    Ok(EmbeddedStore::erase(folder)?)
}

/// The ports, each to where it is kept.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) scan: Arc<dyn LogScan>,
    pub(crate) orders: Arc<dyn OrderViews>,
    pub(crate) stock: Arc<dyn StockViews>,
    pub(crate) catalog: Arc<dyn CatalogViews>,
    pub(crate) rows: Arc<dyn ShadowViews>,
    pub(crate) intents: Arc<dyn IntentStore>,
    /// Answers that were given already.
    pub(crate) answers: Arc<dyn Idempotency>,
    /// Answers, messages, dead letters and what was done to those, wherever they are kept.
    pub(crate) beside: Vec<Arc<dyn Beside>>,
    /// Who may ask.
    pub(crate) access: Access,
    /// The log in the order in which this process learned of it.
    pub(crate) feed: Arc<dyn ChangeFeed>,
    /// The folder's store: the queues, whatever the log is in.
    pub(crate) kept: EmbeddedStore,
}

/// How it is found out who asks, and by which clock.
pub(crate) struct Ask {
    pub(crate) clock: Arc<dyn Stamper>,
    pub(crate) guard: Guard,
}

impl Stores {
    /// Opens what was chosen; `fresh` removes what is there first. Beside the ports comes the task, if there is one,
    /// that brings the log's events here.
    pub(crate) async fn open(
        store: &Store,
        data: &Path,
        fresh: bool,
        ask: Ask,
    ) -> anyhow::Result<(Stores, Option<JoinHandle<()>>)> {
        let folder = data.to_owned();
        let open = move || {
            if fresh {
                EmbeddedStore::erase(&folder)?;
            }
            EmbeddedStore::open(&folder)
        };
        let kept = tokio::task::spawn_blocking(open).await??;
        match store {
            Store::Embedded => Ok((Stores::embedded(kept, ask), None)),
            Store::Dynamodb { endpoint_url, prefix } => {
                dynamodb(kept, endpoint_url, prefix, fresh, ask).await
            }
        }
    }

    /// Everything in one embedded store.
    pub(crate) fn embedded(kept: EmbeddedStore, ask: Ask) -> Stores {
        let beside: Vec<Arc<dyn Beside>> = vec![Arc::new(kept.clone())];
        Stores { beside, feed: Arc::new(kept.clone()), ..Stores::over(Arc::new(kept.clone()), kept, ask) }
    }

    fn over<All>(all: Arc<All>, kept: EmbeddedStore, Ask { clock, guard }: Ask) -> Stores
    where
        All: EventLog
            + LogScan
            + OrderViews
            + StockViews
            + CatalogViews
            + ShadowViews
            + IntentStore
            + Idempotency
            + Beside
            + Users
            + Keys
            + Secrets
            + Tries
            + 'static,
    {
        Stores {
            answers: all.clone(),
            beside: vec![all.clone(), Arc::new(kept.clone())],
            access: Access::over(&all, clock, guard),
            log: all.clone(),
            scan: all.clone(),
            orders: all.clone(),
            stock: all.clone(),
            catalog: all.clone(),
            rows: all.clone(),
            intents: all,
            feed: Arc::new(kept.clone()),
            kept,
        }
    }

    /// Every place that may hold personal data.
    pub(crate) fn places(&self) -> views::personal::Places {
        views::personal::Places {
            scan: self.scan.clone(),
            rows: self.rows.clone(),
            users: self.access.users.clone(),
            keys: self.access.keys.clone(),
            beside: self.beside.clone(),
        }
    }

    /// The ports of replay and audit.
    pub(crate) fn ports(&self) -> views::Ports {
        views::Ports {
            log: self.log.clone(),
            scan: self.scan.clone(),
            feed: Some(self.feed.clone()),
            rows: self.rows.clone(),
            orders: self.orders.clone(),
            stock: self.stock.clone(),
            intents: Some(self.intents.clone()),
            pause: Arc::new(Moment),
            looks: LOOKS,
        }
    }
}

#[cfg(feature = "dynamodb")]
async fn dynamodb(
    kept: EmbeddedStore,
    endpoint_url: &str,
    prefix: &str,
    fresh: bool,
    ask: Ask,
) -> anyhow::Result<(Stores, Option<JoinHandle<()>>)> {
    use std::time::Duration;

    use anyhow::Context;
    use event_store_dynamodb::stream::StreamReader;
    use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};

    let connection = Connection::to_a_double(endpoint_url);
    // Older versions of DynamoDB Local take no more in one transaction (docs/aws.md, "What the doubles do otherwise").
    let patience = Duration::from_secs(60);
    let limits = Limits { transaction_items: 10, patience, ..Limits::default() };
    let store = DynamoStore::new(&connection, Tables::prefixed(prefix), limits);
    let reach =
        || format!("failed to reach {endpoint_url}; start DynamoDB Local there, or name another address");
    if fresh {
        store.delete_tables(prefix).await.with_context(reach)?;
    }
    store.create_tables(prefix).await.with_context(reach)?;
    let reader = StreamReader::of_log(&store, &connection).await.with_context(reach)?;
    let relay = tokio::spawn(crate::relay::run(reader, kept.clone()));
    Ok((Stores::over(Arc::new(store), kept, ask), Some(relay)))
}

#[cfg(not(feature = "dynamodb"))]
async fn dynamodb(
    _: EmbeddedStore,
    _: &str,
    _: &str,
    _: bool,
    _: Ask,
) -> anyhow::Result<(Stores, Option<JoinHandle<()>>)> {
    anyhow::bail!(
        "this binary was built without AWS; build one with \
         `cargo build --release --package sagaline --features aws`"
    )
}
