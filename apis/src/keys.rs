//! Keys of programs: made, shown once, listed, revoked.

use std::sync::Arc;

use auth::key;
use axum::extract::State;
use event_store::{KeyRow, Role};
use events::CustomerId;
use serde::Serialize;

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::customers;
use crate::fields::{Bad, Fields, id, one_of, text};
use crate::params::Params;
use crate::problem::Problem;
use crate::request::PathText;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table.post(Needs::ADMIN, "/keys", make).list(Needs::ADMIN, "/keys", list).delete(
        Needs::ADMIN,
        "/keys/{id}",
        revoke,
    )
}

/// A key, and the one time that it is shown whole.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    row: &'a KeyRow,
    api_key: &'a str,
}

/// `POST /keys` {name, role, customer_id?}.
async fn make(State(api): State<Arc<Api>>, mut body: Fields) -> Result<Answer, Problem> {
    let name = body.required("name", text(100));
    let role = body.required("role", one_of(&Role::ALL.map(|role| (role.as_str(), role))));
    let customer_id = body.optional("customer_id", id(CustomerId::parse));
    if role == Some(Role::Customer) && customer_id.is_none() {
        body.refuse("customer_id", Bad("required", "is required for a customer's key".into()));
    }
    if customer_id.is_some() && role.is_some_and(|role| role != Role::Customer) {
        body.refuse("customer_id", Bad("not_applicable", "goes only with role customer".into()));
    }
    let (name, role) = body.finish(name.zip(role))?;
    let (made, shown) = key::new(name, role, customer_id, api.stamper.now());
    if !api.access.keys.add_key(made.clone()).await? {
        return Err(Problem::internal("two keys have the same random id"));
    }
    if let Some(customer_id) = &made.row.customer_id {
        customers::not_for_the_erased(&api, customer_id).await?;
    }
    let location = format!("/keys/{}", made.row.key_id);
    let answer = Answer::created(&Made { row: &made.row, api_key: &shown }, location);
    // What is kept for whoever asks again must not hold the secret.
    Ok(answer.kept_as(&nameless(made.row)))
}

/// As it is kept: what a customer's key is called may say who the customer is, and nobody finds kept answers by whom
/// they are about.
fn nameless(row: KeyRow) -> KeyRow {
    match row.customer_id {
        Some(_) => KeyRow { name: String::new(), ..row },
        None => row,
    }
}

async fn list(State(api): State<Arc<Api>>, mut params: Params) -> Result<Answer, Problem> {
    let list = api.list_of("keys").await?;
    let window = list.window(&mut params);
    params.finish()?;
    let page = api.access.keys.keys(&window).await?;
    Ok(Answer::ok(&list.page("keys", &page)))
}

/// `DELETE /keys/{id}`: it opens nothing from now on; elsewhere for at most [`auth::CACHED`] milliseconds more.
async fn revoke(State(api): State<Arc<Api>>, PathText(key_id): PathText) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found("key_not_found", "there is no key with this id");
    let key_id = key_id.ok_or_else(unknown)?;
    let row = api.access.keys.revoke_key(&key_id, api.stamper.now()).await?.ok_or_else(unknown)?;
    api.access.authenticator.forget_key(&key_id);
    Ok(Answer::ok(&row).kept_as(&nameless(row.clone())))
}
