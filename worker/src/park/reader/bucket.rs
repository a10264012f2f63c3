//! One bucket: its lanes, and the one place where it is read.
//!
//! A bucket can be read in one place at a time. A *turn* reads it from some lane's cursor on, and
//! every lane whose cursor it comes to travels along; a lane stays behind at its own record when it
//! has no room for it, and is fetched in a later turn. Others' records are passed by all travellers,
//! room or not.
//!
//! When a turn's bytes are used up, or it has come to the end of the log, the turn goes to another
//! place, if somebody waits there. Every other turn, and a longer one, belongs to the lane that is
//! furthest behind: so lanes come together, and then one reading serves them all. The turns between
//! belong to whoever was not served for the longest, so nobody starves: of n lanes, each has one of
//! any 2n turns.
//!
//! Pure. Owns the places; does not fetch.

use std::time::Instant;

use parcelhook_crds::lane::LaneName;
use rustc_hash::FxHashMap;

use super::lane::{Lane, Sight};
use crate::park::format::LaneOf;
use crate::park::{DrainKey, ParkedRun, Read};

/// Bytes of the log that a turn of the lane furthest behind reads.
pub(super) const LONG_TURN_BYTES: i64 = 16 << 20;

/// Bytes of any other turn: worth many times the fetch that going there costs, and short enough that
/// a lane at the end of the log hears of its new records within a fraction of a second.
pub(super) const SHORT_TURN_BYTES: i64 = 4 << 20;

/// Records over which it is cheaper to read on than to go somewhere else.
pub(super) const NEAR: i64 = 32;

/// What is to be done about a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Nothing.
    Stay,
    /// It is to be read from this offset on.
    Seat(i64),
    /// It is not to be read.
    Leave,
}

/// The lanes of one bucket that read.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    lanes: FxHashMap<DrainKey, Lane>,
    by_name: FxHashMap<LaneName, Vec<DrainKey>>,
    at: Option<i64>,
    end: Option<i64>,
    turn: u64,
    bytes_left: i64,
    wanted: bool,
    came_for_nobody: bool,
    suspect: bool,
}

/// Where a turn begins.
enum Place {
    /// Where the bucket is read already.
    Here,
    /// Somewhere else.
    At(i64),
}

impl Bucket {
    /// Registers a lane. An earlier drain of the same lane ends by this.
    pub(super) fn begin(&mut self, key: DrainKey, mut lane: Lane) -> Option<DrainKey> {
        let name = lane.address().name;
        let same = |other: &DrainKey| {
            DrainKey {
                drain: key.drain,
                ..*other
            } == key
        };
        let namesakes = self.by_name.get(&name).into_iter().flatten();
        let earlier = namesakes.copied().find(same);
        if let Some(earlier) = earlier {
            self.end_lane(earlier);
        }
        // As if served just now, so that those who wait already come first.
        lane.served = self.turn;
        if let Some(at) = self.at {
            lane.join(at);
        }
        self.by_name.entry(name).or_default().push(key);
        self.lanes.insert(key, lane);
        earlier
    }

