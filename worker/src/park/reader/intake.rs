//! Records on their way from the consumer to the lanes that take them.
//!
//! Owns the bounds of one round of reading, and what is known about records that cannot be read. A
//! record that no lane takes now costs a look at its first headers; the others are decoded, and so
//! copied: a borrowed message pins its whole fetch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;

use super::client::Seats;
use super::ends::BucketEnds;
use super::scans::Scans;
use crate::background::{Cause, blocked};
use crate::park::format::{FormatError, Message, decode, lane_of};
use crate::source::RecordHeaders;

/// How long `poll` may wait when nothing comes: requests are seen that late.
const POLL: Duration = Duration::from_millis(5);

/// Most records, and most bytes, of one round. Shards get what was read after each.
const ROUND_RECORDS: usize = 1_000;
const ROUND_BYTES: usize = 1 << 20;

/// Takes records from the consumer.
#[derive(Debug)]
pub(super) struct Intake {
    unreadable: Arc<AtomicU64>,
    /// Buckets in which something was met that cannot be read.
    told_of: BTreeSet<i32>,
}

impl Intake {
    /// Counts what cannot be read.
    pub(super) fn new(unreadable: Arc<AtomicU64>) -> Self {
        Self {
            unreadable,
            told_of: BTreeSet::new(),
        }
    }

    /// Waits for records and hands them over, until plans must be made anew or nothing comes. Returns
    /// the errors that came along.
    pub(super) fn read(
        &mut self,
        scans: &mut Scans,
        seats: &Seats,
        ends: &BucketEnds,
    ) -> Vec<KafkaError> {
        let (mut records, mut bytes) = (0, 0);
        let mut errors = Vec::new();
        let mut polled = blocked(Cause::Fetch, || seats.poll(POLL));
        while let Some(next) = polled.take() {
            match next {
                Ok(message) => {
                    records += 1;
                    bytes += message.payload_len();
                    let bucket = message.partition();
                    seats.read(bucket);
                    ends.raise(bucket, message.offset() + 1);
                    if let Err(error) = meet(scans, &message) {
                        self.note(&message, &error);
                    }
                }
                Err(error) => errors.push(error),
            }
            let full = records + errors.len() >= ROUND_RECORDS || bytes >= ROUND_BYTES;
            if full || scans.are_unsettled() {
                see_ends(scans, seats);
                return errors;
            }
            polled = seats.poll(Duration::ZERO);
        }
        if see_ends(scans, seats) {
            pass_markers(scans, seats);
        }
        errors
    }

    fn note(&mut self, message: &BorrowedMessage<'_>, error: &FormatError) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        let bucket = message.partition();
        if self.told_of.insert(bucket) {
            tracing::error!(
                topic = message.topic(),
                bucket,
                offset = message.offset(),
                %error,
                "a record of the retry topic cannot be read and is skipped; further ones in this bucket are only counted"
            );
        }
    }
}

/// A record came.
fn meet(scans: &mut Scans, message: &BorrowedMessage<'_>) -> Result<(), FormatError> {
    let owner = lane_of(RecordHeaders::of(message));
    let place = (message.offset(), message.payload_len());
    let takers = scans.pass(message.partition(), place, owner.as_ref());
    if owner.is_none() {
        return Err(FormatError::Foreign);
    }
    if takers.is_empty() {
        return Ok(());
    }
    let run = decode(&Message::of(message))?.run;
    for key in takers {
        scans.hand(key, run.clone());
    }
    Ok(())
}

/// Notes where the buckets end that are read. Returns whether one is not read to its end.
fn see_ends(scans: &mut Scans, seats: &Seats) -> bool {
    let mut behind = false;
    for (number, bucket) in scans.read() {
        if let Some(end) = seats.log_end(number) {
            bucket.ends_at(end);
        }
        behind |= !bucket.is_caught_up();
    }
    behind
}

/// Nothing came, and there is something: markers of transactions are no records.
fn pass_markers(scans: &mut Scans, seats: &Seats) {
    let positions = seats.positions();
    for (number, bucket) in scans.read() {
        if let Some(position) = positions.get(&number) {
            bucket.pass_markers(*position);
        }
    }
}
