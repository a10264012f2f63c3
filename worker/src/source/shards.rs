//! The way to the shards: one outbox each, so that the consumer thread never blocks on a shard.
//!
//! Owns what was said to a shard and did not fit into its channel yet, in order. Records leave room
//! in the channel for control messages. An outbox that is not empty stops the reading of records, so
//! it holds at most one wake-up's records and the control messages of the partitions there are.

use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::inbox::{RESERVED_FOR_CONTROL, Revoked, ShardMessage};
use crate::clock;

/// How often a channel that was full is tried again while answers are awaited.
const RETRY_FULL: Duration = Duration::from_millis(5);

/// The outboxes, one for each shard.
#[derive(Debug)]
pub(super) struct Outboxes(Vec<Outbox>);

#[derive(Debug)]
struct Outbox {
    channel: Sender<ShardMessage>,
    waiting: VecDeque<ShardMessage>,
    partitions: usize,
}

impl Outboxes {
    pub(super) fn new(shards: Vec<Sender<ShardMessage>>) -> Self {
        Self(
            shards
                .into_iter()
                .map(|channel| Outbox {
                    channel,
                    waiting: VecDeque::new(),
                    partitions: 0,
                })
                .collect(),
        )
    }

    /// Chooses the shard with the fewest partitions for one more.
    pub(super) fn place(&mut self) -> usize {
        let fewest = self
            .0
            .iter()
            .enumerate()
            .min_by_key(|(_, outbox)| outbox.partitions)
            .map_or(0, |(shard, _)| shard);
        if let Some(outbox) = self.0.get_mut(fewest) {
            outbox.partitions += 1;
        }
        fewest
    }

    /// A shard has one partition less.
    pub(super) fn displace(&mut self, shard: usize) {
        if let Some(outbox) = self.0.get_mut(shard) {
            outbox.partitions = outbox.partitions.saturating_sub(1);
        }
    }

    /// Says something to a shard, after all that was said to it before.
    pub(super) fn say(&mut self, shard: usize, message: ShardMessage) {
        if let Some(outbox) = self.0.get_mut(shard) {
            outbox.waiting.push_back(message);
            outbox.flush();
        }
    }

    /// Moves what waits, as far as there is room. Returns whether nothing waits any more.
    pub(super) fn flush(&mut self) -> bool {
        let mut empty = true;
        // Every outbox moves on, also behind one that cannot.
        for outbox in &mut self.0 {
            empty &= outbox.flush();
        }
        empty
    }

    /// Tells shards to let slots go and waits for their answers, until `deadline` at the latest.
    /// Returns whether all answered.
    pub(super) fn revoke(
        &mut self,
        slots: Vec<(usize, Vec<u32>)>,
        grace: Instant,
        deadline: Instant,
    ) -> bool {
        let (done, answers) = sync_channel(slots.len());
        let mut missing = slots.len();
        for (shard, slots) in slots {
            self.say_revoked(shard, slots, grace, &done);
        }
        drop(done);
        while missing > 0 {
            let all_sent = self.flush();
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return false;
            }
            let wait = if all_sent { left } else { left.min(RETRY_FULL) };
            match answers.recv_timeout(wait) {
                Ok(()) => missing -= 1,
                Err(RecvTimeoutError::Timeout) => {}
                // A shard that dropped the request has nothing of it left.
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        true
    }

    fn say_revoked(
        &mut self,
        shard: usize,
        slots: Vec<u32>,
        grace: Instant,
        done: &SyncSender<()>,
    ) {
        let done = done.clone();
        self.say(shard, ShardMessage::Revoked(Revoked { slots, grace, done }));
    }
}

impl Outbox {
    fn flush(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            let needed = match message {
                ShardMessage::Records(_) | ShardMessage::Position { .. } => RESERVED_FOR_CONTROL,
                ShardMessage::Assigned(_)
                | ShardMessage::Committed { .. }
                | ShardMessage::Revoked(_)
                | ShardMessage::Lost { .. } => 0,
            };
            // A channel too small to reserve anything is filled to the last place.
            let full = self.channel.capacity() <= needed.min(self.channel.max_capacity() - 1);
            let refused = if full && !self.channel.is_closed() {
                Some(message)
            } else {
                match self.channel.try_send(message) {
                    // A shard that has ended takes nothing; the worker is about to end, too.
                    Ok(()) | Err(TrySendError::Closed(_)) => None,
                    Err(TrySendError::Full(message)) => Some(message),
                }
            };
            if let Some(message) = refused {
                self.waiting.push_front(message);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::source::inbox::SHARD_INBOX_MESSAGES;

    fn position(position: i64) -> ShardMessage {
        ShardMessage::Position { slot: 1, position }
    }

    fn received(inbox: &mut Receiver<ShardMessage>) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(message) = inbox.try_recv() {
            all.push(match message {
                ShardMessage::Position { position, .. } => position.to_string(),
                ShardMessage::Lost { .. } => "lost".to_owned(),
                ShardMessage::Assigned(_)
                | ShardMessage::Records(_)
                | ShardMessage::Committed { .. }
                | ShardMessage::Revoked(_) => "other".to_owned(),
            });
        }
        all
    }

    #[test]
    fn a_full_shard_gets_everything_later_and_in_order() {
        let (sender, mut inbox) = channel(SHARD_INBOX_MESSAGES);
        let mut outboxes = Outboxes::new(vec![sender]);
        for number in 0..100 {
            outboxes.say(0, position(number));
        }
        assert!(!outboxes.flush());
        outboxes.say(0, ShardMessage::Lost { slots: vec![1] });
        let mut all = received(&mut inbox);
        assert_eq!(all.len(), SHARD_INBOX_MESSAGES - RESERVED_FOR_CONTROL);
        while !outboxes.flush() {
            all.append(&mut received(&mut inbox));
        }
        all.append(&mut received(&mut inbox));
        let expected: Vec<String> = (0..100)
            .map(|number: i64| number.to_string())
            .chain(["lost".to_owned()])
            .collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn records_leave_room_for_a_revocation() {
        let (sender, _inbox) = channel(SHARD_INBOX_MESSAGES);
        let mut outboxes = Outboxes::new(vec![sender]);
        while outboxes.flush() {
            outboxes.say(0, position(0));
        }
        outboxes.0[0].waiting.clear();
        outboxes.say(0, ShardMessage::Lost { slots: vec![1] });
        assert!(outboxes.flush());
    }

    #[test]
    fn a_shard_that_never_answers_costs_no_more_than_the_deadline() {
        let (sender, _inbox) = channel(SHARD_INBOX_MESSAGES);
        let mut outboxes = Outboxes::new(vec![sender]);
        let deadline = clock::now() + Duration::from_millis(30);
        assert!(!outboxes.revoke(vec![(0, vec![1])], deadline, deadline));
    }

    #[test]
    fn a_shard_that_has_ended_is_not_waited_for() {
        let (sender, inbox) = channel(SHARD_INBOX_MESSAGES);
        drop(inbox);
        let mut outboxes = Outboxes::new(vec![sender]);
        let deadline = clock::now() + Duration::from_secs(3600);
        assert!(outboxes.revoke(vec![(0, vec![1])], deadline, deadline));
    }

    #[test]
    fn partitions_are_spread_over_the_shards() {
        let (first, _one) = channel(1);
        let (second, _two) = channel(1);
        let mut outboxes = Outboxes::new(vec![first, second]);
        assert_eq!(
            [outboxes.place(), outboxes.place(), outboxes.place()],
            [0, 1, 0]
        );
        outboxes.displace(0);
        outboxes.displace(0);
        assert_eq!(outboxes.place(), 0);
    }
}