    /// Forgets a lane.
    pub(super) fn end_lane(&mut self, key: DrainKey) {
        let Some(lane) = self.lanes.remove(&key) else {
            return;
        };
        let name = lane.address().name;
        if let Some(keys) = self.by_name.get_mut(&name) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_name.remove(&name);
            }
        }
    }

    pub(super) fn lane_mut(&mut self, key: DrainKey) -> Option<&mut Lane> {
        self.lanes.get_mut(&key)
    }

    /// Whether there is nothing left to know about it.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.at.is_none()
    }

    /// Where it is read.
    pub(super) fn at(&self) -> Option<i64> {
        self.at
    }

    /// The bucket's end as far as it is known.
    pub(super) fn known_end(&self) -> Option<i64> {
        self.end
    }

    /// The bucket ends here, or later.
    pub(super) fn ends_at(&mut self, end: i64) {
        self.end = Some(end);
    }

    /// A record came. Returns the lanes that it must be [handed](Self::hand) to now.
    pub(super) fn pass(
        &mut self,
        offset: i64,
        bytes: usize,
        owner: Option<&LaneOf<'_>>,
    ) -> Vec<DrainKey> {
        if self.at.is_none_or(|at| offset < at) {
            return Vec::new();
        }
        self.at = Some(offset + 1);
        self.suspect = false;
        self.bytes_left -= i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut takers = Vec::new();
        let keys = owner.and_then(|owner| self.by_name.get(&owner.name));
        for key in keys.into_iter().flatten() {
            let Some(lane) = self.lanes.get_mut(key) else {
                continue;
            };
            if !lane.meets(offset) || !owner.is_some_and(|owner| lane.owns(owner)) {
                continue;
            }
            lane.served = self.turn;
            if lane.is_ready() {
                takers.push(*key);
            } else {
                lane.stays_behind(offset);
            }
        }
        self.came_for_nobody |= !self.wanted;
        takers
    }

    /// Only markers came between the last record and `position`.
    pub(super) fn pass_markers(&mut self, position: i64) {
        self.at = self.at.map(|at| at.max(position));
    }

    /// Hands a record over. Returns whether the lane's room is used up.
    pub(super) fn hand(&mut self, key: DrainKey, run: ParkedRun) -> bool {
        self.lanes.get_mut(&key).is_some_and(|lane| lane.take(run))
    }

    /// Whether the turn's bytes are used up.
    pub(super) fn turn_is_over(&self) -> bool {
        self.bytes_left <= 0
    }

    /// Whether somebody takes what is read, by the last [plan](Self::plan).
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether it is read to its end.
    pub(super) fn is_caught_up(&self) -> bool {
        self.at.zip(self.end).is_some_and(|(at, end)| at >= end)
    }

    /// Decides where to read. What is returned counts as done.
    pub(super) fn plan(&mut self) -> Move {
        let wanted_here = self.at.is_some_and(|at| {
            let mut ready = self.ready();
            ready.any(|lane| is_here(lane, at))
        });
        self.wanted = wanted_here;
        if wanted_here && !self.turn_is_over() && !self.is_caught_up() {
            return Move::Stay;
        }
        match self.next_turn(wanted_here) {
            Some(Place::At(from)) => {
                self.leave();
                self.seat(from)
            }
            Some(Place::Here) => {
                if self.turn_is_over() {
                    self.begin_turn();
                }
                Move::Stay
            }
            // While nobody has room the bucket stays where it is, so that what was fetched is not
            // lost; but a record that came all the same is.
            None if self.at.is_some() && (self.came_for_nobody || self.lanes.is_empty()) => {
                self.leave();
                Move::Leave
            }
            None => Move::Stay,
        }
    }

    /// Not read any more, until it is planned again.
    pub(super) fn leave(&mut self) {
        let Some(at) = self.at.take() else {
            return;
        };
        for lane in self.lanes.values_mut() {
            if lane.is_ready() && is_here(lane, at) {
                lane.served = self.turn;
            }
            lane.part(at);
        }
        self.wanted = false;
        self.came_for_nobody = false;
        self.suspect = false;
    }

    fn seat(&mut self, from: i64) -> Move {
        self.begin_turn();
        self.at = Some(from);
        self.wanted = true;
        for lane in self.lanes.values_mut() {
            lane.join(from);
        }
        Move::Seat(from)
    }

    fn begin_turn(&mut self) {
        self.turn += 1;
        self.bytes_left = if is_long(self.turn) {
            LONG_TURN_BYTES
        } else {
            SHORT_TURN_BYTES
        };
    }

    /// Where the next turn begins; none when nobody has room.
    fn next_turn(&self, wanted_here: bool) -> Option<Place> {
        let at = self.at.unwrap_or(i64::MIN);
        let here = |lane: &Lane| is_here(lane, at);
        let position = |lane: &Lane| lane.position(at);
        let has_more = |lane: &&Lane| self.end.is_none_or(|end| position(lane) < end);
        let behind = || self.ready().filter(has_more);
        let Some(lowest) = behind().min_by_key(|lane| position(lane)) else {
            // All who have room wait for new records.
            if wanted_here {
                return Some(Place::Here);
            }
            return self.ready().map(position).min().map(Place::At);
        };
        let elsewhere = behind().filter(|lane| !here(lane));
        let longest = elsewhere.min_by_key(|lane| (lane.served, position(lane)));
        let chosen = match longest {
            Some(longest) if !is_long(self.turn + 1) => longest,
            Some(_) | None => lowest,
        };
        if here(chosen) {
            return Some(Place::Here);
        }
        Some(Place::At(position(chosen)))
    }

    /// Whether a lane will take its next record in a moment.
    pub(super) fn has_waiting(&self) -> bool {
        self.lanes.values().any(Lane::is_waiting)
    }

    fn ready(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values().filter(|lane| lane.is_ready())
    }

    /// The cluster said that some bucket's offset is out of its range, or nothing comes.
    pub(super) fn suspect(&mut self) -> bool {
        self.suspect = self.at.is_some();
        self.suspect
    }

    /// The log's range, asked for when the bucket was suspect. A lane that wants what the log does
    /// not have any more goes on at its start. A log that ends before the place where it is read has
    /// lost its tail or is another log: all lanes read all of it again, for what was parked since may
    /// be anywhere in it, and they drop what they have had. Returns whether it must be read anew.
    pub(super) fn has_range(&mut self, log_start: i64, end: i64) -> bool {
        self.end = Some(end);
        let Some(at) = self.at.filter(|_| self.suspect) else {
            return false;
        };
        let truncated = at > end;
        self.leave();
        for lane in self.lanes.values_mut() {
            if truncated || lane.position(at) < log_start {
                lane.cut(log_start);
            }
        }
        true
    }

    /// Lanes that have something to tell by now, and are not listed already.
    pub(super) fn list(&mut self, now: Instant) -> Vec<DrainKey> {
        let sight = Sight {
            at: self.at.unwrap_or(0),
            caught_up: self.is_caught_up(),
            parting: self.at.is_none(),
        };
        let lanes = self.lanes.iter_mut();
        lanes
            .filter_map(|(key, lane)| lane.must_be_listed(sight, now).then_some(*key))
            .collect()
    }

    /// What a lane has to tell next.
    pub(super) fn tell(&mut self, key: DrainKey) -> Option<Read> {
        let at = self.at.unwrap_or(0);
        self.lanes.get_mut(&key)?.tell(key, at)
    }
}

/// Whether the lane travels with what is read at `at`, or soon will.
fn is_here(lane: &Lane, at: i64) -> bool {
    lane.meets(at.saturating_add(NEAR))
}

/// Whether a turn is the long one of the lane furthest behind.
fn is_long(turn: u64) -> bool {
    turn.is_multiple_of(2)
}
