//! What the table of rows promises, by example and against a model that remembers every record.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::{Incarnation, Mode, NotBefore, ParkReason, Terminator, Wants};
use super::*;

const GROUP: &str = "parcelhook.main.default";

fn epoch(n: u32, random: u64) -> Epoch {
    Epoch { n, random }
}

fn place(partition: i32, id: Option<u128>) -> RowPlace {
    RowPlace {
        source: PartitionId {
            topic: "orders".into(),
            partition,
        },
        topic_id: id.map(|id| TopicId(Uuid::from_u128(id))),
    }
}

/// A lane of the target of that number.
fn lane(number: u8) -> LaneName {
    LaneName {
        target: Uuid::from_u128(number.into()),
        selection: [number; 16],
    }
}

/// A lane that has delivered so far and parks since.
fn row(delivered_through: i64) -> LaneRow {
    LaneRow {
        mode: Mode::Parking,
        reason: ParkReason::Failed,
        incarnation: Incarnation {
            epoch: epoch(1, 7),
            counter: 1,
        },
        delivered_through,
        attempted: None,
        bucket: 0,
        resume_offset: 0,
        attempts: 1,
        not_before: NotBefore::Never,
        since: 0,
        oldest_parked_at: None,
        last_failure: None,
        parked: 0,
        parked_through: None,
        last_request: None,
        wants: Wants::Everything,
        absent_since: None,
    }
}

/// What one record says: where, under which epoch, of which lane (none is the terminator), and the
/// number in its value (none is a tombstone).
#[derive(Clone, Debug)]
struct Said {
    place: RowPlace,
    epoch: Epoch,
    lane: Option<u8>,
    value: Option<i64>,
}

impl Said {
    fn new(place: &RowPlace, epoch: Epoch, lane: Option<u8>, value: Option<i64>) -> Self {
        Self {
            place: place.clone(),
            epoch,
            lane,
            value,
        }
    }

    fn entry(&self, group: &str) -> Entry {
        let scope = scope_of(group, &self.place, self.epoch);
        match (self.lane.map(lane), self.value) {
            (Some(lane), Some(value)) => Entry::Lane(scope, lane, Box::new(row(value))),
            (Some(lane), None) => Entry::LaneEnded(scope, lane),
            (None, Some(frontier)) => Entry::Terminator(scope, Terminator { frontier }),
            (None, None) => Entry::TerminatorEnded(scope),
        }
    }
}

fn table(said: &[Said]) -> Table {
    let mut table = Table::new(GROUP);
    for said in said {
        let written = table.apply(said.entry(GROUP));
        let expected = said.value.map(|_| (said.place.clone(), said.epoch));
        assert_eq!(written, expected);
    }
    table
}

fn through(inherited: &Inherited) -> Vec<i64> {
    let rows = inherited.rows.iter();
    rows.map(|(_, row)| row.delivered_through).collect()
}

#[test]
fn only_rows_of_the_metadatas_epoch_count() {
    let here = place(0, None);
    let (old, own) = (epoch(4, 1), epoch(4, 2));
    let table = table(&[
        Said::new(&here, old, None, Some(10)),
        Said::new(&here, old, Some(1), Some(11)),
        Said::new(&here, own, None, Some(20)),
        Said::new(&here, own, Some(1), Some(21)),
        Said::new(&here, own, Some(2), Some(22)),
        Said::new(&here, epoch(9, 0), Some(2), Some(99)),
    ]);
    let inherited = table.inherited(&here, Some(own));
    assert_eq!(through(&inherited), [21, 22]);
    assert_eq!((inherited.highest, inherited.frontier), (9, Some(20)));
    let unknown = table.inherited(&here, Some(epoch(12, 0)));
    assert_eq!((through(&unknown), unknown.highest), (Vec::new(), 12));
}

#[test]
fn without_metadata_the_highest_epoch_with_a_terminator_counts_and_of_equals_the_later() {
    let here = place(0, None);
    let mut said = vec![
        Said::new(&here, epoch(4, 9), None, Some(10)),
        Said::new(&here, epoch(4, 9), Some(1), Some(11)),
        Said::new(&here, epoch(4, 1), None, Some(20)),
        Said::new(&here, epoch(4, 1), Some(1), Some(21)),
        Said::new(&here, epoch(5, 0), Some(1), Some(31)),
    ];
    let inherited = table(&said).inherited(&here, None);
    assert_eq!(through(&inherited), [21], "5 has no terminator");
    assert_eq!((inherited.highest, inherited.frontier), (5, Some(20)));
    // Written again: now the other one is the later.
    said.push(Said::new(&here, epoch(4, 9), None, Some(12)));
    assert_eq!(through(&table(&said).inherited(&here, None)), [11]);
}

