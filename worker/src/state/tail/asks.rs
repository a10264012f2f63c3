//! Who asked the tail for what, and what is still owed.
//!
//! Pure. Owns one entry for each partition of a shard that has asked for something, and so nothing
//! that grows beyond the partitions of this worker. Answers are made from the table when there is room
//! for them, never kept. Does not read the topic and does not send.

use std::collections::{BTreeMap, BTreeSet};

use parcelhook_crds::lane::Epoch;

use super::super::table::{Inherited, Table, is_stale, may_be_same};
use super::super::{Ask, RowPlace, Told};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Asks {
    owners: BTreeMap<Owner, Asked>,
}

/// A partition of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    shard: u32,
    slot: u32,
}

#[derive(Debug)]
struct Asked {
    place: RowPlace,
    take_over: Option<TakeOver>,
    sweep: Option<Sweep>,
}

#[derive(Debug)]
struct TakeOver {
    /// Partition of the lanes topic.
    partition: i32,
    /// The epoch in the group's commit.
    metadata: Option<Epoch>,
    /// The end that must be passed; none until a broker has named it.
    end: Option<i64>,
}

#[derive(Debug)]
struct Sweep {
    own: Epoch,
    /// Something is stale that its owner was not told of.
    owed: bool,
}

/// Why an answer cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// There is no room now.
    Full,
    /// The shard has ended.
    Gone,
}

impl Asks {
    /// Takes a question. `partition_of` tells where in the lanes topic a place's rows are.
    pub(super) fn heed(&mut self, ask: Ask, partition_of: impl FnOnce(&RowPlace) -> i32) {
        match ask {
            Ask::TakeOver {
                shard,
                slot,
                place,
                epoch,
            } => {
                let take_over = TakeOver {
                    partition: partition_of(&place),
                    metadata: epoch,
                    end: None,
                };
                self.asked(Owner { shard, slot }, place).take_over = Some(take_over);
            }
            Ask::Sweep {
                shard,
                slot,
                place,
                epoch,
            } => {
                let sweep = Sweep {
                    own: epoch,
                    owed: true,
                };
                self.asked(Owner { shard, slot }, place).sweep = Some(sweep);
            }
            Ask::Forget { shard, slot } => {
                self.owners.remove(&Owner { shard, slot });
            }
        }
    }

    /// Partitions of the lanes topic whose end must be asked for.
    pub(super) fn without_end(&self) -> BTreeSet<i32> {
        let take_overs = self.take_overs().filter(|asked| asked.end.is_none());
        take_overs.map(|asked| asked.partition).collect()
    }

    /// Brokers have named the ends of partitions, asked after all that was heeded so far.
    pub(super) fn ends(&mut self, ends: &BTreeMap<i32, i64>) {
        let asked = self.owners.values_mut();
        for take_over in asked.filter_map(|asked| asked.take_over.as_mut()) {
            if take_over.end.is_none() {
                take_over.end = ends.get(&take_over.partition).copied();
            }
        }
    }

    /// The topic is read anew, and may be another one: its ends must be asked for again.
    pub(super) fn forget_ends(&mut self) {
        let asked = self.owners.values_mut();
        for take_over in asked.filter_map(|asked| asked.take_over.as_mut()) {
            take_over.end = None;
        }
    }

    /// The furthest end that somebody waits for, by partition.
    pub(super) fn awaited(&self) -> BTreeMap<i32, i64> {
        let mut awaited = BTreeMap::new();
        for take_over in self.take_overs() {
            if let Some(end) = take_over.end {
                let furthest = awaited.entry(take_over.partition).or_insert(end);
                *furthest = end.max(*furthest);
            }
        }
        awaited
    }

    /// Whether a take-over is not answered.
    pub(super) fn is_waiting(&self) -> bool {
        self.take_overs().next().is_some()
    }

    /// Whether the partition is one of this worker's.
    pub(super) fn owns(&self, place: &RowPlace) -> bool {
        let mut owned = self.owners.values();
        owned.any(|asked| may_be_same(&asked.place, place))
    }

    /// Something was written: its owner may have to sweep it.
    pub(super) fn written(&mut self, place: &RowPlace, epoch: Epoch) {
        for asked in self.owners.values_mut() {
            if let Some(sweep) = &mut asked.sweep
                && is_stale(epoch, sweep.own)
                && may_be_same(&asked.place, place)
            {
                sweep.owed = true;
            }
        }
    }

