//! Notices buckets from which nothing comes although there is something: librdkafka has had more than
//! one way to forget a partition.
//!
//! They are read anew once the cluster answers; what stands in the same place at the next alarm needs
//! a new consumer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ends::Questions;
use super::scans::Scans;
use crate::source::{Sight, Watchdog};

/// How often the buckets are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches the buckets that are read.
#[derive(Debug)]
pub(super) struct Stalls {
    watchdog: Watchdog,
    look_at: Instant,
    /// The buckets of the last alarm, and where they stood.
    stood: BTreeMap<i32, Option<i64>>,
}

impl Stalls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            watchdog: Watchdog::default(),
            look_at: now,
            stood: BTreeMap::new(),
        }
    }

    /// Looks, when it is time. Makes buckets that stand still suspect. Returns whether that did not
    /// help the last time.
    pub(super) fn need_a_new_consumer(
        &mut self,
        now: Instant,
        scans: &mut Scans,
        questions: &mut Questions,
    ) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + INTERVAL;
        let stalled = self.watchdog.look(now, true, &sights(scans));
        if stalled.is_empty() {
            return false;
        }
        self.watchdog.alarmed(now);
        let before = std::mem::take(&mut self.stood);
        for (number, bucket) in scans.read() {
            let slot = u32::try_from(number);
            if slot.is_ok_and(|slot| stalled.contains(&slot)) && bucket.suspect() {
                let at = bucket.at();
                tracing::warn!(
                    bucket = number,
                    at,
                    "nothing was fetched although there is something to fetch"
                );
                questions.ask_range(number);
                self.stood.insert(number, at);
            }
        }
        let stood = |(number, at): (&i32, &Option<i64>)| before.get(number) == Some(at);
        let again = self.stood.iter().any(stood);
        if again {
            tracing::error!("reading a bucket anew did not help; making a new client");
            self.stood.clear();
        }
        again
    }
}

fn sights(scans: &mut Scans) -> Vec<Sight> {
    let wanted = scans.read().filter(|(_, bucket)| bucket.is_wanted());
    wanted
        .filter_map(|(number, bucket)| {
            Some(Sight {
                slot: u32::try_from(number).ok()?,
                position: bucket.at()?,
                end: bucket.known_end(),
                paused: false,
            })
        })
        .collect()
}
