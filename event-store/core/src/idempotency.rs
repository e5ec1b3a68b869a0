//! Answers that were given already: what makes a request with an `Idempotency-Key` one request, however often it comes.

use async_trait::async_trait;
use events::{Timestamp, Ulid};
use serde::{Deserialize, Serialize};

use crate::log::StoreError;

/// A request that is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What the request says: another one under the same key is another request.
    pub fingerprint: String,
    /// From this number every id is made that the request needs, so that whoever carries it out again, after a crash,
    /// makes the same ones.
    pub seed: Ulid,
    /// Whoever claimed it has until then; later, it is taken for dead.
    pub until: Timestamp,
    /// Forgotten from then on.
    pub forget_at: Timestamp,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// Headers that are part of the answer.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is the caller's to carry out, with this seed: its own, or that of whoever died over it.
    Mine(Ulid),
    /// Somebody is carrying it out.
    Running,
    /// It was carried out, and this was the answer.
    Done(KeptAnswer),
    /// The key was used for a request that says something else.
    OfAnother,
}

/// Keys of requests, and the answers that were given to them.
///
/// What must hold: of many claims of one key at once exactly one is [`Claimed::Mine`]; one that is neither finished nor
/// given up is somebody else's to take when its time is over; what is finished is given until it is forgotten.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Claims a key at a moment.
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError>;
    /// Keeps the answer of a request that this caller claimed with this end, and says whether it did: where somebody has
    /// taken the request over since, only what was done is kept, see [`Kept::answered`].
    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError>;
    /// Gives up what this caller claimed with this end, so that it may be tried again at once, with the same seed. Says
    /// whether it was theirs to give up.
    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError>;
}

/// What somebody knows of the claim that made a request theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The seed that they were given.
    pub seed: Ulid,
    /// Until when it is theirs.
    pub until: Timestamp,
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Who has it.
    pub claim: Claim,
    /// What came of it, once something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<KeptAnswer>,
}

impl Kept {
    /// Whether it is claimed, not finished, and its claim is this one.
    fn is_held(&self, held: Held) -> bool {
        self.answer.is_none() && (self.claim.seed, self.claim.until) == (held.seed, held.until)
    }

    /// What is stored once whoever held a claim has an answer; `None` where the request is somebody else's by now. What
    /// was done is kept whoever has the claim, also over a refusal: where clocks differ two may carry a request out
    /// beside each other, and one of them find that it cannot be done because the other did it.
    pub fn answered(stored: Option<Kept>, held: Held, answer: KeptAnswer) -> Option<Kept> {
        let stored = stored.filter(|stored| stored.claim.seed == held.seed)?;
        let is_done = |answer: &KeptAnswer| (200..300).contains(&answer.status);
        let over = match &stored.answer {
            // A write whose answer was lost is written again.
            Some(kept) => *kept == answer || (is_done(&answer) && !is_done(kept)),
            None => stored.is_held(held) || is_done(&answer),
        };
        over.then_some(Kept { answer: Some(answer), ..stored })
    }

    /// What is stored once whoever held a claim gives it up; `None` where it is somebody else's by now.
    pub fn given_up(stored: Option<Kept>, held: Held) -> Option<Kept> {
        let stored = stored.filter(|stored| stored.is_held(held))?;
        Some(Kept { claim: Claim { until: Timestamp::from_millis(0), ..stored.claim }, ..stored })
    }

    /// What a claim finds at a moment, and what is stored from then on, if that is something else: the rules that
    /// every adapter shares.
    pub fn claimed(stored: Option<&Kept>, claim: Claim, now: Timestamp) -> (Claimed, Option<Kept>) {
        let Some(stored) = stored.filter(|stored| stored.claim.forget_at > now) else {
            return (Claimed::Mine(claim.seed), Some(Kept { claim, answer: None }));
        };
        if stored.claim.fingerprint != claim.fingerprint {
            return (Claimed::OfAnother, None);
        }
        if let Some(answer) = &stored.answer {
            return (Claimed::Done(answer.clone()), None);
        }
        if stored.claim.until > now {
            return (Claimed::Running, None);
        }
        let seed = stored.claim.seed;
        (Claimed::Mine(seed), Some(Kept { claim: Claim { seed, ..claim }, answer: None }))
    }
}
