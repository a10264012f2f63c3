//! How much fits into the demo broker, so that the demo loses nothing in silence.
//!
//! The broker keeps 5 MiB a partition and destroys what is older, delivered or not. That counts twice:
//! for the topics that the producer writes to, and for the retry topic, where all parked events of a
//! target are in one partition. Owns two answers: [`check`], before the start, whether the wanted load
//! fits through the flaky receiver's outages; and [`Room`], while it runs, whether the producer has to
//! wait, because a target may be DOWN for as long as its manifest says so. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::park::bucket::bucket;
use crate::report::{PartitionReport, SourceReport, WorkerReport};

use super::event;
use super::topics::PARTITIONS;

/// What the broker keeps of a partition, bytes (`max_size` in librdkafka's `rdkafka_mock.c`).
const KEPT_BYTES: u64 = 5 * MIB;

/// At this many waiting bytes in one partition the producer waits. It looks twice a second and writes
/// at most [`PLANNED_BYTES`] in [`LONGEST_WAIT_SECONDS`], so the last fifth is never reached.
const HOLD_BYTES: u64 = 4 * MIB;

/// At this many it goes on.
const RESUME_BYTES: u64 = 3 * MIB;

/// What may wait in one partition in the course of the demo, without a person's doing.
const PLANNED_BYTES: u64 = 3 * MIB;

/// How long an event waits at most: 20 s of outage, a last backoff of 4 s and its 20 % of jitter, and
/// 10 s to go out.
const LONGEST_WAIT_SECONDS: u64 = 35;

/// The flaky receiver gets one topic of two: half of the load is parked, all of it in one partition.
const PARKED_SHARE: u64 = 2;

/// What a parked event has beside itself, bytes: at most. It is the head of a record; under load events
/// share one.
const PARKED_OVERHEAD_BYTES: u64 = 640;

/// Events per second. Of more, not even the smallest would fit while they are parked.
const MAX_RATE: u32 = 150;

/// Largest value of an event, bytes.
const MAX_SIZE_BYTES: u32 = 64 * 1024;

const MIB: u64 = 1024 * 1024;

/// A load that the demo cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// No events, or more than ever fit.
    #[error(
        "--rate {rate}: give 1 to {MAX_RATE} events per second; more would not fit into the demo \
         broker while they are parked for the flaky demo receiver"
    )]
    Rate {
        /// What was asked for, events per second.
        rate: u32,
    },
    /// Too small for an event, or too large for a demo.
    #[error(
        "--size {size}: give {} to {MAX_SIZE_BYTES} bytes",
        event::MIN_SIZE_BYTES
    )]
    Size {
        /// What was asked for, bytes.
        size: u32,
    },
    /// Both together outgrow a partition.
    #[error(
        "--rate {rate} with --size {size}: events are parked up to {LONGEST_WAIT_SECONDS} s for the \
         flaky demo receiver, and the demo broker destroys what a partition holds beyond 5 MiB; give \
         --rate {max_rate} or less, or --size {max_size} or less"
    )]
    Room {
        /// What was asked for, events per second.
        rate: u32,
        /// What was asked for, bytes.
        size: u32,
        /// The highest rate at this size.
        max_rate: u64,
        /// The largest size at this rate.
        max_size: u64,
    },
}

/// Whether `rate` events per second of `size` bytes fit, with room.
///
/// # Errors
/// When they do not; the message names the limits.
pub(super) fn check(rate: u32, size: u32) -> Result<(), TooMuch> {
    if rate == 0 || rate > MAX_RATE {
        return Err(TooMuch::Rate { rate });
    }
    if !(event::MIN_SIZE_BYTES..=MAX_SIZE_BYTES).contains(&size) {
        return Err(TooMuch::Size { size });
    }
    let bytes_per_second = PLANNED_BYTES * PARKED_SHARE / LONGEST_WAIT_SECONDS;
    if u64::from(rate) * parked_cost(size) > bytes_per_second {
        return Err(TooMuch::Room {
            rate,
            size,
            max_rate: bytes_per_second / parked_cost(size),
            max_size: (bytes_per_second / u64::from(rate)).saturating_sub(parked_cost(0)),
        });
    }
    Ok(())
}

/// What an event of this size takes in the broker, bytes: at most.
fn cost(size: u32) -> u64 {
    u64::from(size + event::OVERHEAD_BYTES)
}

