//! The HTTP API: requests become events, and the log and its read models become answers.
//!
//! One file per resource. What every request goes through is in `edge`, what every body goes through
//! in `fields`, and what is answered when something is wrong in [`problem`]. `compat` translates
//! an older system's routes onto the same commands and rows.

pub mod answer;
mod chaos;
mod compat;
mod customers;
mod edge;
mod fields;
mod health;
mod inventory;
mod json;
mod lines;
mod orders;
mod paging;
mod params;
pub mod problem;
mod products;
mod request;
mod settle;
mod table;

use std::sync::Arc;

use axum::Router;
use event_store::{CatalogViews, EventLog, OrderViews, Stamper, StockViews};

use table::Table;

/// What the API needs of the world.
pub struct Api {
    /// Where events are appended, and streams are read back strongly consistent.
    pub log: Arc<dyn EventLog>,
    /// Orders, payments and deliveries.
    pub orders: Arc<dyn OrderViews>,
    /// The stock counters and their ledger.
    pub stock: Arc<dyn StockViews>,
    /// Customers and products.
    pub catalog: Arc<dyn CatalogViews>,
    /// The clock, and the source of every id made here.
    pub stamper: Arc<dyn Stamper>,
    /// What may be asked of it.
    pub environment: Environment,
}

/// Where the API runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Anything may be tried out, forged events included.
    Dev,
    /// Raw events are refused outright.
    Prod,
}

/// Every route, with what all of them have in common around them.
pub fn router(api: Arc<Api>) -> Router {
    edge::around(table(), api)
}

/// Every route as (method, path template): the table that [`router`] is built from.
pub fn routes() -> Vec<(&'static str, &'static str)> {
    table().routes.iter().map(|route| (route.method, route.path)).collect()
}

fn table() -> Table {
    let resources = [
        orders::routes,
        inventory::routes,
        customers::routes,
        products::routes,
        chaos::routes,
        health::routes,
    ];
    compat::routes(resources.into_iter().fold(Table::default(), |table, resource| resource(table)))
}
