//! Tasks under virtual time: what runs next is the earliest thing due, and a seed drew when that is.

use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Microseconds of virtual time since the run began.
pub type Micros = u64;

/// One second of virtual time.
pub const SECOND: Micros = 1_000_000;

/// A task: its place, and how often the place was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskId {
    place: u32,
    use_of_place: u32,
}

/// The tasks of a run. `Output` is what a task comes to, `About` what the run keeps beside it.
pub struct Tasks<Output, About> {
    places: Vec<Place<Output, About>>,
    free: Vec<u32>,
    ready: Arc<Ready>,
}

struct Place<Output, About> {
    use_of_place: u32,
    task: Option<Task<Output, About>>,
}

struct Task<Output, About> {
    future: Pin<Box<dyn Future<Output = Output> + Send>>,
    waker: Waker,
    woken: Arc<Woken>,
    about: About,
}

#[derive(Default)]
struct Ready(Mutex<VecDeque<TaskId>>);

struct Woken {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.0.lock().expect("nobody panics while waking").push_back(self.id);
        }
    }
}

impl<Output, About> Default for Tasks<Output, About> {
    fn default() -> Self {
        Tasks { places: Vec::new(), free: Vec::new(), ready: Arc::default() }
    }
}

impl<Output, About> Tasks<Output, About> {
    /// Adds a task; it is ready to run.
    pub fn spawn(&mut self, future: impl Future<Output = Output> + Send + 'static, about: About) -> TaskId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { use_of_place: 0, task: None });
            self.places.len() as u32 - 1
        });
        let at = &mut self.places[place as usize];
        let id = TaskId { place, use_of_place: at.use_of_place };
        let woken = Arc::new(Woken { id, queued: AtomicBool::new(false), ready: self.ready.clone() });
        let waker = Waker::from(woken.clone());
        at.task = Some(Task { future: Box::pin(future), waker, woken: woken.clone(), about });
        woken.wake_by_ref();
        id
    }

    /// The next task that is ready.
    pub fn next_ready(&self) -> Option<TaskId> {
        self.ready.0.lock().expect("nobody panics while waking").pop_front()
    }

    /// What the run keeps beside a task that still runs.
    pub fn about(&self, id: TaskId) -> Option<&About> {
        self.find(id).map(|task| &task.about)
    }

    fn find(&self, id: TaskId) -> Option<&Task<Output, About>> {
        let at = &self.places[id.place as usize];
        at.task.as_ref().filter(|_| at.use_of_place == id.use_of_place)
    }

    /// Lets a task go on; gives what it came to, if it ended.
    pub fn poll(&mut self, id: TaskId) -> Option<Output> {
        let at = &mut self.places[id.place as usize];
        let task = at.task.as_mut().filter(|_| at.use_of_place == id.use_of_place)?;
        task.woken.queued.store(false, Ordering::Relaxed);
        match task.future.as_mut().poll(&mut Context::from_waker(&task.waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Ends a task wherever it is: a process that is no more. Gives back what was kept beside it.
    pub fn end(&mut self, id: TaskId) -> Option<About> {
        let at = &mut self.places[id.place as usize];
        if at.use_of_place != id.use_of_place {
            return None;
        }
        let task = at.task.take()?;
        at.use_of_place += 1;
        self.free.push(id.place);
        Some(task.about)
    }
}

/// Things that are due at a time, earliest first; of one time, in the order in which they were put in.
pub struct Agenda<What> {
    heap: BinaryHeap<Due<What>>,
    entered: u64,
}

struct Due<What> {
    at: Micros,
    entered: u64,
    what: What,
}

impl<What> Due<What> {
    fn key(&self) -> (std::cmp::Reverse<Micros>, std::cmp::Reverse<u64>) {
        (std::cmp::Reverse(self.at), std::cmp::Reverse(self.entered))
    }
}

impl<What> PartialEq for Due<What> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<What> Eq for Due<What> {}

impl<What> PartialOrd for Due<What> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<What> Ord for Due<What> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<What> Default for Agenda<What> {
    fn default() -> Self {
        Agenda { heap: BinaryHeap::new(), entered: 0 }
    }
}

impl<What> Agenda<What> {
    /// Puts something in.
    pub fn put(&mut self, at: Micros, what: What) {
        self.entered += 1;
        self.heap.push(Due { at, entered: self.entered, what });
    }

    /// Takes the next thing out, with its time.
    pub fn take_next(&mut self) -> Option<(Micros, What)> {
        self.heap.pop().map(|due| (due.at, due.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_then_of_entry() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.put(at, what);
        }
        let order: String = std::iter::from_fn(|| agenda.take_next()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }

    #[test]
    fn a_task_that_was_ended_is_not_polled_though_its_place_is_used_again() {
        let mut tasks = Tasks::<u8, &str>::default();
        let first = tasks.spawn(std::future::pending(), "first");
        assert_eq!(tasks.end(first), Some("first"));
        let second = tasks.spawn(async { 2 }, "second");
        assert_eq!((tasks.poll(first), tasks.end(first)), (None, None));
        assert_eq!((tasks.poll(second), tasks.about(second)), (Some(2), Some(&"second")));
    }
}