/// What it takes in the retry topic, bytes: at most.
fn parked_cost(size: u32) -> u64 {
    cost(size) + PARKED_OVERHEAD_BYTES
}

/// Events written so far, by topic; one number a partition.
pub(super) type Written = BTreeMap<Arc<str>, [u64; PARTITIONS as usize]>;

/// Decides whether the producer waits. It waits from [`HOLD_BYTES`] down to [`RESUME_BYTES`].
#[derive(Debug)]
pub(super) struct Room {
    event_cost: u64,
    parked_cost: u64,
    buckets: BTreeMap<i32, Bucket>,
    holding: bool,
}

/// A partition of the retry topic. What was written since it last held nothing undelivered must stay
/// below what the broker keeps, for the oldest of it may be undelivered.
#[derive(Debug, Default)]
struct Bucket {
    /// Events that were ever parked in it when it last held none.
    before: u64,
    /// Events that were ever parked in it.
    written: u64,
    /// Events that are parked in it.
    parked: u64,
}

impl Room {
    /// For events of `size` bytes.
    pub(super) fn new(size: u32) -> Self {
        Self {
            event_cost: cost(size),
            parked_cost: parked_cost(size),
            buckets: BTreeMap::new(),
            holding: false,
        }
    }

    /// Looks at the partitions that the worker owns; others have no target that could miss an event.
    /// Before it owns any, all events wait.
    pub(super) fn must_hold(&mut self, written: &Written, report: &WorkerReport) -> bool {
        let waiting_bytes = most_waiting(written, &report.source) * self.event_cost;
        let parked_bytes = self.most_parked(report) * self.parked_cost;
        let waiting_bytes = waiting_bytes.max(parked_bytes);
        let bound = if self.holding {
            RESUME_BYTES
        } else {
            HOLD_BYTES
        };
        self.holding = waiting_bytes > bound;
        self.holding
    }

    /// Of the partitions of the retry topic, the most that must be kept of one, in events.
    fn most_parked(&mut self, report: &WorkerReport) -> u64 {
        for bucket in self.buckets.values_mut() {
            (bucket.written, bucket.parked) = (0, 0);
        }
        for (uid, target) in &report.targets {
            let bucket = self.buckets.entry(bucket(*uid, PARTITIONS)).or_default();
            bucket.written += target.counters.events_parked;
            bucket.parked += target.parked.events;
        }
        let kept = self.buckets.values_mut().map(|bucket| {
            if bucket.parked == 0 {
                bucket.before = bucket.written;
            }
            bucket.written.saturating_sub(bucket.before)
        });
        kept.max().unwrap_or(0)
    }
}

/// Of the partitions that the producer writes to, the most that waits in one, in events.
fn most_waiting(written: &Written, source: &SourceReport) -> u64 {
    let most = if source.joined {
        let owned = source.partitions.iter();
        owned.map(|partition| waiting(written, partition)).max()
    } else {
        written.values().flatten().copied().max()
    };
    most.unwrap_or(0)
}

fn waiting(written: &Written, partition: &PartitionReport) -> u64 {
    let written = usize::try_from(partition.partition)
        .ok()
        .and_then(|index| written.get(&partition.topic)?.get(index))
        .copied()
        .unwrap_or(0);
    let committed = partition.committed.unwrap_or(0);
    written.saturating_sub(u64::try_from(committed).unwrap_or(0))
}