    /// Answers what can be answered. `has_passed` tells whether an end of a partition of the lanes
    /// topic was passed; `reserve` gives the way for one answer to a shard. Returns whether something
    /// waits for room.
    pub(super) fn answer<Way: FnOnce(Told)>(
        &mut self,
        table: &Table,
        has_passed: impl Fn(i32, i64) -> bool,
        mut reserve: impl FnMut(u32) -> Result<Way, NoRoom>,
    ) -> bool {
        let mut closed: BTreeMap<u32, NoRoom> = BTreeMap::new();
        for (owner, asked) in &mut self.owners {
            while asked.is_owed(&has_passed) && !closed.contains_key(&owner.shard) {
                match reserve(owner.shard) {
                    Ok(send) => {
                        if let Some(told) = asked.answer(owner.slot, table, &has_passed) {
                            send(told);
                        }
                    }
                    Err(no_room) => {
                        closed.insert(owner.shard, no_room);
                    }
                }
            }
        }
        let gone = |shard: u32| closed.get(&shard) == Some(&NoRoom::Gone);
        self.owners.retain(|owner, _| !gone(owner.shard));
        closed.values().any(|no_room| *no_room == NoRoom::Full)
    }

    fn asked(&mut self, owner: Owner, place: RowPlace) -> &mut Asked {
        let asked = self.owners.entry(owner).or_insert_with(|| Asked {
            place: place.clone(),
            take_over: None,
            sweep: None,
        });
        asked.place = place;
        asked
    }

    fn take_overs(&self) -> impl Iterator<Item = &TakeOver> {
        self.owners
            .values()
            .filter_map(|asked| asked.take_over.as_ref())
    }
}

impl Asked {
    fn is_owed(&self, has_passed: impl Fn(i32, i64) -> bool) -> bool {
        let take_over = self.take_over.as_ref();
        take_over.is_some_and(|asked| asked.is_passed(has_passed))
            || self.sweep.as_ref().is_some_and(|sweep| sweep.owed)
    }

    /// The rows, before the stale keys. What is owed but empty is settled without a word.
    fn answer(
        &mut self,
        slot: u32,
        table: &Table,
        has_passed: impl Fn(i32, i64) -> bool,
    ) -> Option<Told> {
        let passed = self.take_over.take_if(|asked| asked.is_passed(&has_passed));
        if let Some(take_over) = passed {
            let Inherited {
                rows,
                highest,
                frontier,
            } = table.inherited(&self.place, take_over.metadata);
            return Some(Told::Rows {
                slot,
                rows,
                highest,
                frontier,
            });
        }
        let sweep = self.sweep.as_mut()?;
        sweep.owed = false;
        let keys = table.stale(&self.place, sweep.own);
        (!keys.is_empty()).then_some(Told::Stale { slot, keys })
    }
}

