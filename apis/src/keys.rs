//! Keys of programs: made, shown once, listed, revoked.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::{Added, KeyRow, Role};
use events::CustomerId;
use serde::Serialize;
use serde_json::json;

use crate::Api;
use crate::access::{Access, Needs};
use crate::answer::Answer;
use crate::customers;
use crate::fields::{Bad, Fields, id, one_of, text};
use crate::openapi::Operation;
use crate::paging::Wanted;
use crate::problem::Problem;
use crate::request::{Caller, PathText, Said, Sent};
use crate::shape;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table.post(Needs::ADMIN, "/keys", make, make_says).list(Needs::ADMIN, "/keys", list, list_says).delete(
        Needs::ADMIN,
        "/keys/{id}",
        revoke,
        revoke_says,
    )
}

/// A key, and the one time that it is shown whole.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    row: &'a KeyRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

shape! {
    "An API key that was just made.",
    Made<'_> as "NewKey" {} perhaps {
        api_key: "What goes into `x-api-key`. It is shown once: when its answer is given again under the same Idempotency-Key, it is left out."
            = "sgl_4f0a1c2b3d4e5f60_…",
    } with row
}

/// `POST /keys` {name, role, customer_id?}.
async fn make(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(Asked { name, role, customer_id }): Sent<Asked>,
) -> Result<Answer, Problem> {
    let Access { keys, authenticator, .. } = &api.access;
    let request = caller.again.as_ref().map(|again| (again.seed, &*again.key));
    let (made, shown) = authenticator.new_key(request, name, role, customer_id).await?;
    let row = loop {
        match keys.add_key(made.clone()).await? {
            Added::New => break made.row,
            Added::Erased => return Err(customers::erased()),
            Added::Taken => {}
        }
        match keys.key(&made.row.key_id).await? {
            // It was taken away in between, with its customer.
            None => {}
            Some(own) if own.secret_hash != made.secret_hash => {
                return Err(Problem::internal("two keys have the same random id"));
            }
            Some(own) if own.row.revoked_at.is_some() => {
                let detail = "this key was made, and revoked before anybody was shown it; ask for another one under \
                    another Idempotency-Key";
                return Err(Problem::conflict("key_revoked", detail));
            }
            // A request that broke off made it, and told nobody.
            Some(own) => break own.row,
        }
    };
    if let Some(customer_id) = &row.customer_id {
        customers::not_for_the_erased(&api, customer_id).await?;
    }
    let location = format!("/keys/{}", row.key_id);
    let answer = Answer::created(&Made { row: &row, api_key: Some(&shown) }, location);
    // What is kept for whoever asks again must not hold the secret.
    Ok(answer.kept_as(&nameless(row)))
}

/// As it is kept: what a customer's key is called may say who the customer is, and nobody finds kept answers by whom
/// they are about.
fn nameless(row: KeyRow) -> KeyRow {
    match row.customer_id {
        Some(_) => KeyRow { name: String::new(), ..row },
        None => row,
    }
}

fn make_says(says: &mut Operation) {
    says.summary("Make an API key")
        .field("name", "What it is for.")
        .field("role", "What it may ask for.")
        .field("customer_id", "Whose orders; goes with the role customer, which needs it.")
        .example("for packers", json!({ "name": "the packers", "role": "operator" }))
        .example("for a customer", json!({ "name": "anna", "role": "customer", "customer_id": "anna-1" }))
        .answers::<Made<'_>>(201, "The key, and the one time that it is shown whole.")
        .with_header(&[201], "Location")
        .refuses(StatusCode::CONFLICT, "customer_erased", "The customer was erased for good.")
        .refuses(
            StatusCode::CONFLICT,
            "key_revoked",
            "An earlier try of this request made the key, and it was revoked before anybody was shown it.",
        );
}

/// A key to be made.
#[derive(Debug)]
struct Asked {
    name: String,
    role: Role,
    customer_id: Option<CustomerId>,
}

impl Said for Asked {
    fn read(body: &mut Fields) -> Option<Self> {
        let name = body.required("name", text(100));
        let role = body.required("role", one_of(&Role::ALL.map(|role| (role.as_str(), role))));
        let customer_id = body.optional("customer_id", id(CustomerId::parse));
        if role == Some(Role::Customer) && customer_id.is_none() {
            body.refuse("customer_id", Bad("required", "is required for a customer's key".into()));
        }
        if customer_id.is_some() && role.is_some_and(|role| role != Role::Customer) {
            body.refuse("customer_id", Bad("not_applicable", "goes only with role customer".into()));
        }
        Some(Asked { name: name?, role: role?, customer_id })
    }
}

async fn list(State(api): State<Arc<Api>>, wanted: Wanted) -> Result<Answer, Problem> {
    let list = api.list_of("keys").await?;
    let window = list.window(wanted)?;
    let page = api.access.keys.keys(&window).await?;
    Ok(Answer::ok(&list.page("keys", &page)))
}

fn list_says(says: &mut Operation) {
    says.summary("List API keys, newest first").lists::<KeyRow>("keys", "A page of keys, revoked ones too.");
}

/// `DELETE /keys/{id}`: it opens nothing from now on; elsewhere for at most [`auth::CACHED`] milliseconds more.
async fn revoke(State(api): State<Arc<Api>>, PathText(key_id): PathText) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found("key_not_found", "there is no key with this id");
    let key_id = key_id.ok_or_else(unknown)?;
    let row = api.access.keys.revoke_key(&key_id, api.stamper.now()).await?.ok_or_else(unknown)?;
    api.access.authenticator.forget_key(&key_id);
    Ok(Answer::ok(&row).kept_as(&nameless(row.clone())))
}

fn revoke_says(says: &mut Operation) {
    says.summary("Revoke an API key")
        .detail("It opens nothing from now on; elsewhere for a minute more at most.")
        .in_path("id", "Names the key: the part that is no secret.", "4f0a1c2b3d4e5f60")
        .answers::<KeyRow>(200, "The key, revoked.")
        .refuses(StatusCode::NOT_FOUND, "key_not_found", "There is no key with this id.");
}
