//! Who may ask for what: every route says who, and what is shown with a request says who asks.

use std::net::IpAddr;
use std::sync::Arc;

use auth::{Authenticator, CURSORS, Credentials, Principal, Refusal, SharedSecret};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use event_store::{Keys, Role, Secrets, Stamper, Tries, Users};
use events::{CustomerId, Ulid};
use serde_json::json;

use crate::edge::is_compat;
use crate::limits::Limits;
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::request::Caller;
use crate::table::USERS;

/// How it is found out who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Not at all: whoever reaches this process may do everything. For the loopback address, to try things out.
    Open,
    /// By what the request shows.
    Here,
    /// The gateway's authorizer has found out, and whoever hands the request on says so by a [`Principal`] among its
    /// extensions.
    Gateway,
}

/// Who may ask for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Everybody; nobody is asked who they are.
    Nothing,
    /// Everybody; but whoever shows something has to prove it.
    Perhaps,
    /// Whoever has this role, or one that may more. Customers see what is theirs.
    Role(Role),
}

impl Needs {
    /// A customer, or whoever may more.
    pub const CUSTOMER: Needs = Needs::Role(Role::Customer);
    /// An operator, or whoever may more.
    pub const OPERATOR: Needs = Needs::Role(Role::Operator);
    /// An admin.
    pub const ADMIN: Needs = Needs::Role(Role::Admin);
}

/// The routes that need [`Needs::Perhaps`], for an authorizer that is asked before the table of routes is.
const PERHAPS: [(&str, &str); 1] = [("POST", USERS)];

/// Whether who shows nothing may ask for a route all the same, although who shows something has to prove it.
pub fn is_open_to_nobody(method: &str, path: &str) -> bool {
    PERHAPS.contains(&(method, path))
}

/// Everything that finds out who asks, and keeps who may.
#[derive(Clone)]
pub struct Access {
    /// How it is found out who asks.
    pub guard: Guard,
    /// The authorizer.
    pub authenticator: Arc<Authenticator>,
    /// Those who can log in.
    pub users: Arc<dyn Users>,
    /// Keys of programs.
    pub keys: Arc<dyn Keys>,
    /// What was tried lately.
    pub tries: Arc<dyn Tries>,
    /// What the cursors of lists are signed with.
    pub cursors: Arc<SharedSecret>,
    /// How many requests each may send.
    pub limits: Arc<Limits>,
}

impl Access {
    /// Keeps who may in one store. Nobody is limited.
    pub fn over<Store>(store: &Arc<Store>, clock: Arc<dyn Stamper>, guard: Guard) -> Access
    where
        Store: Users + Keys + Secrets + Tries + 'static,
    {
        let authenticator = Authenticator::new(store.clone(), store.clone(), store.clone(), clock);
        Access {
            guard,
            authenticator: Arc::new(authenticator),
            users: store.clone(),
            keys: store.clone(),
            tries: store.clone(),
            cursors: Arc::new(SharedSecret::new(store.clone(), CURSORS)),
            limits: Arc::new(Limits::new(None)),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// 401 if they do not prove who they are, 503 if that cannot be found out.
    pub async fn who(
        &self,
        needs: Needs,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Principal, Problem> {
        let shown = shown(headers);
        if needs == Needs::Nothing || (needs == Needs::Perhaps && shown == Credentials::default()) {
            return Ok(if self.guard == Guard::Open { Principal::anyone() } else { Principal::nobody() });
        }
        match self.guard {
            Guard::Open => Ok(Principal::anyone()),
            Guard::Gateway => {
                let said = extensions.get::<Principal>().cloned();
                said.ok_or_else(|| Problem::internal("the gateway handed on a request without its caller"))
            }
            Guard::Here => self.authenticator.principal(shown).await.map_err(refused),
        }
    }

    /// Where nobody is asked who they are, what counts is where the request comes from: not from a page of somebody
    /// else's that points a name of its own to this machine, or makes its visitor's browser send something here.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn comes_from_here(&self, request: &Request) -> Result<(), Problem> {
        if self.guard != Guard::Open {
            return Ok(());
        }
        let headers = request.headers();
        let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, "not_from_here", detail));
        if !headers.get(HOST).is_none_or(|host| host.to_str().is_ok_and(is_loopback)) {
            return refused("without keys this answers only who asks for 127.0.0.1, localhost or [::1]");
        }
        let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let is_of_another_site = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        // An older system's routes are for pages of any site.
        if is_of_another_site && !only_reads && !is_compat(request.uri().path()) {
            return refused("without keys no page of another site may change anything here");
        }
        Ok(())
    }
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What a route says of who may ask for it.
pub(crate) fn say(needs: Needs, operation: &mut Operation) {
    let shown = json!([{ "ApiKey": [] }, { "Bearer": [] }]);
    match needs {
        Needs::Nothing => return,
        Needs::Perhaps => operation.secured(json!([{}, { "ApiKey": [] }, { "Bearer": [] }])),
        Needs::Role(role) => {
            let when = "Nothing was shown that says who asks.";
            operation.refuses(StatusCode::UNAUTHORIZED, "unauthenticated", when);
            operation.secured(shown).detail(&format!("Takes the role {role}."))
        }
    };
    if let Needs::Role(Role::Operator | Role::Admin) = needs {
        let when = "Whoever asks has a role that may less.";
        operation.refuses(StatusCode::FORBIDDEN, "forbidden", when);
    }
    let when = "What was shown opens nothing: unknown, revoked, expired, malformed, or two things at once.";
    operation.refuses(StatusCode::UNAUTHORIZED, "invalid_credentials", when);
    // Not even who asks can be found out then.
    operation.may_be_unavailable();
}

impl Needs {
    /// Refuses those who may not.
    ///
    /// # Errors
    /// 401 for nobody, else 403.
    pub fn check(self, principal: &Principal) -> Result<(), Problem> {
        match self {
            Needs::Role(needed) => has_role(principal, needed),
            Needs::Nothing | Needs::Perhaps => Ok(()),
        }
    }
}

/// Who asks, for handlers of routes that are not the API's own: see [`crate::around`].
#[derive(Debug, Clone)]
pub struct Asking {
    /// Who.
    pub principal: Principal,
    /// The same for each repeat of a request under its `Idempotency-Key`; `None` where it brings none.
    pub seed: Option<Ulid>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Caller { principal, again, .. } = Caller::from_request_parts(parts, state).await?;
        Ok(Asking { principal, seed: again.map(|again| again.seed) })
    }
}

