//! Pages of a list, and the token that asks for the next one.

use std::fmt::Display;

use auth::hmac;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::{After, Direction, Page, Window};
use events::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use crate::Api;
use crate::fields::{Bad, kind};
use crate::openapi::{Asks, Operation};
use crate::params::{self, Params};
use crate::problem::Problem;

/// A page of rows under the name of what they are, and `next_token` unless it is the last one.
pub(crate) struct Listing<'a, Row> {
    pub(crate) name: &'static str,
    pub(crate) rows: &'a [Row],
    pub(crate) next_token: Option<String>,
}

impl<Row: Serialize> Serialize for Listing<'_, Row> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.name, self.rows)?;
        if let Some(token) = &self.next_token {
            map.serialize_entry("next_token", token)?;
        }
        map.end()
    }
}

/// What narrows a list down.
pub(crate) trait Filter: Sized {
    /// Reads it from a query string.
    fn read(params: &mut Params) -> Self;
}

impl Filter for () {
    fn read(_: &mut Params) {}
}

/// What is wanted of a list: what narrows it down, and which page. What is wrong is said when the page is known.
#[derive(Debug)]
pub(crate) struct Wanted<F = ()> {
    pub(crate) filter: F,
    pub(crate) limit: usize,
    token: Option<String>,
    params: Params,
}

impl<F: Filter, S: Send + Sync> FromRequestParts<S> for Wanted<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut params = Params::of(&parts.uri)?;
        let (filter, limit, token) = read(&mut params);
        Ok(Wanted { filter, limit: limit.unwrap_or(params::LIMIT), token, params })
    }
}

fn read<F: Filter>(params: &mut Params) -> (F, Option<usize>, Option<String>) {
    let filter = F::read(params);
    let limit = params.read("limit", params::limit());
    let token = || json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" });
    (filter, limit, params.read("next_token", kind(token, |text: &str| Ok(text.to_owned()))))
}

impl<F: Filter> Asks for Wanted<F> {
    fn ask(operation: &mut Operation) {
        for (name, schema) in Params::describe(read::<F>) {
            let what = match name {
                "limit" => "How many rows a page has at most.",
                "next_token" => "Where to go on: from the page before, of the same query.",
                _ => "",
            };
            operation.in_query(name, what, schema);
        }
        let when = "A parameter is wrong, unknown, or given twice: `errors` says which.";
        operation.refuses(StatusCode::BAD_REQUEST, "invalid_parameters", when);
    }
}

/// A list that is read page by page: what stands for it in its tokens, and what they are signed with.
///
/// A token is the code (HMAC-SHA256) of what follows it, the list's fingerprint and the place in it; nobody else can make
/// one, so what it says need not be doubted, and it means nothing in another list.
pub(crate) struct List {
    fingerprint: String,
    secret: [u8; 32],
}

/// The length of a code, in bytes.
const CODE: usize = 32;

impl Api {
    /// The list of which this says everything: the same for every page of it, another for every other list.
    pub(crate) async fn list_of(&self, what: impl Display + Send) -> Result<List, Problem> {
        // FNV-1a, 64 bits: a token must read the same in every version of this program.
        let digest = what.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(List { fingerprint: format!("{digest:016x}"), secret: self.access.cursors.get().await? })
    }
}

impl List {
    /// A page of the list.
    pub(crate) fn page<'a, Row>(&self, name: &'static str, page: &'a Page<Row>) -> Listing<'a, Row> {
        let place = page.next.as_ref().map(|after| (after.created_at.millis(), after.id.as_str()));
        Listing { name, rows: &page.rows, next_token: place.map(|place| self.token(place)) }
    }

    /// The window onto a list, newest first.
    ///
    /// # Errors
    /// Everything that is wrong with the query string.
    pub(crate) fn window<F>(&self, wanted: Wanted<F>) -> Result<Window, Problem> {
        let limit = wanted.limit;
        let after: Option<(i64, String)> = self.place(wanted)?;
        let after = after.map(|(at, id)| After { created_at: Timestamp::from_millis(at), id });
        Ok(Window { limit, after, direction: Direction::Descending })
    }

    /// Where in the list to go on.
    ///
    /// # Errors
    /// As [`List::window`].
    pub(crate) fn place<F, Place: DeserializeOwned>(
        &self,
        wanted: Wanted<F>,
    ) -> Result<Option<Place>, Problem> {
        let Wanted { token, mut params, .. } = wanted;
        let place = token.and_then(|text| {
            let token: Option<Token<Place>> = self.read(&text);
            let bad = match token {
                Some(token) if token.0 == self.fingerprint => return Some(token.1),
                Some(_) => Bad("token_of_another_query", "must be the next_token of the same query".into()),
                None => Bad("invalid_token", "must be the next_token of an answer".into()),
            };
            params.refuse("next_token", bad);
            None
        });
        params.finish()?;
        Ok(place)
    }

    fn read<Place: DeserializeOwned>(&self, text: &str) -> Option<Token<Place>> {
        let token = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (code, said) = token.split_at_checked(CODE)?;
        if !hmac::is_signed(&self.secret, said, code) {
            return None;
        }
        serde_json::from_slice(said).ok()
    }

    /// The token for going on at this place.
    pub(crate) fn token(&self, place: impl Serialize) -> String {
        let said = serde_json::to_vec(&(&self.fingerprint, place)).expect("numbers and text");
        URL_SAFE_NO_PAD.encode([&hmac::sign(&self.secret, &said)[..], &said].concat())
    }
}

#[derive(Deserialize)]
struct Token<Place>(String, Place);
