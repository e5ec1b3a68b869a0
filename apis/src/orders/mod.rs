//! Orders: placing, changing and reading them.

mod change;
mod list;
mod place;
mod read;

use auth::Sees;
use event_store::{OrderRows, StoreError};
use events::OrderId;

use crate::Api;
use crate::access::Needs;
use crate::problem::Problem;
use crate::request::{Caller, unknown};
use crate::table::Table;

pub(crate) use list::{of_customer, of_customer_says};

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::CUSTOMER, "/orders", place::place, place::place_says)
        .list(Needs::CUSTOMER, "/orders", list::all, list::all_says)
        .get(Needs::CUSTOMER, "/orders/{id}", read::order, read::order_says)
        .patch(Needs::CUSTOMER, "/orders/{id}", change::change, change::change_says)
        .delete(Needs::CUSTOMER, "/orders/{id}", change::cancel, change::cancel_says)
        .get(Needs::CUSTOMER, "/orders/{id}/events", read::events, read::events_says)
        .get(Needs::CUSTOMER, "/orders/{id}/payments", read::payments, read::payments_says)
        .get(Needs::CUSTOMER, "/orders/{id}/deliveries", read::deliveries, read::deliveries_says)
}

impl Api {
    /// The rows of an order, folded from its stream now; `None` if it was never placed.
    pub(crate) async fn rows(&self, id: &OrderId) -> Result<Option<OrderRows>, StoreError> {
        let stream = self.log.read_stream(&pk(id)).await?;
        Ok(views::project::order_rows(&stream))
    }

    /// 404 unless the order is this caller's business. Those whose business everything is are not kept waiting.
    async fn check_owner(&self, id: &OrderId, caller: &Caller) -> Result<(), Problem> {
        if caller.principal.sees() == Sees::Everybody {
            return Ok(());
        }
        let rows = self.folded(id).await?;
        caller.sees(&rows.order.customer_id, || unknown::<OrderId>().about(id))
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