/// Refuses those who may less than a role.
fn has_role(principal: &Principal, needed: Role) -> Result<(), Problem> {
    match principal.role {
        Some(role) if role >= needed => Ok(()),
        Some(role) => {
            let detail = format!("this takes the role {needed}, and yours is {role}");
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
        None => Err(refused(Refusal::Nothing)),
    }
}

/// What the headers of a request show.
pub fn shown(headers: &HeaderMap) -> Credentials<'_> {
    // What is no text is no credential of ours, and must not be taken for none.
    let header = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    Credentials { api_key: header("x-api-key"), authorization: header(AUTHORIZATION.as_str()) }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unavailable(error) => Problem::from(error),
        Refusal::Nothing | Refusal::Both | Refusal::Bad => {
            Problem::new(StatusCode::UNAUTHORIZED, refusal.code(), refusal.to_string())
        }
    }
}

/// Says on a 401 how to prove who one is. Source: RFC 9110, section 11.6.1, and RFC 6750, section 3.
pub(crate) fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let value = r#"Bearer realm="sagaline", ApiKey realm="sagaline", header="x-api-key""#;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(value));
    }
}

impl Caller {
    /// Refuses what is somebody else's business. What is not theirs is as if it were not there.
    ///
    /// # Errors
    /// The 404 of what they ask for.
    pub(crate) fn sees(
        &self,
        customer: &CustomerId,
        unknown: impl FnOnce() -> Problem,
    ) -> Result<(), Problem> {
        if self.principal.may_act_for(customer) { Ok(()) } else { Err(unknown()) }
    }

    /// Refuses to act in somebody else's name.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn acts_for(&self, customer: &CustomerId) -> Result<(), Problem> {
        if self.principal.may_act_for(customer) {
            return Ok(());
        }
        let detail = "a customer acts for themselves alone; send your own customer_id";
        Err(Problem::new(StatusCode::FORBIDDEN, "not_your_customer", detail))
    }

    /// Refuses those who may less than this role.
    ///
    /// # Errors
    /// 401 for nobody, else 403.
    pub(crate) fn has(&self, role: Role) -> Result<(), Problem> {
        has_role(&self.principal, role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorizer_lets_nobody_through_exactly_where_the_table_says_perhaps() {
        for (method, path, needs) in crate::needs() {
            assert_eq!(is_open_to_nobody(method, path), needs == Needs::Perhaps, "{method} {path}");
        }
    }
}
