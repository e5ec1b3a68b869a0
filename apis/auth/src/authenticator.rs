//! The authorizer: from what a request shows to who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use event_store::{Key, KeyRow, Keys, Role, Secrets, Stamper, StoreError, UserRow, Users};
use events::{CustomerId, Timestamp, Ulid};

use crate::key::{ApiKey, Material};
use crate::{Principal, SharedSecret, TOKENS, key, token};

/// What a request shows.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The header `x-api-key`.
    pub api_key: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Why nobody is taken for who they say they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// They say nothing.
    #[error("send an API key in x-api-key, or a token of POST /login in Authorization: Bearer")]
    Nothing,
    /// They show a key and a token: it is not for us to choose.
    #[error("send either x-api-key or Authorization, not both")]
    Both,
    /// A key that is unknown or revoked, a token that is forged or too old, or neither.
    #[error("the API key or token is not good, or not any more")]
    Bad,
    /// It could not be found out.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// So long a key or a user is taken to be what it was when it was read, in milliseconds: the longest that something
/// revoked still opens a door.
pub const CACHED: i64 = 60_000;
/// So many are remembered at most.
const MOST: usize = 10_000;

/// Says who asks. Keeps what it reads for [`CACHED`] milliseconds.
pub struct Authenticator {
    users: Arc<dyn Users>,
    keys: Arc<dyn Keys>,
    tokens: SharedSecret,
    clock: Arc<dyn Stamper>,
    known_keys: Cache<Key>,
    known_users: Cache<UserRow>,
}

impl Refusal {
    /// Its stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Nothing => "unauthenticated",
            Refusal::Both | Refusal::Bad => "invalid_credentials",
            Refusal::Unavailable(_) => "unavailable",
        }
    }
}

impl Authenticator {
    /// An authorizer over the ports.
    pub fn new(
        users: Arc<dyn Users>,
        keys: Arc<dyn Keys>,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Stamper>,
    ) -> Authenticator {
        Authenticator {
            users,
            keys,
            tokens: SharedSecret::new(secrets, TOKENS),
            clock,
            known_keys: Cache::default(),
            known_users: Cache::default(),
        }
    }

    /// Who shows this.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn principal(&self, shown: Credentials<'_>) -> Result<Principal, Refusal> {
        match (shown.api_key, shown.authorization) {
            (Some(key), None) => self.of_key(key).await,
            (None, Some(authorization)) => match authorization.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.of_token(token).await,
                _ => Err(Refusal::Bad),
            },
            (None, None) => Err(Refusal::Nothing),
            (Some(_), Some(_)) => Err(Refusal::Both),
        }
    }

    /// A token for a user who has just proven to be one, and for how many seconds it is good.
    ///
    /// # Errors
    /// The secret could not be read.
    pub async fn token_for(&self, user: &UserRow) -> Result<(String, i64), StoreError> {
        let now = self.clock.now().millis() / 1000;
        let token = token::new(&self.tokens.get().await?, &user.user_id, &user.username, now);
        Ok((token, token::LIFETIME))
    }

    /// A new key: what is kept of it, and what its holder is shown once. A request that is carried out again makes the
    /// same one: `request` is its seed, and the words of its `Idempotency-Key`.
    ///
    /// # Errors
    /// The secret could not be read.
    pub async fn new_key(
        &self,
        request: Option<(Ulid, &str)>,
        name: String,
        role: Role,
        customer_id: Option<CustomerId>,
    ) -> Result<(Key, String), StoreError> {
        let now = self.clock.now();
        let Some((seed, words)) = request else { return Ok(key::new(name, role, customer_id, now)) };
        let material = Material::of_request(&self.tokens.get().await?, seed, words);
        Ok(material.key(name, role, customer_id, now))
    }

    /// Forgets what it knows of a key, so that it is looked up again at once.
    pub fn forget_key(&self, key_id: &str) {
        self.known_keys.forget(key_id);
    }

    /// Forgets what it knows of a user, so that it is looked up again at once.
    pub fn forget_user(&self, username: &str) {
        self.known_users.forget(username);
    }

    async fn of_key(&self, shown: &str) -> Result<Principal, Refusal> {
        let shown = ApiKey::read(shown).ok_or(Refusal::Bad)?;
        let now = self.clock.now();
        let key = match self.known_keys.get(shown.id, now) {
            Some(key) => key,
            None => {
                let key = self.keys.key(shown.id).await?.ok_or(Refusal::Bad)?;
                self.known_keys.put(shown.id, key.clone(), now);
                key
            }
        };
        if !shown.is(&key.secret_hash) || key.row.revoked_at.is_some() {
            return Err(Refusal::Bad);
        }
        let KeyRow { key_id, role, customer_id, .. } = key.row;
        Ok(Principal { id: format!("key:{key_id}"), role: Some(role), customer_id })
    }

    async fn of_token(&self, token: &str) -> Result<Principal, Refusal> {
        let now = self.clock.now();
        // Where no token was ever signed, none is good.
        let secret = self.tokens.if_any().await?.ok_or(Refusal::Bad)?;
        let claims = token::read(&secret, token, now.millis() / 1000).ok_or(Refusal::Bad)?;
        // Whoever has registered under a name that was erased is somebody else: a row of before says nothing of them.
        let known = self.known_users.get(&claims.name, now).filter(|user| user.user_id == claims.sub);
        let user = match known {
            Some(user) => user,
            None => {
                // What a user may is asked of the table and not of the token, which outlives a change of it.
                let user = self.users.user(&claims.name).await?.ok_or(Refusal::Bad)?.row;
                self.known_users.put(&claims.name, user.clone(), now);
                user
            }
        };
        if user.user_id != claims.sub {
            return Err(Refusal::Bad);
        }
        let id = format!("user:{}", user.user_id);
        Ok(Principal { id, role: Some(user.role), customer_id: user.customer_id })
    }
}

/// Rows by name, each with the moment when it was read.
struct Cache<Row>(Mutex<BTreeMap<String, (Row, Timestamp)>>);

impl<Row> Default for Cache<Row> {
    fn default() -> Self {
        Cache(Mutex::default())
    }
}

impl<Row: Clone> Cache<Row> {
    fn get(&self, name: &str, now: Timestamp) -> Option<Row> {
        let known = self.0.lock().expect("nobody panics while holding it");
        // A clock that was set back must not keep a row for longer.
        let is_fresh = |read_at: Timestamp| (0..CACHED).contains(&(now.millis() - read_at.millis()));
        known.get(name).filter(|(_, read_at)| is_fresh(*read_at)).map(|(row, _)| row.clone())
    }

    fn forget(&self, name: &str) {
        self.0.lock().expect("nobody panics while holding it").remove(name);
    }

    fn put(&self, name: &str, row: Row, now: Timestamp) {
        let mut known = self.0.lock().expect("nobody panics while holding it");
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name.to_owned(), (row, now));
    }
}
