//! Replay and audits over the tables of an account, or of a double.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{Beside, ShadowViews, StoreError, StoredText, View};
use event_store_dynamodb::{Connection, Consumed, DynamoStore, Limits, Tables};
use events::Timestamp;
use views::personal::{PersonalReport, Places, personal};
use views::replay::Mode;
use views::{AuditReport, Observe, Pause, Ports, ReplayReport};

use crate::stacks;

/// The read models beside their log.
pub struct ReadModels {
    store: Arc<DynamoStore>,
}

/// How long a call is tried again. Nobody waits for a single one, and a table that is throttled grows within minutes.
const PATIENCE: Duration = Duration::from_secs(120);

impl ReadModels {
    /// Those of the deployed stacks, or of the tables whose names begin with a prefix. `read_units` is what reading the
    /// log may take in a second; as much as there is if nothing is said.
    ///
    /// # Errors
    /// As [`stacks::tables`].
    pub async fn of(
        connection: &Connection,
        prefix: Option<&str>,
        read_units: Option<f64>,
    ) -> anyhow::Result<ReadModels> {
        let tables = match prefix {
            Some(prefix) => Tables::prefixed(prefix),
            None => stacks::tables(connection).await?,
        };
        let limits = Limits { patience: PATIENCE, scan_units: read_units, ..Limits::default() };
        Ok(ReadModels { store: Arc::new(DynamoStore::new(connection, tables, limits)) })
    }

    /// Rebuilds a read model, or goes on with what an earlier process left half done.
    ///
    /// # Errors
    /// What the tables say.
    pub async fn replay(
        &self,
        view: View,
        mode: Mode,
        segments: u32,
        observe: Observe<'_>,
    ) -> anyhow::Result<ReplayReport> {
        Ok(views::replay(&self.ports(), view, mode, segments, observe).await?)
    }

    /// Drops what a replay left half done.
    ///
    /// # Errors
    /// What the tables say.
    pub async fn discard(&self, view: View) -> anyhow::Result<()> {
        Ok(self.store.discard(view).await?)
    }

    /// Audits the log and everything that is folded from it. What has not moved since a moment is at rest, see
    /// [`views::audit_at_rest`].
    ///
    /// # Errors
    /// What the tables say.
    pub async fn audit(&self, still_since: Timestamp, observe: Observe<'_>) -> anyhow::Result<AuditReport> {
        Ok(views::audit_at_rest(&self.ports(), still_since, observe).await?)
    }

    /// Looks for what is left of people who were erased: in the tables, and in these texts from beside them.
    ///
    /// # Errors
    /// What the tables say.
    pub async fn personal(
        &self,
        texts: Vec<StoredText>,
        observe: Observe<'_>,
    ) -> anyhow::Result<PersonalReport> {
        let store = &self.store;
        let places = Places {
            scan: store.clone(),
            rows: store.clone(),
            users: store.clone(),
            keys: store.clone(),
            beside: vec![store.clone(), Arc::new(Texts(texts))],
        };
        Ok(personal(&places, observe).await?)
    }

    /// What it has taken so far.
    pub fn consumed(&self) -> Consumed {
        self.store.consumed()
    }

    fn ports(&self) -> Ports {
        let store = &self.store;
        Ports {
            log: store.clone(),
            scan: store.clone(),
            feed: None,
            rows: store.clone(),
            orders: store.clone(),
            stock: store.clone(),
            intents: Some(store.clone()),
            pause: Arc::new(Moment),
            looks: LOOKS,
        }
    }
}

/// Texts that were read before.
struct Texts(Vec<StoredText>);

#[async_trait]
impl Beside for Texts {
    async fn beside(
        &self,
        _: Option<&str>,
        _: usize,
    ) -> Result<(Vec<StoredText>, Option<String>), StoreError> {
        Ok((self.0.clone(), None))
    }
}

/// How often what differs is looked at again, each time after [`MOMENT`], for a worker that is about to catch up.
const LOOKS: u32 = 20;
/// Long enough for a message to come through the pipe, the bus and a queue in some of them.
const MOMENT: Duration = Duration::from_millis(500);

struct Moment;

#[async_trait]
impl Pause for Moment {
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time.max(MOMENT)).await;
    }
}
