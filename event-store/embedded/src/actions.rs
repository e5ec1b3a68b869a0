//! What operators do to dead letters: written down first, then counted in the same write that takes a letter away.

use ::event_store::StoreError;
use events::{Timestamp, Ulid};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::{Deserialize, Serialize};

use crate::orders::{from_json, json};
use crate::queues::{DeadLetter, QueueStore, letter};

/// What is done to a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It goes back to the queue it came from, to be received as if for the first time.
    Redrive,
    /// It is thrown away.
    Discard,
}

impl Deed {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Deed::Redrive => "redrive",
            Deed::Discard => "discard",
        }
    }
}

/// Which dead letters: all of them, where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Of this dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// With these numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<i64>>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// At most so many a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// What an operator wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub deed: Deed,
    /// Who wants it.
    pub who: String,
    /// Why; empty if they did not say.
    pub reason: String,
    /// To which letters.
    pub choice: Choice,
}

/// Something that an operator had done, or that is under way. What was written down stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its number.
    pub id: i64,
    /// What was wanted.
    pub wanted: Wanted,
    /// The number of the latest letter when it began: what is given up later is for another day.
    pub up_to: i64,
    /// When it began.
    pub began_at: Timestamp,
    /// How many letters it took away so far.
    pub taken: u64,
    /// When it ended; `None` while it is under way.
    pub ended_at: Option<Timestamp>,
}

/// Which action a request began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// This one, now.
    Now(Action),
    /// This one, when it came before; whoever carries it out does so.
    Before(Action),
}

/// What became of letters that were to be taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many were still there.
    pub letters: u64,
    /// For each, the number that its message is parked under, if it is to be received again.
    pub parked: Vec<Option<i64>>,
}

/// How many letters of a dead-letter queue came from which queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The dead-letter queue.
    pub queue: String,
    /// The queue whose worker gave them up.
    pub source_queue: String,
    /// How many.
    pub letters: u64,
}

/// The letters of a choice, up to a number.
const CHOSEN: &str =
    "(?1 IS NULL OR queue = ?1) AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) AND id <= ?3";

const ACTION: &str = "id, deed, who, reason, choice, up_to, began_at, taken, ended_at";

