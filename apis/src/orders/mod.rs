//! Orders: placing, changing and reading them.

mod change;
mod list;
mod place;
mod read;

use event_store::OrderRows;
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
    /// The rows of an order, folded from its stream now.
    pub(crate) async fn folded(&self, id: &OrderId) -> Result<OrderRows, Problem> {
        let stream = self.log.read_stream(&pk(id)).await?;
        views::project::order_rows(&stream).ok_or_else(|| unknown::<OrderId>().about(id))
    }
}

/// The partition key of an order's stream.
pub(crate) fn pk(id: &OrderId) -> String {
    events::StreamKey::Order(id.clone()).pk()
}