#[test]
fn a_topic_that_was_made_anew_inherits_nothing_and_an_unknown_id_proves_nothing() {
    let (first, second, unknown) = (place(0, Some(1)), place(0, Some(2)), place(0, None));
    let table = table(&[
        Said::new(&first, epoch(1, 1), Some(1), Some(1)),
        Said::new(&unknown, epoch(1, 2), Some(1), Some(2)),
        Said::new(&place(1, Some(1)), epoch(1, 1), Some(1), Some(3)),
    ]);
    let rows = |place: &RowPlace, random| through(&table.inherited(place, Some(epoch(1, random))));
    assert_eq!(rows(&first, 1), [1]);
    assert_eq!(rows(&first, 2), [2]);
    assert_eq!(rows(&second, 1), [0; 0]);
    assert_eq!(rows(&unknown, 1), [1]);
}

#[test]
fn another_groups_rows_are_not_kept() {
    let mut table = Table::new(GROUP);
    let said = Said::new(&place(0, None), epoch(1, 1), Some(1), Some(1));
    assert_eq!(table.apply(said.entry("another")), None);
    assert_eq!(table.places(), 0);
}

fn said() -> impl Strategy<Value = Said> {
    let place = (0..2, prop::option::of(1..3u128)).prop_map(|(partition, id)| place(partition, id));
    let epoch = (1..4u32, 0..2u64).prop_map(|(n, random)| epoch(n, random));
    let lane = prop::option::of(1..3u8);
    let value = prop::option::weighted(0.7, 0..100i64);
    (place, epoch, lane, value)
        .prop_map(|(place, epoch, lane, value)| Said::new(&place, epoch, lane, value))
}

/// The last record of each key that is no tombstone, with its place in the log.
fn last(log: &[Said]) -> Vec<(usize, &Said)> {
    let overwritten = |index: usize, said: &Said| {
        let later = log.iter().skip(index + 1);
        later.clone().any(|other| {
            (&other.place, other.epoch, other.lane) == (&said.place, said.epoch, said.lane)
        })
    };
    let numbered = log.iter().enumerate();
    numbered
        .filter(|(index, said)| said.value.is_some() && !overwritten(*index, said))
        .collect()
}

fn concerns(said: &Said, place: &RowPlace) -> bool {
    let ids = [said.place.topic_id, place.topic_id];
    said.place.source == place.source && (ids[0] == ids[1] || ids.contains(&None))
}

/// The rows that count, by lane, as (lane, value).
fn counting(log: &[Said], place: &RowPlace, metadata: Option<Epoch>) -> Vec<(u8, i64)> {
    let mine: Vec<_> = last(log)
        .into_iter()
        .filter(|(_, said)| concerns(said, place))
        .collect();
    let terminators = mine.iter().filter(|(_, said)| said.lane.is_none());
    let newest = terminators.max_by_key(|(index, said)| (said.epoch.n, *index));
    let counts = metadata.or(newest.map(|(_, said)| said.epoch));
    let mut rows: Vec<_> = mine
        .iter()
        .filter(|(_, said)| Some(said.epoch) == counts)
        .filter_map(|(_, said)| Some((said.lane?, said.value?)))
        .collect();
    rows.sort_unstable();
    rows
}

proptest! {
    #[test]
    fn the_table_answers_as_one_who_remembers_every_record(
        log in prop::collection::vec(said(), 0..60),
        id in prop::option::of(1..3u128),
        metadata in prop::option::of((1..4u32, 0..2u64)),
        own in (1..4u32, 0..2u64),
    ) {
        let table = table(&log);
        let here = place(0, id);
        let metadata = metadata.map(|(n, random)| epoch(n, random));
        let last = last(&log);
        let inherited = table.inherited(&here, metadata);
        let mut rows: Vec<_> = inherited
            .rows
            .iter()
            .map(|(name, row)| (name.selection[0], row.delivered_through))
            .collect();
        rows.sort_unstable();
        prop_assert_eq!(rows, counting(&log, &here, metadata));
        let mine = || last.iter().filter(|(_, said)| concerns(said, &here));
        let numbers = mine().map(|(_, said)| said.epoch.n);
        let highest = numbers.chain(metadata.map(|epoch| epoch.n)).max();
        prop_assert_eq!(inherited.highest, highest.unwrap_or(0));

        let own = epoch(own.0, own.1);
        let mut stale: Vec<RowKey> = mine()
            .filter(|(_, said)| said.epoch != own && said.epoch.n <= own.n)
            .map(|(_, said)| RowKey {
                scope: scope_of(GROUP, &said.place, said.epoch),
                lane: said.lane.map(lane),
            })
            .collect();
        let mut found = table.stale(&here, own);
        stale.sort();
        found.sort();
        prop_assert_eq!(found, stale);

        let mut places: Vec<&RowPlace> = last.iter().map(|(_, said)| &said.place).collect();
        places.sort_unstable();
        places.dedup();
        prop_assert_eq!(table.places(), places.len(), "nothing empty is kept");
        let expected: usize = places
            .iter()
            .map(|place| {
                let exact: Vec<Said> = log.iter().filter(|said| said.place == **place).cloned().collect();
                counting(&exact, place, None).len()
            })
            .sum();
        prop_assert_eq!(table.not_live().count(), expected);
    }
}
