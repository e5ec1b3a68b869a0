//! The first key of an account: an API that lets in nobody without a key cannot be asked for one.

use anyhow::bail;
use auth::key;
use event_store::{Added, KeyRow, Keys, Role, Stamper, SystemStamper};
use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};

use crate::stacks;

/// Makes a key in the table of those who may ask; gives its row and, this once, the key. Customers' keys are made by the
/// API, which knows whether a customer was erased.
///
/// # Errors
/// As [`stacks::table`]; what the table says.
pub async fn create_key(connection: &Connection, name: &str, role: Role) -> anyhow::Result<(KeyRow, String)> {
    if role == Role::Customer {
        bail!("a customer's key is made by the API: POST /keys");
    }
    let users = stacks::table(connection, stacks::OMS, "UserTable").await?;
    let store = DynamoStore::new(connection, Tables { users, ..Tables::default() }, Limits::default());
    let (key, shown) = key::new(name.to_owned(), role, None, SystemStamper::new("sagaline").now());
    let row = key.row.clone();
    if store.add_key(key).await? != Added::New {
        bail!("two keys have the same random id; try again");
    }
    Ok((row, shown))
}