impl QueueStore {
    /// Writes down what is to be done, before any of it is. `seed` names a request that may come again: it
    /// begins one action however often it comes.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(
        &self,
        wanted: Wanted,
        seed: Option<Ulid>,
        at: Timestamp,
    ) -> Result<Begun, StoreError> {
        self.write(move |sql| {
            let seed = seed.map(|seed| seed.to_string());
            let begun = format!("SELECT {ACTION} FROM actions WHERE seed = ?1");
            if let Some(begun) = sql.prepare_cached(&begun)?.query_row([&seed], action).optional()? {
                return Ok(Begun::Before(begun));
            }
            let begin = format!(
                "INSERT INTO actions (deed, who, reason, choice, up_to, began_at, taken, seed)
                 SELECT ?1, ?2, ?3, ?4, coalesce(max(id), 0), ?5, 0, ?6 FROM dead_letters RETURNING {ACTION}"
            );
            let Wanted { deed, who, reason, choice } = &wanted;
            let columns = params![deed.as_str(), who, reason, json(choice), at.millis(), seed];
            sql.prepare_cached(&begin)?.query_row(columns, action).map(Begun::Now)
        })
        .await
    }

    /// Does an action's deed to letters, all at once, and counts those that were still there. A letter is taken away once,
    /// however many actions would have it.
    ///
    /// # Errors
    /// The store's.
    pub async fn take(&self, action: &Action, letters: Vec<i64>, at: Timestamp) -> Result<Taken, StoreError> {
        let (id, deed) = (action.id, action.wanted.deed);
        self.write(move |sql| {
            let mut taken = Taken::default();
            for letter in &letters {
                taken.parked.push(match deed {
                    Deed::Redrive => park(sql, *letter, at)?,
                    Deed::Discard => None,
                });
                let delete = "DELETE FROM dead_letters WHERE id = ?1";
                taken.letters += sql.prepare_cached(delete)?.execute([letter])? as u64;
            }
            let count = "UPDATE actions SET taken = taken + ?2 WHERE id = ?1";
            sql.prepare_cached(count)?.execute(params![id, taken.letters as i64])?;
            Ok(taken)
        })
        .await
    }

    /// Writes down that an action has come to its end.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, action: i64, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |sql| {
            let end = "UPDATE actions SET ended_at = ?2 WHERE id = ?1";
            sql.prepare_cached(end)?.execute(params![action, at.millis()]).map(drop)
        })
        .await
    }

    /// An action by its number.
    ///
    /// # Errors
    /// The store's.
    pub fn action(&self, id: i64) -> Result<Option<Action>, StoreError> {
        self.read(|sql| {
            let find = format!("SELECT {ACTION} FROM actions WHERE id = ?1");
            sql.prepare_cached(&find)?.query_row([id], action).optional()
        })
    }

    /// Actions before a number, the latest first.
    ///
    /// # Errors
    /// The store's.
    pub fn actions(&self, before: i64, limit: usize) -> Result<Vec<Action>, StoreError> {
        let list = format!("SELECT {ACTION} FROM actions WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
        self.list(&list, params![before, limit as i64], action)
    }

    /// Actions that are under way, or were when the process ended; the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn unfinished(&self) -> Result<Vec<Action>, StoreError> {
        let list = format!("SELECT {ACTION} FROM actions WHERE ended_at IS NULL ORDER BY id");
        self.list(&list, [], action)
    }

    /// How many letters a choice finds up to a number, whatever its limit: by where they lie, and where they came from.
    ///
    /// # Errors
    /// The store's.
    pub fn count(&self, choice: &Choice, up_to: i64) -> Result<Vec<Chosen>, StoreError> {
        let count = format!(
            "SELECT queue, source_queue, count(*) FROM dead_letters WHERE {CHOSEN} GROUP BY 1, 2 ORDER BY 1, 2"
        );
        self.list(&count, params![choice.queue, ids(choice), up_to], |row| {
            let letters = row.get::<_, i64>(2)?.unsigned_abs();
            Ok(Chosen { queue: row.get(0)?, source_queue: row.get(1)?, letters })
        })
    }

    /// The letters of a choice behind one number and up to another, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn chosen(
        &self,
        choice: &Choice,
        after: i64,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let list = format!(
            "SELECT id, queue, source_queue, position, body, receive_count, error, dead_at FROM dead_letters
             WHERE {CHOSEN} AND id > ?4 ORDER BY id LIMIT ?5"
        );
        self.list(&list, params![choice.queue, ids(choice), up_to, after, limit as i64], letter)
    }

    fn list<T>(
        &self,
        list: &str,
        of: impl rusqlite::Params,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.read(|sql| sql.prepare_cached(list)?.query_map(of, each)?.collect())
    }
}

/// The numbers of a choice as SQLite reads them.
fn ids(choice: &Choice) -> Option<String> {
    choice.ids.as_ref().map(json)
}

fn action(row: &Row<'_>) -> rusqlite::Result<Action> {
    let deed = match row.get_ref(1)?.as_str()? {
        "discard" => Deed::Discard,
        _ => Deed::Redrive,
    };
    Ok(Action {
        id: row.get(0)?,
        wanted: Wanted { deed, who: row.get(2)?, reason: row.get(3)?, choice: from_json(row, 4)? },
        up_to: row.get(5)?,
        began_at: Timestamp::from_millis(row.get(6)?),
        taken: row.get::<_, i64>(7)?.unsigned_abs(),
        ended_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_millis),
    })
}

/// `None` if somebody took the letter away before.
fn park(sql: &Connection, letter: i64, at: Timestamp) -> rusqlite::Result<Option<i64>> {
    let mut put = sql.prepare_cached(
        "INSERT INTO queue_messages (queue, position, body, receive_count, visible_at, sent_at)
         SELECT source_queue, NULL, body, 0, ?2, ?2 FROM dead_letters WHERE id = ?1
         RETURNING id",
    )?;
    let at = at.millis();
    put.query_row([&letter as &dyn ToSql, &at], |row| row.get(0)).optional()
}
