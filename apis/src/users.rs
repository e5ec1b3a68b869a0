//! People who log in: registering, logging in, and who there is.

use std::sync::Arc;

use auth::{Principal, digest, password};
use axum::extract::State;
use axum::http::StatusCode;
use event_store::{Added, Allowance, Personal, Role, User, UserRow};
use events::{CustomerId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::customers;
use crate::fields::{Bad, Fields, Kind, id, kind, one_of, string};
use crate::openapi::Operation;
use crate::paging::Wanted;
use crate::problem::Problem;
use crate::request::{Caller, PathText, Said, Sent};
use crate::shape;
use crate::table::{LOGIN, Table, USERS};

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::Perhaps, USERS, register, register_says)
        .list(Needs::ADMIN, USERS, list, list_says)
        .get(Needs::CUSTOMER, "/users/me", me, me_says)
        .delete(Needs::ADMIN, "/users/{name}", remove, remove_says)
        .post(Needs::Nothing, LOGIN, log_in, log_in_says)
}

/// Wrong passwords for one name: from one address, so that nobody far away keeps its owner out; and from all of them
/// together, because guesses come from many. Source of the second: NIST SP 800-63B-4, section 3.2.2, allows 100 that follow
/// one another. Whoever logs in has all of them again.
const LOGINS: Allowance = Allowance { each: 15, all: 100, within: 10 * 60 * 1_000 };
/// Passwords tried from one address, right ones too: for whoever tries one password at every name. And registrations from
/// one: each takes a hash, and an event that stays. An office behind one address does with fewer.
const FROM_ONE_ADDRESS: Allowance = Allowance { each: 100, all: 100, within: 10 * 60 * 1_000 };

/// Whose tries those at a name are. Names may be addresses of people, so they are hashed.
pub(crate) fn logins_of(username: &str) -> String {
    format!("logins {}", digest(username))
}

/// `POST /users` {username, password, name?, email?, address?}: somebody registers, and is a customer from then on. With
/// {role, customer_id?} an admin makes a user of any role. A repeat with the same password completes what an earlier
/// request may have left undone.
async fn register(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(Newcomer { username, password, role, customer_id, personal }): Sent<Newcomer>,
) -> Result<Answer, Problem> {
    if role.is_some() || customer_id.is_some() {
        // Who says what somebody may is somebody who may say so.
        caller.has(Role::Admin)?;
    }
    // Whose id is given is registered already, or will be.
    let is_new_customer = customer_id.is_none();
    let given = customer_id.clone();
    let role = role.unwrap_or(Role::Customer);
    let stamp = api.stamper.stamp(None);
    let made = caller.made(&stamp);
    let mut row = UserRow {
        username,
        user_id: format!("usr-{}", made.to_string().to_ascii_lowercase()),
        role,
        customer_id: customer_id.or_else(|| (role == Role::Customer).then(|| customers::made(made))),
        created_at: stamp.occurred_at,
    };
    if caller.has(Role::Admin).is_err() {
        let (from, now) = (tries_from(&api, &caller, "registrations").await?, api.stamper.now());
        if let Some(again) = api.access.tries.take_try(&from, "", FROM_ONE_ADDRESS, now).await? {
            return Err(too_many(now, again, "to register from your address"));
        }
    }
    // A name that is taken is not worth a hash.
    let is_new = api.access.users.user(&row.username).await?.is_none() && {
        let password_hash = hashed(password.clone()).await?;
        match api.access.users.add_user(User { row: row.clone(), password_hash }).await? {
            Added::New => true,
            Added::Taken => false,
            Added::Erased => return Err(customers::erased()),
        }
    };
    if !is_new {
        row = registered_before(&api, &caller, &row, given.as_ref(), password).await?;
    }
    if let Some(customer_id) = row.customer_id.as_ref().filter(|_| is_new_customer) {
        let says_nothing = personal == Personal::default();
        match customers::register_as(&api, &caller, stamp, customer_id, personal).await {
            // Who registers again, and says nothing of themselves this time, is who they said they are.
            Err(problem) if says_nothing && !is_new && problem.code() == "customer_exists" => {}
            registered => drop(registered?),
        }
    }
    if let Some(customer_id) = &row.customer_id {
        customers::not_for_the_erased(&api, customer_id).await?;
    }
    Ok(if is_new { Answer::created(&row, "/users/me".into()) } else { Answer::ok(&row) })
}

