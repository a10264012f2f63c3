//! The work queue: which keys wait to be worked on, and when.
//!
//! Owns order, coalescing and each key's backoff. A key waits once, however often it was added, and is
//! never worked on twice at the same time: added meanwhile, it comes again after. A key that fails waits
//! longer each time, and delays no other. Pure: the time and the jitter are passed in. Bounded by the
//! number of keys.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Wait after a first failure.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// Longest wait. A user who has mended the cause has usually touched the target, which starts it at once.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// See the module.
#[derive(Debug)]
pub struct Queue<K> {
    ready: VecDeque<K>,
    waiting: HashSet<K>,
    running: HashMap<K, Again>,
    delayed: BTreeSet<(Instant, K)>,
    due: BTreeMap<K, Instant>,
    failures: HashMap<K, u32>,
    most: usize,
}

/// Whether a key was added while it was worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// How work on a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do.
    Done,
    /// It must be tried again.
    Failed,
}

impl<K: Copy + Ord + Hash> Queue<K> {
    /// An empty queue of which `most` keys are worked on at once.
    pub fn new(most: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            waiting: HashSet::new(),
            running: HashMap::new(),
            delayed: BTreeSet::new(),
            due: BTreeMap::new(),
            failures: HashMap::new(),
            most,
        }
    }

    /// Something about a key changed: it is worked on as soon as possible, whatever it waited for.
    pub fn add(&mut self, key: K) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = Again::Yes;
        } else if self.waiting.insert(key) {
            self.undelay(key);
            self.ready.push_back(key);
        }
    }

    /// The next key to work on now. It must be [`Queue::ended`].
    pub fn take(&mut self, now: Instant) -> Option<K> {
        while let Some((due, key)) = self.delayed.first().copied() {
            if due > now {
                break;
            }
            self.undelay(key);
            if self.waiting.insert(key) {
                self.ready.push_back(key);
            }
        }
        if self.running.len() >= self.most {
            return None;
        }
        let key = self.ready.pop_front()?;
        self.waiting.remove(&key);
        self.running.insert(key, Again::No);
        Some(key)
    }

    /// Work on a key ended. `jitter` is from 0 to 1.
    pub fn ended(&mut self, key: K, ended: Ended, now: Instant, jitter: f64) {
        let again = self.running.remove(&key);
        match ended {
            Ended::Done => {
                self.failures.remove(&key);
            }
            Ended::Failed => {
                let failures = self.failures.entry(key).or_default();
                *failures = failures.saturating_add(1);
                let due = now + backoff(*failures, jitter);
                self.delay(key, due);
            }
        }
        if again == Some(Again::Yes) {
            self.add(key);
        }
    }

    /// Forgets a key.
    pub fn forget(&mut self, key: K) {
        self.failures.remove(&key);
        self.undelay(key);
    }

    /// When a key becomes due that waits for its time.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Keys that wait or are worked on.
    pub fn len(&self) -> usize {
        self.ready.len() + self.running.len() + self.delayed.len()
    }

    /// Whether nothing is worked on, and what waits has failed before.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.running.is_empty()
    }

    /// Whether nothing waits and nothing is worked on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn delay(&mut self, key: K, due: Instant) {
        self.undelay(key);
        self.delayed.insert((due, key));
        self.due.insert(key, due);
    }

    fn undelay(&mut self, key: K) {
        if let Some(due) = self.due.remove(&key) {
            self.delayed.remove(&(due, key));
        }
    }
}

/// Doubles with each failure; half of it is jitter, so that keys that failed together come apart.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let whole = doubled.min(BACKOFF_MAX);
    whole / 2 + (whole / 2).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    #[test]
    fn a_key_waits_once_and_is_worked_on_by_one() {
        let (mut queue, now) = (Queue::new(8), clock::now());
        queue.add(1);
        queue.add(1);
        assert_eq!((queue.take(now), queue.take(now)), (Some(1), None));
        queue.add(1);
        assert_eq!(queue.take(now), None, "it is under way");
        queue.ended(1, Ended::Done, now, 0.0);
        assert_eq!(queue.take(now), Some(1), "what came meanwhile is not lost");
        queue.ended(1, Ended::Done, now, 0.0);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_key_that_fails_waits_longer_each_time_and_a_change_ends_the_wait() {
        let (mut queue, mut now) = (Queue::new(8), clock::now());
        queue.add(1);
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(queue.take(now), Some(1));
            queue.ended(1, Ended::Failed, now, 1.0);
            assert_eq!(queue.take(now), None);
            let due = queue.next_due().unwrap();
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        queue.add(1);
        assert_eq!(queue.take(now), Some(1));
        queue.ended(1, Ended::Done, now, 0.0);
        queue.add(1);
        let _ = queue.take(now);
        queue.ended(1, Ended::Failed, now, 1.0);
        assert_eq!(
            queue.next_due(),
            Some(now + BACKOFF_FIRST),
            "success forgets"
        );
    }

    #[test]
    fn keys_that_failed_together_come_apart() {
        assert_eq!(backoff(3, 0.0), Duration::from_secs(2));
        assert_eq!(backoff(3, 1.0), Duration::from_secs(4));
        assert_eq!(backoff(u32::MAX, 1.0), BACKOFF_MAX);
    }

    #[test]
    fn only_so_many_are_worked_on_at_once() {
        let (mut queue, now) = (Queue::new(2), clock::now());
        (0..5).for_each(|key| queue.add(key));
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(now)).collect();
        assert_eq!(taken, [0, 1]);
        queue.ended(0, Ended::Failed, now, 0.0);
        assert_eq!(
            queue.take(now),
            Some(2),
            "one that failed is in nobody's way"
        );
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Add(u8),
        Take,
        End(u8, Ended),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..4_u8).prop_map(Step::Add),
            Just(Step::Take),
            (0..4_u8, prop_oneof![Just(Ended::Done), Just(Ended::Failed)])
                .prop_map(|(key, ended)| Step::End(key, ended)),
            (0..5_000_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_schedule_each_change_is_worked_on_after_it_came(steps in prop::collection::vec(step(), 0..80)) {
            let (mut queue, mut now) = (Queue::new(2), clock::now());
            let mut running: HashSet<u8> = HashSet::new();
            let mut unseen: HashSet<u8> = HashSet::new();
            for step in steps {
                match step {
                    Step::Add(key) => {
                        unseen.insert(key);
                        queue.add(key);
                    }
                    Step::Take => {
                        if let Some(key) = queue.take(now) {
                            prop_assert!(running.insert(key), "worked on twice at once");
                            unseen.remove(&key);
                        }
                        prop_assert!(running.len() <= 2);
                    }
                    Step::End(key, ended) if running.remove(&key) => queue.ended(key, ended, now, 0.5),
                    Step::End(..) => {}
                    Step::Pass(millis) => now += Duration::from_millis(millis),
                }
            }
            for key in running.drain() {
                queue.ended(key, Ended::Done, now, 0.5);
            }
            while let Some(key) = queue.take(now) {
                unseen.remove(&key);
                queue.ended(key, Ended::Done, now, 0.5);
            }
            prop_assert!(unseen.is_empty(), "forgotten: {unseen:?}");
        }
    }
}
