//! What the one-machine runtime's queues keep across a crash: cursors, unfinished messages, dead letters.

use ::event_store::StoreError;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::EmbeddedStore;
use crate::writer::Transaction;

/// A message that was received and not done, or sent by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// The position of the event it carries, if it came from the log.
    pub position: Option<u64>,
    /// The body that the worker gets.
    pub body: String,
    /// How often it was received.
    pub receive_count: u32,
    /// When it may be received again, in milliseconds since 1970.
    pub visible_at: i64,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// The dead-letter queue.
    pub queue: String,
    /// The queue whose worker gave it up.
    pub source_queue: String,
    /// The position of the event it carries, if it came from the log.
    pub position: Option<u64>,
    /// The body that the worker got.
    pub body: String,
    /// How often it was received.
    pub receive_count: u32,
    /// What the worker said last.
    pub error: String,
    /// When it was given up, in milliseconds since 1970.
    pub dead_at: i64,
}

/// A change of a queue's state that must survive a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueChange {
    /// Every event up to this position is done, or parked.
    Cursor {
        /// The queue.
        queue: String,
        /// The position.
        position: u64,
    },
    /// A message is to be received again, or for the first time if it was sent by hand. `id` is the one it
    /// was parked under before, if it was.
    Park {
        /// The queue.
        queue: String,
        /// The number it was parked under before.
        id: Option<i64>,
        /// The message.
        message: ParkedMessage,
    },
    /// A parked message is done.
    Done {
        /// The number it was parked under.
        id: i64,
    },
    /// A message is given up; `id` is the one it was parked under, if it was. Its `id` is ignored.
    GiveUp {
        /// The number it was parked under.
        id: Option<i64>,
        /// The letter.
        letter: DeadLetter,
    },
}

/// The queues' part of the store.
pub struct QueueStore {
    store: EmbeddedStore,
}

impl EmbeddedStore {
    /// The queues' part of the store.
    pub fn queues(&self) -> QueueStore {
        QueueStore { store: self.clone() }
    }
}

impl QueueStore {
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.store.read(work)
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.inner.writer.write(move |transaction: &mut Transaction<'_>| work(transaction.sql)).await
    }

    /// Makes changes durable, all at once; gives, for each, the number that its message is parked under now.
    ///
    /// # Errors
    /// The store's.
    pub async fn apply(&self, changes: Vec<QueueChange>) -> Result<Vec<Option<i64>>, StoreError> {
        self.write(move |sql| changes.iter().map(|change| apply(sql, change)).collect()).await
    }

    /// The cursor of a queue; `None` for a queue that never was.
    ///
    /// # Errors
    /// The store's.
    pub fn cursor(&self, queue: &str) -> Result<Option<u64>, StoreError> {
        self.read(|sql| {
            let find = "SELECT position FROM queues WHERE name = ?1";
            let position = sql.query_row(find, [queue], |row| row.get::<_, i64>(0)).optional()?;
            Ok(position.map(i64::unsigned_abs))
        })
    }

    /// The parked messages of a queue with their numbers, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn parked(&self, queue: &str) -> Result<Vec<(i64, ParkedMessage)>, StoreError> {
        self.read(|sql| {
            let mut read = sql.prepare_cached(
                "SELECT id, position, body, receive_count, visible_at, sent_at FROM queue_messages
                 WHERE queue = ?1 ORDER BY id",
            )?;
            read.query_map([queue], |row| Ok((row.get(0)?, parked(row, 1)?)))?.collect()
        })
    }

    /// Dead letters behind the number `after`, of one dead-letter queue or of all, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn dead_letters(
        &self,
        queue: Option<&str>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(|sql| {
            let mut read = sql.prepare_cached(
                "SELECT id, queue, source_queue, position, body, receive_count, error, dead_at FROM dead_letters
                 WHERE (?1 IS NULL OR queue = ?1) AND id > ?2 ORDER BY id LIMIT ?3",
            )?;
            read.query_map(params![queue, after, limit as i64], letter)?.collect()
        })
    }

    /// How many letters each dead-letter queue holds.
    ///
    /// # Errors
    /// The store's.
    pub fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|sql| {
            let mut count = sql.prepare_cached("SELECT queue, count(*) FROM dead_letters GROUP BY queue")?;
            count.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect()
        })
    }
}

fn parked(row: &Row<'_>, first: usize) -> rusqlite::Result<ParkedMessage> {
    Ok(ParkedMessage {
        position: row.get::<_, Option<i64>>(first)?.map(i64::unsigned_abs),
        body: row.get(first + 1)?,
        receive_count: row.get(first + 2)?,
        visible_at: row.get(first + 3)?,
        sent_at: row.get(first + 4)?,
    })
}

pub(crate) fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.get(0)?,
        queue: row.get(1)?,
        source_queue: row.get(2)?,
        position: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
        body: row.get(4)?,
        receive_count: row.get(5)?,
        error: row.get(6)?,
        dead_at: row.get(7)?,
    })
}

fn apply(sql: &Connection, change: &QueueChange) -> rusqlite::Result<Option<i64>> {
    match change {
        QueueChange::Cursor { queue, position } => {
            let mut put =
                sql.prepare_cached("INSERT OR REPLACE INTO queues (name, position) VALUES (?1, ?2)")?;
            put.execute(params![queue, *position as i64])?;
            Ok(None)
        }
        QueueChange::Park { queue, id, message } => park(sql, queue, *id, message).map(Some),
        QueueChange::Done { id } => {
            sql.prepare_cached("DELETE FROM queue_messages WHERE id = ?1")?.execute([id])?;
            Ok(None)
        }
        QueueChange::GiveUp { id, letter } => {
            sql.prepare_cached("DELETE FROM queue_messages WHERE id = ?1")?.execute([id])?;
            let mut put = sql.prepare_cached(
                "INSERT INTO dead_letters (queue, source_queue, position, body, receive_count, error, dead_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            let DeadLetter { queue, source_queue, position, body, receive_count, error, dead_at, .. } =
                letter;
            let position = position.map(|position| position as i64);
            put.execute(params![queue, source_queue, position, body, receive_count, error, dead_at])?;
            Ok(None)
        }
    }
}

fn park(sql: &Connection, queue: &str, id: Option<i64>, message: &ParkedMessage) -> rusqlite::Result<i64> {
    let mut put = sql.prepare_cached(
        "INSERT INTO queue_messages (id, queue, position, body, receive_count, visible_at, sent_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET receive_count = ?5, visible_at = ?6
         RETURNING id",
    )?;
    let position = message.position.map(|position| position as i64);
    let ParkedMessage { body, receive_count, visible_at, sent_at, .. } = message;
    put.query_row(params![id, queue, position, body, receive_count, visible_at, sent_at], |row| row.get(0))
}