/// As it is kept: what a customer is called at the login may say who the customer is, and nobody finds kept answers by whom
/// they are about.
fn nameless(row: UserRow) -> UserRow {
    match row.customer_id {
        Some(_) => UserRow { username: String::new(), ..row },
        None => row,
    }
}

fn register_says(says: &mut Operation) {
    says.summary("Register")
        .detail(
            "Whoever registers is a customer from then on. With `role` or `customer_id` an admin makes a user of any role. \
             A repeat with the same password is the same registration.",
        )
        .field("username", "What is typed at the login; upper and lower case are one.")
        .field("password", "At least 15 characters, at most 256 bytes.")
        .field("role", "What the user may ask for; an admin's to say.")
        .field("customer_id", "Who the user is as a customer; an admin's to say, and goes with the role customer.")
        .example("anna", json!({ "username": "anna", "password": "correct horse battery", "name": "Anna" }))
        .answers::<UserRow>(201, "The user.")
        .with_header(&[201], "Location")
        .answers::<UserRow>(200, "The user was registered before, with this password.")
        .refuses(StatusCode::FORBIDDEN, "forbidden", "Only an admin says what somebody may.")
        .refuses(StatusCode::UNAUTHORIZED, "unauthenticated", "Only an admin says what somebody may, and nothing was shown.")
        .refuses(StatusCode::CONFLICT, "username_taken", "The username is taken.");
    customers::say_personal(says);
    customers::say_unregistered(says);
    say_tries(says);
}

/// Somebody who wants to log in from now on.
struct Newcomer {
    username: String,
    password: String,
    role: Option<Role>,
    customer_id: Option<CustomerId>,
    personal: Personal,
}

impl Said for Newcomer {
    fn read(body: &mut Fields) -> Option<Self> {
        let username = body.required("username", username());
        let password = body.required("password", new_password());
        let role = body.optional("role", one_of(&Role::ALL.map(|role| (role.as_str(), role))));
        let customer_id = body.optional("customer_id", id(CustomerId::parse));
        let personal = customers::personal(body);
        let is_customer = role.is_none_or(|role| role == Role::Customer);
        if customer_id.is_some() && !is_customer {
            body.refuse("customer_id", Bad("not_applicable", "goes only with role customer".into()));
        }
        // Who is a customer already told it when they were registered; an operator's would be kept nowhere.
        if customer_id.is_some() || !is_customer {
            let Personal { name, email, address } = &personal;
            for (field, told) in [("name", name), ("email", email), ("address", address)] {
                if told.is_some() {
                    let detail = "goes only with a new customer: with role customer, and without customer_id";
                    body.refuse(field, Bad("not_applicable", detail.into()));
                }
            }
        }
        Some(Newcomer { username: username?, password: password?, role, customer_id, personal })
    }
}

/// What is said of passwords that are tried.
fn say_tries(says: &mut Operation) {
    let many = "In 10 minutes there were 15 wrong passwords for this username from your address, 100 from all, or 100 \
        passwords for all usernames, or 100 registrations, from your address.";
    let busy = "Too many are registering or logging in just now.";
    says.refuses(StatusCode::TOO_MANY_REQUESTS, "too_many_logins", many)
        .with_header(&[429], "Retry-After")
        .refuses(StatusCode::SERVICE_UNAVAILABLE, "too_busy", busy);
}

/// The user of this name, if whoever asks knows the password and wants the same.
async fn registered_before(
    api: &Api,
    caller: &Caller,
    wanted: &UserRow,
    customer_id: Option<&CustomerId>,
    password: String,
) -> Result<UserRow, Problem> {
    let taken = || Problem::conflict("username_taken", "this username is taken; choose another one");
    let User { row, .. } = checked(api, caller, &wanted.username, password).await?.ok_or_else(taken)?;
    let is_same =
        row.role == wanted.role && (customer_id.is_none() || customer_id == row.customer_id.as_ref());
    if is_same { Ok(row) } else { Err(taken()) }
}

