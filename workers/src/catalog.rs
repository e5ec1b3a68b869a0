//! The catalog worker: keeps the rows of customers and products.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{CatalogViews, EventLog};
use events::StreamKey;
use views::project::{customer_row, product_row};

use crate::{Nudge, Reconcile, Worker, WorkerError};

/// What the catalog worker needs.
pub struct CatalogWorker {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where it keeps the rows.
    pub views: Arc<dyn CatalogViews>,
}

#[async_trait]
impl Reconcile for CatalogWorker {
    fn name(&self) -> &'static str {
        Worker::Catalog.binary()
    }

    async fn reconcile(&self, stream: &StreamKey, _nudge: &Nudge) -> Result<(), WorkerError> {
        let events = self.log.read_stream(&stream.pk()).await?;
        match stream {
            StreamKey::Customer(_) => {
                if let Some(row) = customer_row(&events) {
                    self.views.put_customer(row).await?;
                }
            }
            StreamKey::Product(_) => {
                if let Some(row) = product_row(&events) {
                    self.views.put_product(row).await?;
                }
            }
            StreamKey::Order(_) | StreamKey::Sku(_) => {}
        }
        Ok(())
    }
}
