//! Our own topics in memory, with a reader that gives each lane what it asks for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use parcelhook_crds::lane::{Epoch, LaneRow, RowKey, Terminator};

use super::super::outlet::Out;
use super::super::shard::Shard;
use crate::park::{
    DeadLetter, DrainKey, LaneAddress, Order, ParkedBody, ParkedRun, Produced, Read, Refused, Run,
    Scan, Ticket,
};
use crate::state::{Ask, RowPlace, Told};

pub(super) const BUCKETS: i32 = 4;

/// See the module.
#[derive(Default)]
pub(super) struct Topics {
    pub(super) buckets: BTreeMap<i32, Vec<Run>>,
    /// When each run of a bucket was written.
    parked_at: BTreeMap<i32, Vec<i64>>,
    /// First offsets of buckets that have lost their beginning.
    pub(super) cuts: BTreeMap<i32, usize>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Events that were parked by their place, and that the source topic still has.
    pub(super) elsewhere: BTreeSet<i64>,
    /// Events that were parked by their place, and that the source topic has no more.
    pub(super) gone: BTreeSet<i64>,
    pub(super) rows: BTreeMap<RowKey, LaneRow>,
    pub(super) terminators: BTreeMap<RowKey, Terminator>,
    /// Orders that were given and not carried out.
    pub(super) orders: VecDeque<(Ticket, Order)>,
    pub(super) hints: Vec<uuid::Uuid>,
    readers: BTreeMap<DrainKey, Reader>,
    lanes_offset: i64,
}

struct Reader {
    lane: Arc<LaneAddress>,
    cursor: usize,
    /// Below zero when a record was larger than what was left, as with the reader of the worker.
    room: i64,
}

impl Topics {
    /// Takes the shard's orders, and with `writes` carries them out. Returns whether anything happened.
    pub(super) fn carry_out<P>(
        &mut self,
        shard: &mut Shard<P>,
        now: Instant,
        writes: bool,
    ) -> bool {
        let mut happened = false;
        while let Some(out) = shard.take_order() {
            happened = true;
            match out {
                Out::Produce(ticket, order) => self.orders.push_back((ticket, order)),
                Out::Scan(Scan::Bucket { ticket, bucket, .. }) => {
                    let end = self.buckets.get(&bucket).map_or(0, Vec::len) as i64;
                    shard.read(Read::Bucket { ticket, end }, now);
                }
                Out::Scan(scan) => self.scan(scan),
                Out::Ask(Ask::TakeOver { slot, place, .. }) => {
                    let told = self.rows_of(slot, &place);
                    shard.told(told, now);
                }
                Out::Ask(Ask::Sweep { place, epoch, .. }) => self.sweep(&place, epoch),
                Out::Ask(Ask::Forget { .. }) => {}
                Out::Hint(uid) => self.hints.push(uid),
            }
        }
        while writes && self.write_next(shard, now) {
            happened = true;
        }
        happened | self.serve(shard, now)
    }

    /// Takes away what earlier owners of the partition have written.
    fn sweep(&mut self, place: &RowPlace, epoch: Epoch) {
        let stays = |key: &RowKey| {
            key.scope.partition != place.source.partition || key.scope.epoch == epoch
        };
        self.rows.retain(|key, _| stays(key));
        self.terminators.retain(|key, _| stays(key));
    }

    /// What a new owner is told: here every row of the partition counts.
    fn rows_of(&self, slot: u32, place: &RowPlace) -> Told {
        let rows = self
            .rows
            .iter()
            .filter(|(key, _)| key.scope.partition == place.source.partition);
        Told::Rows {
            slot,
            highest: rows
                .clone()
                .map(|(key, _)| key.scope.epoch.n)
                .max()
                .unwrap_or(0),
            rows: rows
                .filter_map(|(key, row)| Some((key.lane?, row.clone())))
                .collect(),
            frontier: None,
        }
    }

    /// Carries the oldest order out. Returns whether there was one.
    pub(super) fn write_next<P>(&mut self, shard: &mut Shard<P>, now: Instant) -> bool {
        let Some((ticket, order)) = self.orders.pop_front() else {
            return false;
        };
        let result = Ok(self.write(order, super::unix_millis(now)));
        shard.produced(Produced { ticket, result }, now);
        true
    }

    /// Refuses the oldest order. Returns whether there was one.
    pub(super) fn refuse_next<P>(
        &mut self,
        shard: &mut Shard<P>,
        why: Refused,
        now: Instant,
    ) -> bool {
        let Some((ticket, _)) = self.orders.pop_front() else {
            return false;
        };
        let result = Err(why);
        shard.produced(Produced { ticket, result }, now);
        true
    }

