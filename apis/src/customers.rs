//! Customers: who they are stands in the log, what is known of them only in the customer table.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::{CustomerRow, Personal};
use events::{
    CustomerErased, CustomerId, CustomerRegistered, Event, Priority, RecordedEvent, Stamp, StreamKey, Ulid,
};
use serde_json::{Value, json};

use crate::Api;
use crate::access::{Access, Needs};
use crate::answer::Answer;
use crate::fields::{Bad, Fields, Kind, id, kind, lines_of_text, text};
use crate::openapi::Operation;
use crate::orders;
use crate::paging::Wanted;
use crate::problem::Problem;
use crate::request::{Caller, Named, Said, Sent, unknown};
use crate::settle::Settled;
use crate::table::Table;
use crate::users::logins_of;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::OPERATOR, "/customers", register, register_says)
        .list(Needs::OPERATOR, "/customers", list, list_says)
        .get(Needs::CUSTOMER, "/customers/{id}", customer, customer_says)
        .delete(Needs::CUSTOMER, "/customers/{id}", erase, erase_says)
        .list(Needs::CUSTOMER, "/customers/{id}/orders", orders::of_customer, orders::of_customer_says)
}

impl Api {
    /// A customer's row; folded from the stream where it is not there yet.
    pub(crate) async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, Problem> {
        match self.catalog.customer(id).await? {
            Some(row) => Ok(Some(row)),
            None => self.folded_customer(id).await,
        }
    }

    async fn folded_customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, Problem> {
        let stream = self.log.read_stream(&StreamKey::Customer(id.clone()).pk()).await?;
        Ok(views::project::customer_row(&stream))
    }
}

/// `POST /customers` {customer_id?, name?, email?, address?}.
async fn register(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(Newcomer { customer_id, personal }): Sent<Newcomer>,
) -> Result<Answer, Problem> {
    let stamp = api.stamper.stamp(None);
    let customer_id = customer_id.unwrap_or_else(|| made(caller.made(&stamp)));
    let location = format!("/customers/{customer_id}");
    let (row, is_new) = register_as(&api, &caller, stamp, &customer_id, personal).await?;
    let answer = if is_new { Answer::created(&row, location) } else { Answer::ok(&row) };
    // Kept answers cannot be found by whom they are about, so nobody's data may be in one.
    Ok(answer.kept_as(&CustomerRow { personal: Personal::default(), ..row }))
}

fn register_says(says: &mut Operation) {
    says.summary("Register a customer")
        .field("customer_id", "Names the customer. One is made where none is given.")
        .example("anna", json!({ "customer_id": "anna-2", "name": "Anna", "email": "anna@example.org" }))
        .answers::<CustomerRow>(
            201,
            "The customer, with what is known of the person: what you told, or what somebody else told before you.",
        )
        .with_header(&[201], "Location")
        .answers::<CustomerRow>(200, "The customer was registered before, as the same person.");
    say_personal(says);
    say_unregistered(says);
}

/// Somebody to be registered.
#[derive(Debug)]
struct Newcomer {
    customer_id: Option<CustomerId>,
    personal: Personal,
}

impl Said for Newcomer {
    fn read(body: &mut Fields) -> Option<Self> {
        let customer_id = body.optional("customer_id", id(CustomerId::parse));
        Some(Newcomer { customer_id, personal: personal(body) })
    }
}

/// What is said of the fields of a person.
pub(crate) fn say_personal(says: &mut Operation) {
    says.field("name", "Name.")
        .field("email", "Email address: one @ with something on both sides.")
        .field("address", "Postal address; may have several lines.");
}

/// Why somebody cannot be registered.
pub(crate) fn say_unregistered(says: &mut Operation) {
    let another = "The customer_id is registered with another name, email or address.";
    let unreadable = "What stands under this customer_id cannot be read.";
    says.refuses(StatusCode::CONFLICT, "customer_exists", another)
        .refuses(StatusCode::CONFLICT, "customer_erased", "The customer was erased for good.")
        .refuses(StatusCode::CONFLICT, "slot_taken", unreadable);
}

