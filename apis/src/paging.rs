//! Pages of a list, and the token that asks for the next one.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::{After, Direction, Page, Window};
use events::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::fields::Bad;
use crate::params::{self, Params};

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

impl<'a, Row> Listing<'a, Row> {
    /// A page of the list that `fingerprint` stands for.
    pub(crate) fn of(name: &'static str, page: &'a Page<Row>, fingerprint: &str) -> Self {
        let place = page.next.as_ref().map(|after| (after.created_at.millis(), after.id.as_str()));
        Listing { name, rows: &page.rows, next_token: place.map(|place| token(fingerprint, place)) }
    }
}

/// What stands for a list in its tokens: the same for every page of it, another for every other list.
pub(crate) fn fingerprint(what: impl Display) -> String {
    // FNV-1a, 64 bits: a token must read the same in every version of this program.
    let digest = what.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{digest:016x}")
}

/// Reads `limit` and `next_token`: the window onto a list, newest first.
pub(crate) fn window(params: &mut Params, fingerprint: &str) -> Window {
    let limit = params.read("limit", params::limit).unwrap_or(params::LIMIT);
    let after: Option<(i64, String)> = place(params, fingerprint);
    let after = after.map(|(at, id)| After { created_at: Timestamp::from_millis(at), id });
    Window { limit, after, direction: Direction::Descending }
}

/// Reads `next_token`: where in the list to go on.
pub(crate) fn place<Place: DeserializeOwned>(params: &mut Params, fingerprint: &str) -> Option<Place> {
    params.read("next_token", |text| {
        let token: Option<Token<Place>> =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let token = token.ok_or(Bad("invalid_token", "must be the next_token of an answer".into()))?;
        if token.0 != fingerprint {
            return Err(Bad("token_of_another_query", "must be the next_token of the same query".into()));
        }
        Ok(token.1)
    })
}

/// The token for going on at this place.
pub(crate) fn token(fingerprint: &str, place: impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&(fingerprint, place)).expect("numbers and text"))
}

#[derive(Deserialize)]
struct Token<Place>(String, Place);