/// Whose tries those from an address are. There are few addresses, so what they are hashed with is a secret.
async fn tries_from(api: &Api, caller: &Caller, what: &str) -> Result<String, Problem> {
    let secret = auth::hex(&api.access.cursors.get().await?);
    Ok(format!("{what} from {}", digest(&format!("{secret} {}", caller.origin))))
}

/// The user of this name, if this is the password. Every look takes one of few tries; one that was right gives them back.
async fn checked(
    api: &Api,
    caller: &Caller,
    username: &str,
    password: String,
) -> Result<Option<User>, Problem> {
    // Before a try is written down: nobody fills the store faster than passwords are hashed.
    let place = place()?;
    let now = api.stamper.now();
    let tries = &api.access.tries;
    let from = tries_from(api, caller, "logins").await?;
    if let Some(again) = tries.take_try(&from, "", FROM_ONE_ADDRESS, now).await? {
        return Err(too_many(now, again, "from your address"));
    }
    // Hashed with the name, so that what is kept does not say who was where.
    let by = &digest(&format!("{username} {}", caller.origin))[..16];
    if let Some(again) = tries.take_try(&logins_of(username), by, LOGINS, now).await? {
        return Err(too_many(now, again, "for this username"));
    }
    let user = api.access.users.user(username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    // As long for nobody as for somebody.
    let is_right = is_right(place, password, hash).await?;
    if is_right && user.is_some() {
        tries.forget_tries(&logins_of(username), api.stamper.now()).await?;
    }
    Ok(user.filter(|_| is_right))
}

fn list_says(says: &mut Operation) {
    says.summary("List users, newest first").lists::<UserRow>("users", "A page of users.");
}

async fn list(State(api): State<Arc<Api>>, wanted: Wanted) -> Result<Answer, Problem> {
    let list = api.list_of("users").await?;
    let window = list.window(wanted)?;
    let page = api.access.users.users(&window).await?;
    Ok(Answer::ok(&list.page("users", &page)))
}

/// `GET /users/me`: who asks, as this system knows them.
async fn me(caller: Caller) -> Answer {
    Answer::ok(&caller.principal)
}

fn me_says(says: &mut Operation) {
    says.summary("Show who asks").answers::<Principal>(200, "Who asks, as this system knows them.");
}

/// `DELETE /users/{name}`: nobody logs in under this name any more, and no token of the user opens anything from now on;
/// elsewhere for at most [`auth::CACHED`] milliseconds more. Who the user is as a customer stays: that is erased by
/// `DELETE /customers/{id}`.
async fn remove(State(api): State<Arc<Api>>, PathText(username): PathText) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found("user_not_found", "there is no user of this name");
    let username = username.ok_or_else(unknown)?.to_ascii_lowercase();
    let row = api.access.users.remove_user(&username).await?.ok_or_else(unknown)?;
    api.access.authenticator.forget_user(&username);
    api.access.tries.forget_tries(&logins_of(&username), api.stamper.now()).await?;
    Ok(Answer::ok(&row).kept_as(&nameless(row.clone())))
}

fn remove_says(says: &mut Operation) {
    says.summary("Remove a user")
        .detail(
            "Nobody logs in under this name any more, and what was opened by a login is shut; elsewhere a minute later at \
             most. The customer who the user was stays, and so do their orders and API keys: `DELETE /customers/{id}` erases \
             those.",
        )
        .in_path("name", "The username, as it was registered.", "anna")
        .answers::<UserRow>(200, "The user, as it was.")
        .refuses(StatusCode::NOT_FOUND, "user_not_found", "There is no user of this name.");
}

/// `POST /login` {username, password}: a token for `Authorization: Bearer`.
async fn log_in(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(Login { username, password }): Sent<Login>,
) -> Result<Answer, Problem> {
    let Some(User { row: user, .. }) = checked(&api, &caller, &username, password).await? else {
        let detail = "there is no user of this name with this password";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "invalid_login", detail));
    };
    let (token, expires_in) = api.access.authenticator.token_for(&user).await?;
    Ok(Answer::ok(&Token { token, token_type: "Bearer", expires_in, role: user.role }))
}

