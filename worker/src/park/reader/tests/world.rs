//! A model of what is around the scans: logs, a consumer that gives what it is set on, lanes that
//! take and give room back. It checks what every lane is told, as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parcelhook_crds::lane::{Epoch, Incarnation, LaneName};
use uuid::Uuid;

use crate::clock;
use crate::park::format::LaneOf;
use crate::park::reader::bucket::Move;
use crate::park::reader::scans::{Begin, Scans};
use crate::park::{DrainKey, LaneAddress, LaneSeat, ParkedBody, ParkedRun, Read};
use crate::source::PartitionId;

pub(super) const SHARDS: u32 = 2;

/// Records that one fetch gives of a bucket.
const FETCH: i64 = 64;

/// What a record of the model counts against a lane's room.
pub(super) const RECORD: usize = size_of::<ParkedRun>();

/// A record of the log: whose, and how large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logged {
    pub(super) lane: u32,
    pub(super) bytes: usize,
}

/// A lane that reads, as its shard sees it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) bucket: i32,
    pub(super) lane: u32,
    pub(super) got: Vec<i64>,
    pub(super) scanned_to: i64,
    /// Bytes it can still take, and bytes it holds.
    pub(super) room: i64,
    pub(super) held: usize,
    /// Bytes of all logs that were read when it last came further.
    pub(super) moved_at: usize,
}

pub(super) struct World {
    pub(super) scans: Scans,
    pub(super) logs: BTreeMap<i32, Vec<Logged>>,
    pub(super) log_starts: BTreeMap<i32, i64>,
    pub(super) seats: BTreeMap<i32, i64>,
    pub(super) readings: BTreeMap<DrainKey, Reading>,
    pub(super) bytes_read: usize,
    pub(super) records_read: usize,
    pub(super) times_seated: usize,
    pub(super) now: Instant,
}

pub(super) fn key(lane: u32, drain: u32) -> DrainKey {
    DrainKey {
        shard: lane % SHARDS,
        slot: lane,
        lane: LaneSeat {
            index: 0,
            id: u64::from(lane),
        },
        drain,
    }
}

fn name(lane: u32) -> LaneName {
    // Two lanes of one target and selection differ by their partition alone.
    LaneName {
        target: Uuid::from_u128(u128::from(lane / 2)),
        selection: [0; 16],
    }
}

pub(super) fn address(lane: u32, bucket: i32) -> Arc<LaneAddress> {
    Arc::new(LaneAddress {
        name: name(lane),
        source: PartitionId {
            topic: "orders".into(),
            partition: i32::try_from(lane).unwrap(),
        },
        topic_id: None,
        bucket,
    })
}

