//! Orders: placing, changing and reading them.

mod change;
mod list;
mod place;
mod read;

use event_store::{OrderRows, StoreError};
use events::OrderId;

use crate::Api;
use crate::problem::Problem;
use crate::request::unknown;
use crate::table::Table;

pub(crate) use list::of_customer;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post("/orders", place::place)
        .list("/orders", list::all)
        .get("/orders/{id}", read::order)
        .patch("/orders/{id}", change::change)
        .delete("/orders/{id}", change::cancel)
        .get("/orders/{id}/events", read::events)
        .get("/orders/{id}/payments", read::payments)
        .get("/orders/{id}/deliveries", read::deliveries)
}

impl Api {
    /// The rows of an order, folded from its stream now; `None` if it was never placed.
    pub(crate) async fn rows(&self, id: &OrderId) -> Result<Option<OrderRows>, StoreError> {
        let stream = self.log.read_stream(&pk(id)).await?;
        Ok(views::project::order_rows(&stream))
    }

    /// As [`Api::rows`], and 404 if it was never placed.
    async fn folded(&self, id: &OrderId) -> Result<OrderRows, Problem> {
        self.rows(id).await?.ok_or_else(|| unknown::<OrderId>().about(id))
    }
}

/// The partition key of an order's stream.
fn pk(id: &OrderId) -> String {
    events::StreamKey::Order(id.clone()).pk()
}