/// The fields of a person: all that is known of a customer, and none of it in the log.
pub(crate) fn personal(body: &mut Fields) -> Personal {
    Personal {
        name: body.optional("name", text(200)),
        email: body.optional("email", email()),
        address: body.optional("address", lines_of_text(1_000)),
    }
}

/// The id of a customer who chose none.
pub(crate) fn made(from: Ulid) -> CustomerId {
    let id = format!("cus-{}", from.to_string().to_ascii_lowercase());
    CustomerId::parse(&id).expect("a ULID has only letters and digits")
}

/// Registers a customer; says whether that is new.
pub(crate) async fn register_as(
    api: &Api,
    caller: &Caller,
    stamp: Stamp,
    customer_id: &CustomerId,
    personal: Personal,
) -> Result<(CustomerRow, bool), Problem> {
    let event = Event::CustomerRegistered(CustomerRegistered { customer_id: customer_id.clone() });
    let item = RecordedEvent::new(event, Vec::new(), stamp, caller.causes(Priority::Standard));
    // The log first: a customer without personal data is a customer, personal data without a customer is a leak.
    match api.append(item, caller).await? {
        Settled::Now(_) => Ok((keep(api, customer_id, personal).await?, true)),
        Settled::Again(_) => Ok((repeated(api, customer_id, personal, true).await?, true)),
        Settled::Before(_) => Ok((repeated(api, customer_id, personal, false).await?, false)),
    }
}

/// A registration of somebody who is registered. Where nothing is known of the customer yet, an earlier
/// request may have ended between the log and the table, so this one completes it. Somebody who was erased since is not
/// registered again; whose own registration it was, under the same `Idempotency-Key`, is told what became of it.
async fn repeated(
    api: &Api,
    id: &CustomerId,
    personal: Personal,
    is_own: bool,
) -> Result<CustomerRow, Problem> {
    let nothing = Personal::default();
    let row = match api.catalog.customer(id).await? {
        Some(row) if row.erased || row.personal != nothing || personal == nothing => row,
        _ => keep(api, id, personal.clone()).await?,
    };
    match row {
        row if is_own || (row.personal == personal && !row.erased) => Ok(row),
        row if row.erased => Err(erased()),
        _ => {
            let detail =
                "this customer_id is registered with another name, email or address; choose another one";
            Err(Problem::conflict("customer_exists", detail))
        }
    }
}

/// Keeps who a registered customer is, and gives what is known of them then: of somebody who was erased meanwhile nothing,
/// and of one of whom somebody else told first, what they told.
async fn keep(api: &Api, id: &CustomerId, personal: Personal) -> Result<CustomerRow, Problem> {
    let Some(row) = api.folded_customer(id).await? else {
        let detail =
            "the stream of this customer_id begins with an event that cannot be read; choose another one";
        return Err(Problem::conflict("slot_taken", detail));
    };
    api.catalog.put_customer(row.clone()).await?;
    if !row.erased && personal != Personal::default() {
        if api.catalog.put_personal(id, personal.clone()).await? {
            return Ok(CustomerRow { personal, ..row });
        }
        return Ok(api.catalog.customer(id).await?.unwrap_or(row));
    }
    Ok(row)
}

/// Takes away what was just made for somebody to act for a customer, if that customer is erased.
///
/// # Errors
/// 409 if so.
pub(crate) async fn not_for_the_erased(api: &Api, id: &CustomerId) -> Result<(), Problem> {
    if api.folded_customer(id).await?.is_some_and(|row| row.erased) {
        forget(api, id).await?;
        return Err(erased());
    }
    Ok(())
}