fn run(offset: i64) -> ParkedRun {
    let epoch = Epoch { n: 1, random: 1 };
    ParkedRun {
        offset,
        parked_at: 0,
        incarnation: Incarnation { epoch, counter: 1 },
        offsets: (offset, offset),
        prev: None,
        first_failed_at: None,
        body: ParkedBody::Events(Vec::new()),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            scans: Scans::new(SHARDS as usize),
            logs: BTreeMap::new(),
            log_starts: BTreeMap::new(),
            seats: BTreeMap::new(),
            readings: BTreeMap::new(),
            bytes_read: 0,
            records_read: 0,
            times_seated: 0,
            now: clock::now(),
        }
    }

    pub(super) fn append(&mut self, bucket: i32, records: impl IntoIterator<Item = Logged>) {
        self.logs.entry(bucket).or_default().extend(records);
    }

    pub(super) fn end(&self, bucket: i32) -> i64 {
        i64::try_from(self.logs.get(&bucket).map_or(0, Vec::len)).unwrap()
    }

    pub(super) fn begin(&mut self, key: DrainKey, bucket: i32, from: i64, records: usize) {
        let lane = key.slot;
        let room = records * RECORD;
        let begin = Begin {
            key,
            lane: address(lane, bucket),
            from,
            room,
        };
        self.scans.begin(begin, self.now);
        self.logs.entry(bucket).or_default();
        self.readings.retain(|other, _| other.slot != lane);
        self.readings.insert(
            key,
            Reading {
                bucket,
                lane,
                got: Vec::new(),
                scanned_to: from,
                room: i64::try_from(room).unwrap(),
                held: 0,
                moved_at: self.bytes_read,
            },
        );
    }

    /// The lane takes bytes that it did not say before.
    pub(super) fn more(&mut self, key: DrainKey, bytes: usize) {
        self.scans.more(key, bytes);
        if let Some(reading) = self.readings.get_mut(&key) {
            reading.room += i64::try_from(bytes).unwrap();
        }
    }

    /// The lane is done with that many of the records that it holds.
    pub(super) fn give_back(&mut self, key: DrainKey, records: usize) {
        let Some(reading) = self.readings.get_mut(&key) else {
            return;
        };
        let bytes = reading.held.min(records * RECORD);
        reading.held -= bytes;
        reading.room += i64::try_from(bytes).unwrap();
        if bytes > 0 {
            self.scans.more(key, bytes);
        }
    }

    pub(super) fn end_lane(&mut self, key: DrainKey) {
        self.scans.end(key);
        self.readings.remove(&key);
    }

    pub(super) fn plan(&mut self) {
        for (bucket, planned) in self.scans.plan() {
            match planned {
                Move::Stay => panic!("nothing to do is not told"),
                Move::Leave => {
                    self.seats.remove(&bucket);
                }
                Move::Seat(from) => {
                    self.times_seated += 1;
                    self.seats.insert(bucket, from);
                }
            }
        }
    }

    /// Reads one fetch of a bucket, as far as the scans want it.
    pub(super) fn fetch(&mut self, bucket: i32) {
        let Some(from) = self.seats.get(&bucket).copied() else {
            return;
        };
        let end = self.end(bucket);
        for offset in from..end.min(from + FETCH) {
            if self.scans.are_unsettled() {
                break;
            }
            let logged = self.logs[&bucket][usize::try_from(offset).unwrap()];
            self.bytes_read += logged.bytes;
            self.records_read += 1;
            self.seats.insert(bucket, offset + 1);
            let owner = LaneOf {
                name: name(logged.lane),
                topic: "orders",
                partition: i32::try_from(logged.lane).unwrap(),
                topic_id: None,
            };
            for key in self
                .scans
                .pass(bucket, (offset, logged.bytes), Some(&owner))
            {
                self.scans.hand(key, run(offset));
            }
        }
        for (number, read) in self.scans.read() {
            if number == bucket {
                read.ends_at(end);
            }
        }
    }

    /// One shard takes at most that many answers.
    pub(super) fn tell(&mut self, shard: u32, at_most: usize) {
        self.now += Duration::from_millis(1);
        self.scans.settle(self.now);
        for _ in 0..at_most {
            let Some(read) = self.scans.tell(shard) else {
                return;
            };
            self.heed(shard, read);
        }
    }

    fn heed(&mut self, shard: u32, read: Read) {
        match read {
            Read::Drained {
                key,
                runs,
                scanned_to,
            } => {
                assert_eq!(key.shard, shard);
                let reading = self.readings.get_mut(&key).expect("a lane that reads");
                let log = &self.logs[&reading.bucket];
                reading.take(log, &runs, scanned_to, self.bytes_read);
            }
            Read::Cut { key, log_start } => {
                assert_eq!(self.log_starts[&self.readings[&key].bucket], log_start);
                self.readings.get_mut(&key).unwrap().scanned_to = log_start;
            }
            Read::Bucket { .. } => panic!("nobody asked"),
        }
    }

    /// One round of the thread, in which all shards take what there is.
    pub(super) fn round(&mut self) {
        self.plan();
        let read: Vec<i32> = self.seats.keys().copied().collect();
        for bucket in read {
            self.fetch(bucket);
            if self.scans.are_unsettled() {
                self.plan();
            }
        }
        for shard in 0..SHARDS {
            self.tell(shard, usize::MAX);
        }
    }

    /// Lanes are done at once with all that they hold, until nothing more comes.
    pub(super) fn run_dry(&mut self) {
        let mut still = 0;
        let mut before = None;
        while still < 4 {
            // Long enough for progress to be told.
            self.now += Duration::from_millis(250);
            self.round();
            let keys: Vec<DrainKey> = self.readings.keys().copied().collect();
            for key in keys {
                self.give_back(key, usize::MAX / RECORD);
            }
            let state: Vec<i64> = self.readings.values().map(|one| one.scanned_to).collect();
            let after = Some((self.records_read, state));
            still = if before == after { still + 1 } else { 0 };
            before = after;
        }
    }

    /// Every lane that reads has each of its records from `from` on.
    pub(super) fn all_have_all(&self) {
        for (key, reading) in &self.readings {
            let end = self.end(reading.bucket);
            assert_eq!(reading.scanned_to, end, "{key:?} was not read to the end");
        }
    }
}

impl Reading {
    /// `scanned_to` must not pass an own record that was not sent, and what is sent must be the next.
    fn take(&mut self, log: &[Logged], runs: &[ParkedRun], scanned_to: i64, bytes_read: usize) {
        assert!(scanned_to >= self.scanned_to, "went back");
        let range = usize::try_from(self.scanned_to).unwrap()..usize::try_from(scanned_to).unwrap();
        let own = |offset: &usize| log[*offset].lane == self.lane;
        let expected: Vec<i64> = range.filter(own).map(|at| at as i64).collect();
        let sent: Vec<i64> = runs.iter().map(|run| run.offset).collect();
        assert_eq!(sent, expected, "lane {}", self.lane);
        let bytes = runs.len() * RECORD;
        self.room -= i64::try_from(bytes).unwrap();
        assert!(
            self.room > -i64::try_from(RECORD).unwrap(),
            "more than one record beyond the room"
        );
        self.held += bytes;
        self.got.extend(sent);
        if scanned_to > self.scanned_to {
            self.moved_at = bytes_read;
        }
        self.scanned_to = scanned_to;
    }
}
