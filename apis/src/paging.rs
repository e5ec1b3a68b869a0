//! Pages of a list, and the token that asks for the next one.

use std::fmt::Display;

use auth::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use event_store::{After, Direction, Page, Window};
use events::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Api;
use crate::fields::Bad;
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

    /// Reads `limit` and `next_token`: the window onto a list, newest first.
    pub(crate) fn window(&self, params: &mut Params) -> Window {
        let limit = params.read("limit", params::limit).unwrap_or(params::LIMIT);
        let after: Option<(i64, String)> = self.place(params);
        let after = after.map(|(at, id)| After { created_at: Timestamp::from_millis(at), id });
        Window { limit, after, direction: Direction::Descending }
    }

    /// Reads `next_token`: where in the list to go on.
    pub(crate) fn place<Place: DeserializeOwned>(&self, params: &mut Params) -> Option<Place> {
        params.read("next_token", |text| {
            let token: Option<Token<Place>> = self.read(text);
            let token = token.ok_or(Bad("invalid_token", "must be the next_token of an answer".into()))?;
            if token.0 != self.fingerprint {
                return Err(Bad("token_of_another_query", "must be the next_token of the same query".into()));
            }
            Ok(token.1)
        })
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
