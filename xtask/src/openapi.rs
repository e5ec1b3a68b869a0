//! `cargo xtask test openapi`: whether the API's description is OpenAPI, and whether a server answers as it says.

use std::fs;
use std::process::Command;

use anyhow::Context;
use serde_json::json;

use crate::server::Server;
use crate::smoke::Api;
use crate::tools::install_python;
use crate::{cargo, root, step};

const PACKAGES: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];
/// So many requests of each kind are made up for each operation, beside those that its description calls for.
const EXAMPLES: &str = "10";

/// Tries every operation with what its description allows and with what it does not, and looks whether each answer is one
/// that is described. The same requests every time, and about two minutes of them.
///
/// # Errors
/// A description that is none, or a server that does something else.
pub fn test() -> anyhow::Result<()> {
    let programs = install_python(&root().join(".tools").join("openapi"), &PACKAGES)?;
    // As tests are built: it panics where it counts past a limit, and a panic is found.
    step("build of the server", cargo(&["build", "--package", "sagaline"]))?;
    let server = Server::under("debug", "openapi", &[])?;
    let key = server.first_key.clone().context("the first start shows the first key")?;
    let api = Api::at(&server.url, &Some(key.clone()))?;
    let description = api.insist("GET", "/openapi.json", None)?.body;
    let written = root().join("target").join("openapi.json");
    fs::write(&written, format!("{description:#}"))?;
    let mut validator = Command::new(programs.join("openapi-spec-validator"));
    validator.arg(&written);
    step("OpenAPI 3.1", validator)?;

    furnish(&api)?;
    let mut schemathesis = Command::new(programs.join("schemathesis"));
    schemathesis.args(["--config-file", "schemathesis.toml", "run", "--checks", "all", "--workers", "1"]);
    schemathesis.args(["--max-examples", EXAMPLES, "--url", &server.url]).arg(&written);
    schemathesis.current_dir(root().join("xtask").join("openapi")).env("SAGALINE_API_KEY", key);
    step("schemathesis", schemathesis)
}

/// What the examples of the description speak of.
fn furnish(api: &Api) -> anyhow::Result<()> {
    let product = json!({ "product_id": "teapot", "sku": "TEAPOT-RED", "name": "Red teapot", "price": 25.5 });
    let items = json!([{ "sku": "TEAPOT-RED", "quantity": 2 }]);
    for (path, body) in [
        ("/customers", json!({ "customer_id": "anna-1", "name": "Anna" })),
        ("/products", product),
        ("/inventory/restocks", json!({ "sku": "TEAPOT-RED", "units": 100, "lot_id": "lot-0001" })),
        ("/orders", json!({ "order_id": "order-0001", "customer_id": "anna-1", "items": items })),
        ("/ops/audits", json!({ "patience": 0 })),
        ("/ops/replays", json!({ "view": "orders" })),
    ] {
        api.insist("POST", path, Some(&body))?;
    }
    Ok(())
}