    fn write(&mut self, order: Order, unix: i64) -> i64 {
        match order {
            Order::Park(run) | Order::ParkReference(run) => {
                self.parked_at
                    .entry(run.lane.bucket)
                    .or_default()
                    .push(unix);
                let bucket = self.buckets.entry(run.lane.bucket).or_default();
                bucket.push(*run);
                bucket.len() as i64 - 1
            }
            Order::Row(key, Some(row)) => {
                self.rows.insert(key, *row);
                self.next_lanes_offset()
            }
            Order::Row(key, None) => {
                self.rows.remove(&key);
                self.next_lanes_offset()
            }
            Order::Terminator(key, Some(terminator)) => {
                self.terminators.insert(key, terminator);
                self.next_lanes_offset()
            }
            Order::Terminator(key, None) => {
                self.terminators.remove(&key);
                self.next_lanes_offset()
            }
            Order::DeadLetter(letter) => {
                self.dead_letters.push(*letter);
                self.dead_letters.len() as i64 - 1
            }
        }
    }

    fn next_lanes_offset(&mut self) -> i64 {
        self.lanes_offset += 1;
        self.lanes_offset
    }

    fn scan(&mut self, scan: Scan) {
        match scan {
            Scan::Begin {
                key,
                lane,
                from,
                room,
            } => {
                let cursor = usize::try_from(from).unwrap();
                let room = room as i64;
                let reader = Reader { lane, cursor, room };
                assert!(
                    self.readers.insert(key, reader).is_none(),
                    "{key:?} reads twice"
                );
            }
            Scan::More { key, room } => {
                self.readers.get_mut(&key).unwrap().room += room as i64;
            }
            Scan::End { key } => {
                assert!(self.readers.remove(&key).is_some(), "{key:?} did not read");
            }
            Scan::Bucket { .. } => {}
        }
    }

    /// Sends every reader what it has room for. Returns whether there was anything.
    fn serve<P>(&mut self, shard: &mut Shard<P>, now: Instant) -> bool {
        let mut reads = Vec::new();
        for (key, reader) in &mut self.readers {
            let empty = Vec::new();
            let bucket = self.buckets.get(&reader.lane.bucket).unwrap_or(&empty);
            let log_start = self.cuts.get(&reader.lane.bucket).copied().unwrap_or(0);
            if reader.cursor < log_start {
                reader.cursor = log_start;
                let log_start = log_start as i64;
                let key = *key;
                reads.push((true, Read::Cut { key, log_start }));
            }
            let begun = reader.cursor;
            let mut runs = Vec::new();
            while let Some(run) = bucket.get(reader.cursor).filter(|_| reader.room > 0) {
                if run.lane == reader.lane {
                    let parked_at = self.parked_at[&reader.lane.bucket][reader.cursor];
                    let parked = read_back(
                        run,
                        reader.cursor as i64,
                        parked_at,
                        (&self.gone, &self.elsewhere),
                    );
                    reader.room -= parked.size() as i64;
                    runs.push(parked);
                }
                reader.cursor += 1;
            }
            let scanned_to = reader.cursor as i64;
            if reader.cursor > begun
                || begun == bucket.len() && !reader.lane.source.topic.is_empty()
            {
                reads.push((
                    reader.cursor > begun,
                    Read::Drained {
                        key: *key,
                        runs,
                        scanned_to,
                    },
                ));
            }
        }
        let mut happened = false;
        for (moved, read) in reads {
            happened |= moved;
            shard.read(read, now);
        }
        happened
    }

    /// Whoever read is gone.
    pub(super) fn forget_readers(&mut self) {
        self.readers.clear();
        self.orders.clear();
    }

    /// Lanes that read now.
    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }
}

fn read_back(
    run: &Run,
    offset: i64,
    parked_at: i64,
    (gone, elsewhere): (&BTreeSet<i64>, &BTreeSet<i64>),
) -> ParkedRun {
    let is = |these: &BTreeSet<i64>| run.events.iter().any(|event| these.contains(&event.offset));
    ParkedRun {
        offset,
        parked_at,
        incarnation: run.incarnation,
        offsets: run.offsets().unwrap(),
        prev: run.prev,
        first_failed_at: run.first_failed_at,
        body: if is(gone) {
            ParkedBody::Gone
        } else if is(elsewhere) {
            ParkedBody::Fetched(run.events[0].clone())
        } else {
            ParkedBody::Events(run.events.clone())
        },
    }
}
