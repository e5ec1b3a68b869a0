//! What CloudFormation named the tables of the deployed stacks.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::DisplayErrorContext;
use event_store_dynamodb::{Connection, Tables};

/// The stacks, as `samconfig.toml` names them.
pub const STACKS: [&str; 2] = [OMS, "sagaline-ims"];
/// The one with the tables of those who may ask.
pub(crate) const OMS: &str = "sagaline-oms";

/// The tables of both stacks.
///
/// # Errors
/// A stack that is not there, or has not all of its tables; a service that does not answer.
pub async fn tables(connection: &Connection) -> anyhow::Result<Tables> {
    let client = Client::new(&connection.config());
    let mut found = BTreeMap::new();
    for stack in STACKS {
        found.extend(resources(&client, stack).await?);
    }
    let mut missing = Vec::new();
    let tables = Tables::named(|table| {
        found.remove(table).unwrap_or_else(|| {
            missing.push(table.to_owned());
            String::new()
        })
    });
    anyhow::ensure!(missing.is_empty(), "{} have no {}", STACKS.join(" and "), missing.join(", "));
    Ok(tables)
}

/// One table of one stack.
///
/// # Errors
/// A stack that is not there or has no such table; a service that does not answer.
pub(crate) async fn table(connection: &Connection, stack: &str, table: &str) -> anyhow::Result<String> {
    let client = Client::new(&connection.config());
    let found = resources(&client, stack).await?.remove(table);
    found.with_context(|| format!("{stack} has no {table}"))
}

/// The names in the account of what a stack consists of, by the names in its template.
async fn resources(client: &Client, stack: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = client.list_stack_resources().stack_name(stack).into_paginator().send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| anyhow!("{}", DisplayErrorContext(error)))
            .with_context(|| format!("failed to ask CloudFormation for the stack {stack}"))?;
        for resource in page.stack_resource_summaries.unwrap_or_default() {
            if let (Some(logical), Some(name)) = (resource.logical_resource_id, resource.physical_resource_id)
            {
                found.insert(logical, name);
            }
        }
    }
    Ok(found)
}
