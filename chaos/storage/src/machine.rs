//! A store that runs on a simulated disk, moved by hand: who writes, who copies, and what is not answered yet.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use event_store::{EventLog, IntentStore, OrderViews, StoreError};
use event_store_embedded::{Copier, Desk, EmbeddedStore, OpenError, Pace};

use crate::disk::SimulatedDisk;
use crate::told::{Answer, Write};

pub(crate) struct Machine {
    pub(crate) store: EmbeddedStore,
    desk: Arc<Mutex<Desk>>,
    copier: Arc<Mutex<Copier>>,
    waiting: VecDeque<(Write, Pending)>,
    copies: Arc<AtomicU64>,
}

type Pending = Pin<Box<dyn Future<Output = Result<Answer, StoreError>> + Send>>;

impl Machine {
    pub(crate) fn open(disk: &SimulatedDisk, pace: Pace) -> Result<Machine, OpenError> {
        let (store, desk, copier) =
            EmbeddedStore::open_by_hand(Arc::new(disk.clone()), &disk.folder(), pace)?;
        let (desk, copier) = (Arc::new(Mutex::new(desk)), Arc::new(Mutex::new(copier)));
        Ok(Machine { store, desk, copier, waiting: VecDeque::new(), copies: Arc::default() })
    }

    /// Hands a write in.
    pub(crate) fn tell(&mut self, write: Write) {
        let mut answer = pending(self.store.clone(), write.clone());
        // The first poll puts it among what waits for the desk.
        let early = poll(&mut answer);
        assert!(early.is_none(), "nothing is answered before the desk has written it: {early:?}");
        self.waiting.push_back((write, answer));
    }

    /// What was answered, in the order in which it was handed in.
    pub(crate) fn answered(&mut self) -> Vec<(Write, Result<Answer, StoreError>)> {
        let mut answered = Vec::new();
        while let Some((write, mut pending)) = self.waiting.pop_front() {
            match poll(&mut pending) {
                Some(answer) => answered.push((write, answer)),
                None => {
                    self.waiting.push_front((write, pending));
                    break;
                }
            }
        }
        answered
    }

    /// Has the desk write one group.
    pub(crate) fn commit(&self, at_most: usize) {
        self.commit_later(at_most)();
    }

    /// The same at another moment.
    pub(crate) fn commit_later(&self, at_most: usize) -> impl FnOnce() + Send + 'static {
        let desk = self.desk.clone();
        move || desk.lock().unwrap_or_else(PoisonError::into_inner).commit(at_most)
    }

    /// Whether the process would have ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).has_ended()
    }

    /// Has the copier copy the write-ahead log, if the desk asked it to.
    pub(crate) fn copy(&self) {
        self.copy_later()();
    }

    /// The same at another moment.
    pub(crate) fn copy_later(&self) -> impl FnOnce() + Send + 'static {
        let (copier, copies) = (self.copier.clone(), self.copies.clone());
        move || {
            let copied = copier.lock().unwrap_or_else(PoisonError::into_inner).copy_if_asked();
            copies.fetch_add(u64::from(copied), Ordering::Relaxed);
        }
    }

    /// How often it was copied.
    pub(crate) fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// Closes the store as a process does that ends.
    pub(crate) fn close(self) {
        let Machine { store, desk, copier, waiting, .. } = self;
        drop((waiting, copier));
        if let Some(desk) = Arc::into_inner(desk) {
            desk.into_inner().unwrap_or_else(PoisonError::into_inner).close();
        }
        drop(store);
    }
}

fn pending(store: EmbeddedStore, write: Write) -> Pending {
    Box::pin(async move {
        match write {
            Write::Event(event) => store.append((*event).clone()).await.map(Answer::Event),
            Write::Rows(rows) => store.put(*rows).await.map(Answer::Rows),
            Write::Intent { order, intent, computed_from } => {
                store.save(&order, intent, computed_from).await.map(Answer::Intent)
            }
            Write::Queue(changes) => store.queues().apply(changes).await.map(Answer::Queue),
        }
    })
}

fn poll(pending: &mut Pending) -> Option<Result<Answer, StoreError>> {
    match pending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
