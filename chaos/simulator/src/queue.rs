//! A standard queue: at least once, in no order, with visibility, receive counts and dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use workers::Message;

/// A message that waits or is in flight.
#[derive(Debug, Clone)]
pub struct Held {
    /// The queue's id of it.
    pub id: u64,
    /// The flat JSON of an event.
    pub body: Arc<str>,
    /// How often it was received.
    pub receive_count: u32,
}

/// One queue with its dead-letter queue.
#[derive(Debug, Default)]
pub struct Queue {
    visible: Vec<Held>,
    in_flight: BTreeMap<u64, Held>,
    /// What was received too often.
    pub dead: Vec<Held>,
    /// Batches that are being handled.
    pub running: usize,
    /// Whether somebody is about to look for messages.
    pub polled: bool,
}

impl Queue {
    /// A message arrives.
    pub fn send(&mut self, id: u64, body: Arc<str>) {
        self.visible.push(Held { id, body, receive_count: 0 });
    }

    /// Whether something can be received.
    pub fn has_visible(&self) -> bool {
        !self.visible.is_empty()
    }

    /// Receives up to `limit` messages: those that `pick` chooses of so many. What was received more than
    /// `max_receives` times before becomes a dead letter instead. What `stays` says stays visible all the
    /// same: now and then a standard queue hands a message out twice.
    pub fn receive(
        &mut self,
        limit: usize,
        max_receives: u32,
        mut pick: impl FnMut(usize) -> usize,
        mut stays: impl FnMut() -> bool,
    ) -> Vec<Message<Arc<str>>> {
        let (mut batch, mut copies) = (Vec::new(), Vec::new());
        while batch.len() < limit && !self.visible.is_empty() {
            let at = pick(self.visible.len());
            let mut held = self.visible.remove(at);
            if held.receive_count >= max_receives {
                self.dead.push(held);
                continue;
            }
            held.receive_count += 1;
            batch.push(Message { id: held.id, body: held.body.clone(), receive_count: held.receive_count });
            if stays() {
                copies.push(held.clone());
            }
            self.in_flight.insert(held.id, held);
        }
        self.visible.append(&mut copies);
        batch
    }

    /// Deletes a message, wherever it is: who handled it last may delete it.
    pub fn delete(&mut self, id: u64) {
        self.in_flight.remove(&id);
        self.visible.retain(|held| held.id != id);
    }

    /// Makes a message visible again, unless it was deleted, or received again since.
    pub fn show(&mut self, id: u64, receive_count: u32) -> bool {
        match self.in_flight.get(&id) {
            Some(held) if held.receive_count == receive_count => {
                let held = self.in_flight.remove(&id).expect("it was just looked at");
                self.visible.push(held);
                true
            }
            _ => false,
        }
    }

    /// Takes out every dead letter.
    pub fn take_dead(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.dead)
    }

    /// Whether nothing waits or is in flight.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty() && self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_received_as_often_as_it_may_and_then_it_is_a_dead_letter() {
        let mut queue = Queue::default();
        queue.send(1, "{}".into());
        for count in 1..=3 {
            let batch = queue.receive(10, 3, |_| 0, || false);
            assert_eq!((batch.len(), batch[0].receive_count), (1, count));
            assert!(queue.receive(10, 3, |_| 0, || false).is_empty(), "it is in flight");
            assert!(queue.show(1, count));
        }
        assert!(queue.receive(10, 3, |_| 0, || false).is_empty());
        assert_eq!(queue.take_dead().len(), 1);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_late_time_out_does_not_show_a_message_that_was_received_again() {
        let mut queue = Queue::default();
        queue.send(1, "{}".into());
        queue.receive(1, 9, |_| 0, || false);
        queue.show(1, 1);
        queue.receive(1, 9, |_| 0, || false);
        assert!(!queue.show(1, 1));
        queue.delete(1);
        assert!(queue.is_empty() && !queue.show(1, 2));
    }
}
