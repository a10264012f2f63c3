//! Where buckets begin and end: what is known, who asks, and what is asked next.
//!
//! Owns [`BucketEnds`], and the questions that wait. An answer counts only for those who asked before
//! the question was sent. One question is under way at a time; after one that failed, buckets are
//! asked for one by one, so that a leader that is away keeps only its own from being known.
//!
//! Pure; [`ask`](super::ask) does the asking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use super::scans::EndAnswer;
use crate::park::Ticket;

/// How often the ends of all buckets are asked for. A lane that opens a DOWN period reads what was
/// parked since then in its bucket, and no more.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// First and longest wait before a question that failed is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ASK_AGAIN_AT_MOST: Duration = Duration::from_secs(2);

/// Where each bucket ends, at least. Cloning copies nothing.
#[derive(Clone, Debug)]
pub struct BucketEnds(Arc<[AtomicI64]>);

impl BucketEnds {
    /// Nothing is known of `buckets` buckets.
    pub fn new(buckets: i32) -> Self {
        Self((0..buckets).map(|_| AtomicI64::new(0)).collect())
    }

    /// An offset that is not above the bucket's end: what is parked from now on has this one or a
    /// later one. 0 while nothing is known.
    pub fn at_least(&self, bucket: i32) -> i64 {
        self.of(bucket).map_or(0, |end| end.load(Ordering::Acquire))
    }

    /// The bucket was seen to end there, or later.
    pub fn raise(&self, bucket: i32, end: i64) {
        if let Some(known) = self.of(bucket) {
            known.fetch_max(end, Ordering::AcqRel);
        }
    }

    /// The cluster said that the bucket ends there. A log that was truncated or made anew ends lower
    /// than it did.
    pub(super) fn set(&self, bucket: i32, end: i64) {
        if let Some(known) = self.of(bucket) {
            known.store(end, Ordering::Release);
        }
    }

    fn of(&self, bucket: i32) -> Option<&AtomicI64> {
        self.0.get(usize::try_from(bucket).ok()?)
    }
}

/// A question to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// The buckets; at least one.
    pub(super) buckets: Vec<i32>,
    /// Whether their starts are asked for as well.
    pub(super) starts: bool,
}

/// A bucket's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Its first offset, when it was asked for.
    pub(super) start: Option<i64>,
    /// The offset after its last record.
    pub(super) end: i64,
}

/// The ranges that the cluster gave; a bucket that it said nothing about is missing.
pub(super) type Ranges = BTreeMap<i32, Range>;

type Asker = (Ticket, u32);

/// The questions that wait.
#[derive(Debug)]
pub(super) struct Questions {
    all: BTreeSet<i32>,
    refresh_at: Instant,
    unknown: BTreeSet<i32>,
    suspects: BTreeSet<i32>,
    askers: BTreeMap<i32, Vec<Asker>>,
    under_way: Option<BTreeMap<i32, Vec<Asker>>>,
    failures: usize,
    not_before: Instant,
}

impl Questions {
    /// All ends are asked for at once.
    pub(super) fn new(buckets: i32, now: Instant) -> Self {
        Self {
            all: (0..buckets).collect(),
            refresh_at: now,
            unknown: BTreeSet::new(),
            suspects: BTreeSet::new(),
            askers: BTreeMap::new(),
            under_way: None,
            failures: 0,
            not_before: now,
        }
    }

    /// Somebody must know where a bucket ends, now or later.
    pub(super) fn ask_end(&mut self, ticket: Ticket, shard: u32, bucket: i32) {
        self.askers.entry(bucket).or_default().push((ticket, shard));
    }

    /// Whether a bucket's log has what is read must be known.
    pub(super) fn ask_range(&mut self, bucket: i32) {
        self.suspects.insert(bucket);
    }

    /// When there is something to do next; none while a question is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            None
        } else if self.wanted().next().is_some() {
            Some(self.not_before)
        } else {
            Some(self.refresh_at.max(self.not_before))
        }
    }

    /// The question to ask now. It counts as under way until it is answered.
    pub(super) fn next(&mut self, now: Instant) -> Option<Query> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        if now >= self.refresh_at {
            self.refresh_at = now + REFRESH_INTERVAL;
            self.unknown.clone_from(&self.all);
        }
        let mut buckets: Vec<i32> = self
            .wanted()
            .collect::<BTreeSet<i32>>()
            .into_iter()
            .collect();
        if self.failures > 0 && !buckets.is_empty() {
            let turn = self.failures % buckets.len();
            buckets = buckets.into_iter().skip(turn).take(1).collect();
        }
        if buckets.is_empty() {
            return None;
        }
        let starts = buckets.iter().any(|bucket| self.suspects.contains(bucket));
        let asked = buckets
            .iter()
            .filter_map(|bucket| self.askers.remove_entry(bucket));
        self.under_way = Some(asked.collect());
        Some(Query { buckets, starts })
    }

    /// The question that was under way was answered. Returns what those who asked are to be told.
    pub(super) fn answered(&mut self, now: Instant, ranges: &Ranges) -> Vec<EndAnswer> {
        for (bucket, range) in ranges {
            self.unknown.remove(bucket);
            if range.start.is_some() {
                self.suspects.remove(bucket);
            }
        }
        let mut answers = Vec::new();
        for (bucket, askers) in self.under_way.take().unwrap_or_default() {
            match ranges.get(&bucket) {
                Some(range) => {
                    answers.extend(askers.into_iter().map(|(ticket, shard)| EndAnswer {
                        ticket,
                        shard,
                        end: range.end,
                    }))
                }
                None => self.askers.entry(bucket).or_default().extend(askers),
            }
        }
        self.not_before = now;
        if ranges.is_empty() {
            self.failures = self.failures.saturating_add(1);
            self.not_before = now + wait(self.failures);
        } else if self.wanted().next().is_none() {
            self.failures = 0;
        }
        answers
    }

    fn wanted(&self) -> impl Iterator<Item = i32> {
        let marked = self.suspects.iter().chain(&self.unknown);
        self.askers.keys().chain(marked).copied()
    }
}

fn wait(failures: usize) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(16);
    (ASK_AGAIN * 2_u32.pow(doublings)).min(ASK_AGAIN_AT_MOST)
}
