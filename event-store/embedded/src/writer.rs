//! The one writer: everything that waits goes into one transaction, and is answered when it is synced.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use ::event_store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpointer;
use crate::recent::{Batch, Recent};

/// At most so many writes share one sync.
const GROUP: usize = 1024;

/// One open transaction, and what its events will add to memory if it commits.
pub(crate) struct Transaction<'a> {
    pub(crate) sql: &'a Connection,
    pub(crate) batch: Batch<'a>,
}

/// What a write answers, once its transaction is synced.
type Answer = Box<dyn FnOnce() + Send>;
type Work = Box<dyn FnOnce(&mut Transaction<'_>) -> rusqlite::Result<Answer> + Send>;

/// The writing thread's handle. Dropped, it finishes what waits and ends.
pub(crate) struct Writer {
    queue: Mutex<Option<Sender<Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(connection: Connection, recent: Arc<Recent>, path: &Path) -> io::Result<Self> {
        let (queue, waiting) = channel();
        let checkpointer = Checkpointer::start(path)?;
        let run = move || run(&connection, &recent, &waiting, checkpointer);
        let thread = Builder::new().name("store-writer".into()).spawn(run)?;
        Ok(Writer { queue: Mutex::new(Some(queue)), thread: Some(thread) })
    }

    /// Does the work inside a transaction, together with whatever else waits. The answer comes when it is
    /// synced. An error of SQLite rolls back the whole group, and each of it is told so.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |transaction| {
            let answer = work(transaction)?;
            Ok(Box::new(move || drop(tell.send(answer))))
        });
        let closing = || StoreError::Unavailable("the store is closing".into());
        {
            let queue = self.queue.lock().expect("nobody panics while sending");
            queue.as_ref().ok_or_else(closing)?.send(work).map_err(|_| closing())?;
        }
        told.await.map_err(|_| StoreError::Unavailable("the write was rolled back; ask again".into()))
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

fn run(connection: &Connection, recent: &Recent, waiting: &Receiver<Work>, mut checkpointer: Checkpointer) {
    let _guard = AbortOnPanic;
    while let Ok(first) = waiting.recv() {
        let group = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1));
        match commit(connection, recent, group) {
            Ok(answers) => answers.into_iter().for_each(|answer| answer()),
            Err(cause) => {
                tracing::error!(%cause, "failed to write a group of changes; all of them were rolled back");
                connection.execute_batch("ROLLBACK").ok();
            }
        }
        checkpointer.after_commit(connection);
    }
    checkpointer.finish(connection);
}

fn commit(
    connection: &Connection,
    recent: &Recent,
    group: impl Iterator<Item = Work>,
) -> rusqlite::Result<Vec<Answer>> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut transaction = Transaction { sql: connection, batch: recent.batch() };
    let answers = group.map(|work| work(&mut transaction)).collect::<rusqlite::Result<Vec<_>>>();
    let batch = transaction.batch.finish();
    let answers = answers?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    recent.publish(batch);
    Ok(answers)
}