fn log_in_says(says: &mut Operation) {
    says.summary("Log in")
        .field("username", "As it was registered.")
        .field("password", "As it was registered.")
        .example("anna", json!({ "username": "anna", "password": "correct horse battery" }))
        .answers::<Token>(200, "A token for `Authorization: Bearer`.")
        .refuses(
            StatusCode::UNAUTHORIZED,
            "invalid_login",
            "There is no user of this name with this password.",
        );
    say_tries(says);
}

/// Who wants to log in.
struct Login {
    username: String,
    password: String,
}

impl Said for Login {
    fn read(body: &mut Fields) -> Option<Self> {
        let username = body.required("username", username());
        let password = body.required("password", any_password());
        Some(Login { username: username?, password: password? })
    }
}

#[derive(Serialize)]
struct Token {
    token: String,
    token_type: &'static str,
    expires_in: i64,
    role: Role,
}

shape! {
    "What a login opens.",
    Token as "Token" {
        token: "Goes behind `Authorization: Bearer`." = "eyJhbGciOiJIUzI1NiJ9.…",
        token_type: "How it is shown." = "Bearer",
        expires_in: "For so many seconds it opens anything." = 3600,
        role: "What its user may ask for.",
    }
}

fn too_many(now: Timestamp, again: Timestamp, of_what: &str) -> Problem {
    let seconds = (again.millis() - now.millis()).max(0) / 1_000 + 1;
    let detail = format!("too many tries {of_what}; try again in {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_logins", detail).retry_after(seconds.unsigned_abs())
}

/// 3 to 64 characters that people type, in lower case from here on.
fn username() -> impl Kind<Value, String> {
    let schema = || json!({ "type": "string", "pattern": "^[A-Za-z0-9._@+-]{3,64}$" });
    kind(schema, |value: &Value| {
        let text = string(value)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
        if (3..=64).contains(&text.len()) && text.chars().all(is_plain) {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(Bad("invalid_username", "must be 3 to 64 characters of A-Z, a-z, 0-9, . _ @ + and -".into()))
        }
    })
}

fn new_password() -> impl Kind<Value, String> {
    let schema =
        || json!({ "type": "string", "minLength": password::SHORTEST, "maxLength": password::LONGEST });
    kind(schema, |value: &Value| {
        let text = any_password().read(value)?;
        if text.chars().count() < password::SHORTEST {
            let detail = format!("must have at least {} characters", password::SHORTEST);
            return Err(Bad("too_short", detail.into()));
        }
        Ok(text)
    })
}

fn any_password() -> impl Kind<Value, String> {
    let schema = || json!({ "type": "string", "maxLength": password::LONGEST });
    kind(schema, |value: &Value| {
        let text = string(value)?;
        if text.len() > password::LONGEST {
            return Err(Bad("too_long", format!("must have at most {} bytes", password::LONGEST).into()));
        }
        Ok(text.to_owned())
    })
}

/// So many passwords are hashed at once: each takes a core for tens of milliseconds, and 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(2);
/// So many wait for that at most; whoever comes then may ask again.
const WAITING: usize = 64;
static PLACES: Semaphore = Semaphore::const_new(WAITING);

type Permit = SemaphorePermit<'static>;

fn busy() -> Problem {
    let detail = "too many are registering or logging in just now; ask again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy", detail)
}

/// A place among those who wait until a password may be hashed.
fn place() -> Result<Permit, Problem> {
    PLACES.try_acquire().map_err(|_| busy())
}

/// Waits until a password may be hashed. That takes tens of milliseconds: a thread does it that may be busy for so long.
async fn hashing<T: Send + 'static>(
    _place: Permit,
    hash: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let _turn = HASHING.acquire().await.map_err(|_| busy())?;
    let hashed = tokio::task::spawn_blocking(hash).await;
    hashed.map_err(|_| Problem::internal("hashing a password did not come to its end"))
}

async fn hashed(password: String) -> Result<String, Problem> {
    hashing(place()?, move || password::hash(&password)).await
}

async fn is_right(place: Permit, password: String, hash: Option<String>) -> Result<bool, Problem> {
    hashing(place, move || password::is(&password, hash.as_deref())).await
}