impl TakeOver {
    fn is_passed(&self, has_passed: impl Fn(i32, i64) -> bool) -> bool {
        self.end.is_some_and(|end| has_passed(self.partition, end))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{epoch, lane, lane_entry, place};
    use super::*;

    const GROUP: &str = "g";

    fn take_over(slot: u32) -> Ask {
        Ask::TakeOver {
            shard: slot % 2,
            slot,
            place: place(slot as i32),
            epoch: Some(epoch(1)),
        }
    }

    fn sweep(slot: u32) -> Ask {
        Ask::Sweep {
            shard: slot % 2,
            slot,
            place: place(slot as i32),
            epoch: epoch(2),
        }
    }

    /// Each place's rows are in the partition of its own number.
    fn asks(asks: impl IntoIterator<Item = Ask>) -> Asks {
        let mut all = Asks::default();
        for ask in asks {
            all.heed(ask, |place| place.source.partition);
        }
        all
    }

    /// What is told while there is room for `room` answers to each shard.
    fn told(asks: &mut Asks, table: &Table, room: usize, passed: bool) -> Vec<String> {
        let told = std::cell::RefCell::new(Vec::new());
        let mut left = [room; 2];
        let waits = asks.answer(
            table,
            |_, _| passed,
            |shard| {
                let left = &mut left[shard as usize];
                *left = left.checked_sub(1).ok_or(NoRoom::Full)?;
                Ok(|answer| {
                    told.borrow_mut().push(match answer {
                        Told::Rows { slot, rows, .. } => format!("{slot}: {} rows", rows.len()),
                        Told::Stale { slot, keys } => format!("{slot}: {} stale", keys.len()),
                        Told::Recovered { target } => format!("{target} recovered"),
                    });
                })
            },
        );
        let mut told = told.into_inner();
        told.extend(waits.then(|| "full".to_owned()));
        told
    }

    fn table(partitions: impl IntoIterator<Item = i32>) -> Table {
        let mut table = Table::new(GROUP);
        for partition in partitions {
            let written = table.apply(lane_entry(GROUP, &place(partition), epoch(1), lane(1)));
            assert!(written.is_some());
        }
        table
    }

    #[test]
    fn a_new_owner_is_answered_once_and_only_when_the_named_end_is_passed() {
        let table = table([1]);
        let mut asks = asks([take_over(1)]);
        assert_eq!(told(&mut asks, &table, 9, true), [""; 0], "no end is named");
        assert_eq!(asks.without_end(), BTreeSet::from([1]));
        asks.ends(&BTreeMap::from([(1, 40)]));
        assert_eq!(asks.awaited(), BTreeMap::from([(1, 40)]));
        assert_eq!(told(&mut asks, &table, 9, false), [""; 0], "not passed");
        assert_eq!(told(&mut asks, &table, 9, true), ["1: 1 rows"]);
        assert_eq!(told(&mut asks, &table, 9, true), [""; 0]);
        assert!(!asks.is_waiting());
    }

    #[test]
    fn an_end_is_asked_for_again_after_every_question() {
        let mut asks = asks([take_over(1)]);
        asks.ends(&BTreeMap::from([(1, 40)]));
        asks.heed(take_over(1), |_| 1);
        assert_eq!(asks.without_end(), BTreeSet::from([1]));
        asks.ends(&BTreeMap::from([(1, 50)]));
        asks.forget_ends();
        assert_eq!(asks.without_end(), BTreeSet::from([1]));
    }

    #[test]
    fn what_was_forgotten_is_not_answered() {
        let mut asks = asks([take_over(1), sweep(1)]);
        asks.ends(&BTreeMap::from([(1, 40)]));
        asks.heed(Ask::Forget { shard: 1, slot: 1 }, |_| 1);
        assert_eq!(told(&mut asks, &table([1]), 9, true), [""; 0]);
    }

    #[test]
    fn a_full_shard_is_answered_later_and_keeps_no_other_waiting() {
        let table = table(0..4);
        let mut asks = asks((0..4).map(take_over));
        asks.ends(&(0..4).map(|partition| (partition, 1)).collect());
        let first = told(&mut asks, &table, 1, true);
        assert_eq!(first, ["0: 1 rows", "1: 1 rows", "full"]);
        assert_eq!(told(&mut asks, &table, 1, true), ["2: 1 rows", "3: 1 rows"]);
    }

    #[test]
    fn an_owner_hears_of_what_is_stale_now_and_of_what_becomes_so() {
        let mut table = table([1]);
        let mut asks = asks([sweep(1), sweep(2)]);
        assert_eq!(told(&mut asks, &table, 9, true), ["1: 1 stale"]);
        assert_eq!(told(&mut asks, &table, 9, true), [""; 0], "told once");
        for (partition, epoch) in [(1, epoch(2)), (2, epoch(3))] {
            let entry = lane_entry(GROUP, &place(partition), epoch, lane(1));
            let (place, epoch) = table.apply(entry).unwrap();
            asks.written(&place, epoch);
        }
        assert_eq!(
            told(&mut asks, &table, 9, true),
            [""; 0],
            "its own, or newer"
        );
        let late = lane_entry(GROUP, &place(2), epoch(1), lane(2));
        let (place, epoch) = table.apply(late).unwrap();
        asks.written(&place, epoch);
        assert_eq!(told(&mut asks, &table, 9, true), ["2: 1 stale"]);
    }

    #[test]
    fn a_shard_that_has_ended_is_forgotten() {
        let mut asks = asks([sweep(1)]);
        let waits = asks.answer(
            &table([1]),
            |_, _| true,
            |_| Err::<fn(Told), _>(NoRoom::Gone),
        );
        assert!(!waits && asks.owners.is_empty());
    }
}
