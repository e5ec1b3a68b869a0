//! The HTTP API: requests become events, and the log and its read models become answers.
//!
//! One file per resource. What every request goes through is in `edge`, what every body goes through
//! in `fields`, and what is answered when something is wrong in [`problem`]. `compat` translates
//! an older system's routes onto the same commands and rows.

pub mod access;
pub mod answer;
pub mod appends;
mod chaos;
mod compat;
mod customers;
mod edge;
mod fields;
mod health;
mod idempotency;
mod inventory;
mod json;
mod keys;
pub mod limits;
mod lines;
pub mod openapi;
mod orders;
mod paging;
mod params;
mod preconditions;
mod prefer;
pub mod problem;
mod products;
mod request;
mod settle;
mod table;
mod users;

use std::sync::Arc;

use axum::Router;
use event_store::{CatalogViews, EventLog, Idempotency, OrderViews, Stamper, StockViews};
use serde_json::Value;

use views::Pause;

use access::{Access, Needs};
pub use idempotency::LEASE;
use openapi::Operation;
pub use request::{read_body, say_unread};
use table::{Query, Route, Table};

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
    /// Answers that were given already.
    pub kept: Arc<dyn Idempotency>,
    /// Who may ask.
    pub access: Access,
    /// Waiting for an order to settle, for a client that would rather wait than ask again.
    pub pause: Arc<dyn Pause>,
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

/// Somebody else's route: method, path, who may ask for it, and what is said of it.
pub type Beside = (&'static str, &'static str, Needs, fn(&mut Operation));

/// As [`router`], and beside it somebody else's routes, with the same around them, in one description.
pub fn router_beside(others: Router, routes: &[Beside], api: Arc<Api>) -> Router {
    let routes = beside(routes);
    let own = edge::around(openapi::routes(all(), routes.clone()), api.clone());
    own.merge(edge::enclose(others, routes, api))
}

/// The description of every route, and of somebody else's beside them: OpenAPI 3.1.
pub fn description(routes: &[Beside]) -> Value {
    openapi::document(&[table().routes, beside(routes)].concat())
}

/// What is said of nothing, or not said of something, in the description of every route and of somebody else's.
pub fn mistakes(routes: &[Beside]) -> Vec<String> {
    openapi::mistakes(&[table().routes, beside(routes)].concat())
}

fn beside(routes: &[Beside]) -> Vec<Route> {
    let route = |&(method, path, needs, says): &Beside| {
        let mut said = Operation::on(path);
        says(&mut said);
        let query = if said.reads_query() { Query::Read } else { Query::Refused };
        Route { method, path, query, needs, asks: |_| (), says }
    };
    routes.iter().map(route).collect()
}

/// The routes of orders, customers and products: what the function `oms-api` serves.
pub fn oms_router(api: Arc<Api>) -> Router {
    edge::around(table_of(OMS), api)
}

/// The routes of stock: what the function `ims-api` serves.
pub fn ims_router(api: Arc<Api>) -> Router {
    edge::around(table_of(IMS), api)
}

/// The routes that forge events: what the function `chaos-api` serves, where there is one.
pub fn chaos_router(api: Arc<Api>) -> Router {
    edge::around(table_of(CHAOS), api)
}

/// Every route as (method, path template): the table that [`router`] is built from.
pub fn routes() -> Vec<(&'static str, &'static str)> {
    listed(&table())
}

/// Every route, and who may ask for it.
pub fn needs() -> Vec<(&'static str, &'static str, Needs)> {
    table().routes.iter().map(|route| (route.method, route.path, route.needs)).collect()
}

/// The routes of the function that a binary is; none, if it answers no requests.
pub fn routes_of(binary: &str) -> Vec<(&'static str, &'static str)> {
    listed(&table_of(binary))
}

const OMS: &str = "oms-api";
const IMS: &str = "ims-api";
const CHAOS: &str = "chaos-api";

/// Each API says whether it lives and is ready, and what it takes; one machine is one, and says so once.
fn table() -> Table {
    openapi::routes(all(), Vec::new())
}

fn all() -> Table {
    health::routes(forging(ims(oms(Table::default()))))
}

fn table_of(binary: &str) -> Table {
    match binary {
        OMS => openapi::routes(health::routes(oms(Table::default())), Vec::new()),
        IMS => openapi::routes(health::routes(ims(Table::default())), Vec::new()),
        CHAOS => forging(Table::default()),
        _ => Table::default(),
    }
}

fn listed(table: &Table) -> Vec<(&'static str, &'static str)> {
    table.routes.iter().map(|route| (route.method, route.path)).collect()
}

fn oms(table: Table) -> Table {
    compat::order_routes(keys::routes(users::routes(products::routes(customers::routes(orders::routes(
        table,
    ))))))
}

fn ims(table: Table) -> Table {
    compat::inventory_routes(inventory::routes(table))
}

fn forging(table: Table) -> Table {
    compat::chaos_routes(chaos::routes(table))
}