// What waits when the producer stops, and what it writes until it notices, stay below what is kept.
const _: () = assert!(HOLD_BYTES + PLANNED_BYTES / LONGEST_WAIT_SECONDS < KEPT_BYTES);

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn owned(partitions: impl Into<Vec<PartitionReport>>) -> WorkerReport {
        let source = SourceReport {
            joined: true,
            partitions: partitions.into(),
            ..SourceReport::default()
        };
        WorkerReport {
            source,
            ..WorkerReport::default()
        }
    }

    fn partition(number: i32, committed: Option<i64>) -> PartitionReport {
        PartitionReport {
            topic: "orders".into(),
            partition: number,
            position: 0,
            committed,
            lag: None,
            paused: false,
            lacks: None,
        }
    }

    #[test]
    fn the_default_load_fits_many_times_over() {
        assert_eq!(check(20, 256), Ok(()));
        assert_eq!(check(MAX_RATE, 256), Ok(()));
    }

    #[test]
    fn a_load_that_would_be_destroyed_is_refused_with_its_limits() {
        let TooMuch::Room {
            max_rate, max_size, ..
        } = check(100, 4096).unwrap_err()
        else {
            panic!("refused for another reason");
        };
        assert_eq!(check(u32::try_from(max_rate).unwrap(), 4096), Ok(()));
        assert!(check(u32::try_from(max_rate).unwrap() + 1, 4096).is_err());
        assert_eq!(check(100, u32::try_from(max_size).unwrap()), Ok(()));
        assert!(check(100, u32::try_from(max_size).unwrap() + 1).is_err());
    }

    #[test]
    fn rates_and_sizes_out_of_range_are_refused() {
        for (rate, size) in [(0, 256), (MAX_RATE + 1, 256)] {
            assert_eq!(check(rate, size), Err(TooMuch::Rate { rate }));
        }
        for size in [0, event::MIN_SIZE_BYTES - 1, MAX_SIZE_BYTES + 1] {
            assert_eq!(check(20, size), Err(TooMuch::Size { size }));
        }
    }

    #[test]
    fn a_refusal_names_the_limits() {
        let message = check(20, 65536).unwrap_err().to_string();
        assert!(message.contains("5 MiB"), "{message}");
        assert!(message.contains("--rate 2 or less"), "{message}");
        assert!(check(5000, 256).unwrap_err().to_string().contains("150"));
    }

    #[test]
    fn the_producer_waits_before_a_waiting_event_would_be_destroyed() {
        let mut room = Room::new(1024 - event::OVERHEAD_BYTES);
        let written = Written::from([("orders".into(), [4097, 0, 0, 0])]);
        assert!(!room.must_hold(&written, &owned([partition(0, Some(1))])));
        assert!(room.must_hold(&written, &owned([partition(0, Some(0))])));
        assert!(room.must_hold(&written, &owned([partition(0, Some(1024))])));
        assert!(!room.must_hold(&written, &owned([partition(0, Some(1025))])));
    }

    #[test]
    fn a_partition_without_a_commit_waits_from_its_beginning() {
        let mut room = Room::new(1024 - event::OVERHEAD_BYTES);
        let written = Written::from([("orders".into(), [0, 5000, 0, 0])]);
        assert!(room.must_hold(&written, &owned([partition(1, None)])));
    }

    #[test]
    fn before_the_group_has_joined_all_events_wait() {
        let mut room = Room::new(1024 - event::OVERHEAD_BYTES);
        let source = WorkerReport::default();
        let written = |count| Written::from([("orders".into(), [count, 0, 0, 0])]);
        assert!(!room.must_hold(&written(4096), &source));
        assert!(room.must_hold(&written(4097), &source));
    }

    #[test]
    fn a_topic_that_nobody_reads_never_stops_the_producer() {
        let mut room = Room::new(1024 - event::OVERHEAD_BYTES);
        let written = Written::from([("payments".into(), [1 << 20; 4])]);
        assert!(!room.must_hold(&written, &owned([partition(0, Some(0))])));
        assert!(!room.must_hold(&written, &owned([])));
    }

    #[test]
    fn the_smallest_events_fit_at_the_highest_rate() {
        assert_eq!(check(MAX_RATE, event::MIN_SIZE_BYTES), Ok(()));
    }

    #[test]
    fn the_producer_waits_before_a_parked_event_would_be_destroyed() {
        let overhead = event::OVERHEAD_BYTES + u32::try_from(PARKED_OVERHEAD_BYTES).unwrap();
        let mut room = Room::new(1024 - overhead);
        let mut report = sample::report_of("default", "flaky");
        report.source.joined = true;
        let mut holds = |ever, parked| {
            let target = sample::only(&mut report);
            target.counters.events_parked = ever;
            target.parked.events = parked;
            room.must_hold(&Written::new(), &report)
        };
        // Nothing of these is undelivered: the broker may destroy them.
        assert!(!holds(50_000, 0));
        assert!(!holds(54_096, 1));
        // One is, and it may be the oldest.
        assert!(holds(54_097, 1));
        assert!(holds(54_097, 4_097));
        assert!(!holds(54_097, 0));
        assert!(!holds(54_098, 1));
    }
}