/// Takes away whoever could act for a customer, and what they tried lately.
async fn forget(api: &Api, id: &CustomerId) -> Result<(), Problem> {
    let Access { users, tries, authenticator, .. } = &api.access;
    let forgotten = users.forget_customer(id).await?;
    for key_id in &forgotten.key_ids {
        authenticator.forget_key(key_id);
    }
    for username in &forgotten.usernames {
        authenticator.forget_user(username);
        tries.forget_tries(&logins_of(username), api.stamper.now()).await?;
    }
    Ok(())
}

/// Nothing more is done for somebody who was erased.
pub(crate) fn erased() -> Problem {
    Problem::conflict(
        "customer_erased",
        "the data of this customer was erased for good; choose another customer_id",
    )
}

async fn customer(
    State(api): State<Arc<Api>>,
    Named(id): Named<CustomerId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    caller.sees(&id, unknown::<CustomerId>)?;
    let row = api.customer(&id).await?.ok_or_else(unknown::<CustomerId>)?;
    // Who somebody is, no event says.
    Ok(Answer::ok(&row).digested())
}

fn customer_says(says: &mut Operation) {
    says.summary("Show a customer").answers::<CustomerRow>(200, "The customer.").spares();
}

/// `DELETE /customers/{id}`: erases who the customer is, from everywhere, for good, and whoever could act for them. Their
/// orders stay, and name nobody. Once this answers it is done; however often it is asked for, what was left is done.
async fn erase(
    State(api): State<Arc<Api>>,
    Named(id): Named<CustomerId>,
    caller: Caller,
) -> Result<Answer, Problem> {
    caller.sees(&id, unknown::<CustomerId>)?;
    let stream = api.log.read_stream(&StreamKey::Customer(id.clone()).pk()).await?;
    if views::project::customer_row(&stream).is_none() {
        // Of somebody whose registration broke off there may be a login.
        forget(&api, &id).await?;
        return Err(unknown::<CustomerId>());
    }
    let latest = stream.iter().map(|item| item.event_id).max();
    let event = Event::CustomerErased(CustomerErased { customer_id: id.clone() });
    // The log first: what is erased stays so, whatever is written about the customer meanwhile.
    api.settle(event, latest, &caller, Priority::Standard).await?;
    let row = api.folded_customer(&id).await?.filter(|row| row.erased).ok_or_else(|| {
        let detail = "an event that cannot be read stands where the erasure should; ask an operator";
        Problem::conflict("slot_taken", detail)
    })?;
    api.catalog.put_customer(row.clone()).await?;
    forget(&api, &id).await?;
    Ok(Answer::ok(&row))
}

fn erase_says(says: &mut Operation) {
    let unreadable = "An event that cannot be read stands where the erasure should.";
    says.summary("Erase who a customer is")
        .detail(
            "From everywhere, for good, with their users and keys. Their orders stay, and name nobody. Once this answers \
             it is done; it may be asked for again.",
        )
        .answers::<CustomerRow>(200, "The customer, of whom nothing is known any more.")
        .refuses(StatusCode::CONFLICT, "slot_taken", unreadable);
}

async fn list(State(api): State<Arc<Api>>, wanted: Wanted) -> Result<Answer, Problem> {
    let list = api.list_of("customers").await?;
    let window = list.window(wanted)?;
    let page = api.catalog.customers(&window).await?;
    Ok(Answer::ok(&list.page("customers", &page)))
}

fn list_says(says: &mut Operation) {
    says.summary("List customers, newest first").lists::<CustomerRow>("customers", "A page of customers.");
}

/// One `@` with something on both sides, no space: whether it exists only a letter could tell.
fn email() -> impl Kind<Value, String> {
    let schema = || json!({ "type": "string", "maxLength": 254, "pattern": r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$" });
    kind(schema, |value: &Value| {
        let address = text(254).read(value)?;
        match address.split_once('@') {
            Some((user, host))
                if !user.is_empty()
                    && !host.is_empty()
                    && !host.contains('@')
                    && !address.contains(char::is_whitespace) =>
            {
                Ok(address)
            }
            _ => Err(Bad("invalid_email", "must be an email address like ann@example.org".into())),
        }
    })
}
