//! The one writer: everything that waits goes into one transaction, and is answered when it is synced.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use ::event_store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::{Checkpointer, Copier};
use crate::recent::{Batch, Recent};
use crate::unavailable;

/// At most so many writes share one sync.
const GROUP: usize = 1024;

/// One open transaction, and what its events will add to memory if it commits.
pub(crate) struct Transaction<'a> {
    pub(crate) sql: &'a Connection,
    pub(crate) batch: Batch<'a>,
    /// Whether what was overwritten must not be left in the write-ahead log either, before this group is answered.
    pub(crate) scrub: bool,
}

/// Tells who asked for a write what became of its group, once that is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Does the write, and leaves behind how to answer it, whether it went well or not.
type Work = Box<dyn FnOnce(&mut Transaction<'_>, &mut Vec<Answer>) -> rusqlite::Result<()> + Send>;

/// Where writes are handed in. Dropped, its thread finishes what waits and ends.
pub(crate) struct Writer {
    queue: Mutex<Option<Sender<Work>>>,
    thread: Option<JoinHandle<()>>,
}

/// Where writes are done, one group after the other.
pub struct Desk {
    connection: Connection,
    recent: Arc<Recent>,
    waiting: Receiver<Work>,
    checkpointer: Checkpointer,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        recent: Arc<Recent>,
        checkpointer: Checkpointer,
    ) -> (Self, Desk) {
        let (queue, waiting) = channel();
        let writer = Writer { queue: Mutex::new(Some(queue)), thread: None };
        (writer, Desk { connection, recent, waiting, checkpointer })
    }

    /// From now on a thread writes, and another one copies the write-ahead log.
    pub(crate) fn start(&mut self, mut desk: Desk, copier: Copier) -> io::Result<()> {
        desk.checkpointer.start(copier)?;
        self.thread = Some(Builder::new().name("store-writer".into()).spawn(move || desk.run())?);
        Ok(())
    }

    /// Does the work inside a transaction, together with whatever else waits. The answer comes when it is
    /// synced. An error of SQLite rolls back the whole group, and each of it is told so.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |transaction, answers| match work(transaction) {
            Ok(answer) => {
                answers.push(Box::new(move |written| drop(tell.send(written.map(|()| answer)))));
                Ok(())
            }
            Err(cause) => {
                answers.push(Box::new(move |written| drop(written.map_err(|why| tell.send(Err(why))))));
                Err(cause)
            }
        });
        let closing = || StoreError::Unavailable("the store is closing".into());
        {
            let queue = self.queue.lock().expect("nobody panics while sending");
            queue.as_ref().ok_or_else(closing)?.send(work).map_err(|_| closing())?;
        }
        let unanswered = || StoreError::Unavailable("the write was rolled back; ask again".into());
        told.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().expect("nobody panics while sending").take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Without its writer a store looks alive and answers nothing. A panic there ends the process, and the next
/// start finds everything that was acknowledged.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Desk {
    fn run(mut self) {
        let _guard = AbortOnPanic;
        while let Ok(first) = self.waiting.recv() {
            self.serve(first, GROUP);
            self.checkpointer.end_if_forgotten();
        }
        self.close();
    }

    /// Writes one group of what waits, and answers it.
    fn serve(&mut self, first: Work, at_most: usize) {
        let group = std::iter::once(first).chain(self.waiting.try_iter().take(at_most - 1));
        let mut answers = Vec::new();
        let committed = commit(&self.connection, &self.recent, group, &mut answers).map_err(|cause| {
            tracing::error!(%cause, "failed to write a group of changes; all of them were rolled back");
            self.connection.execute_batch("ROLLBACK").ok();
            unavailable(&cause)
        });
        let written = match committed {
            Ok(false) => Ok(()),
            Ok(true) => self.checkpointer.scrub(&self.connection),
            Err(why) => Err(why),
        };
        answers.into_iter().for_each(|answer| answer(written.clone()));
        self.checkpointer.after_commit(&self.connection);
    }

    /// Writes one group of at most so many of the writes that wait, if any do.
    #[cfg(feature = "by-hand")]
    pub fn commit(&mut self, at_most: usize) {
        if let Ok(first) = self.waiting.try_recv() {
            self.serve(first, at_most.max(1));
        }
    }

    /// Whether a sync of the database failed, and a process would have ended.
    #[cfg(feature = "by-hand")]
    pub fn has_ended(&self) -> bool {
        self.checkpointer.has_forgotten()
    }

    /// Empties the write-ahead log: the store closes.
    pub fn close(self) {
        self.checkpointer.finish(&self.connection);
    }
}

/// Commits a group; says whether it asks for a scrub.
fn commit(
    connection: &Connection,
    recent: &Recent,
    mut group: impl Iterator<Item = Work>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<bool> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut transaction = Transaction { sql: connection, batch: recent.batch(), scrub: false };
    group.try_for_each(|work| work(&mut transaction, answers))?;
    let scrub = transaction.scrub;
    let batch = transaction.batch.finish();
    #[cfg(feature = "planted")]
    if crate::planted::has(crate::planted::Bug::AnsweredBeforeCommit) {
        answers.drain(..).for_each(|answer| answer(Ok(())));
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    recent.publish(batch);
    Ok(scrub)
}
