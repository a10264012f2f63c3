//! What the lanes topic says about one consumer group: the fold of its records.
//!
//! Owns, for each source partition and each epoch, the rows of lanes that are not live and the
//! epoch's terminator. A tombstone removes; what is empty is not kept, so the table is as large as
//! what is written and not live. Answers what a new owner inherits, what an owner may sweep, and
//! which lanes are not live in all. Does not read the topic.

use std::collections::BTreeMap;

use super::{Entry, Epoch, LaneName, LaneRow, PartitionId, RowKey, RowPlace, Scope, TopicId};

#[cfg(test)]
mod tests;

/// See the module.
#[derive(Debug)]
pub struct Table {
    group: String,
    places: BTreeMap<RowPlace, Epochs>,
    /// Counts the terminators that were read: of two, the greater number came later.
    terminators: u64,
}

type Epochs = BTreeMap<Epoch, Written>;

/// What was written under one epoch of one partition.
#[derive(Debug, Default)]
struct Written {
    rows: BTreeMap<LaneName, Box<LaneRow>>,
    terminator: Option<Terminated>,
}

#[derive(Clone, Copy, Debug)]
struct Terminated {
    order: u64,
    frontier: i64,
}

/// What a new owner of a partition finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The rows that count.
    pub rows: Vec<(LaneName, LaneRow)>,
    /// The highest number of any epoch in rows, terminators and metadata; 0 when there is none.
    pub highest: u32,
    /// Frontier in the terminator of the epoch that counts.
    pub frontier: Option<i64>,
}

impl Table {
    /// An empty table of a consumer group.
    pub fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            places: BTreeMap::new(),
            terminators: 0,
        }
    }

    /// Forgets everything, to be read anew.
    pub fn clear(&mut self) {
        self.places.clear();
    }

    /// Takes the next record of the topic. Of one partition, records must come in their order. Returns
    /// where something was written; none when something was removed or it is another group's.
    pub fn apply(&mut self, entry: Entry) -> Option<(RowPlace, Epoch)> {
        let (Entry::Lane(scope, ..)
        | Entry::LaneEnded(scope, _)
        | Entry::Terminator(scope, _)
        | Entry::TerminatorEnded(scope)) = &entry;
        if scope.group != self.group {
            return None;
        }
        let (place, epoch) = (place_of(scope), scope.epoch);
        match entry {
            Entry::Lane(_, name, row) => {
                self.written(&place, epoch).rows.insert(name, row);
            }
            Entry::Terminator(_, terminator) => {
                self.terminators += 1;
                self.written(&place, epoch).terminator = Some(Terminated {
                    order: self.terminators,
                    frontier: terminator.frontier,
                });
            }
            Entry::LaneEnded(_, name) => {
                self.remove(&place, epoch, |written| {
                    written.rows.remove(&name);
                });
                return None;
            }
            Entry::TerminatorEnded(_) => {
                self.remove(&place, epoch, |written| written.terminator = None);
                return None;
            }
        }
        Some((place, epoch))
    }

    /// What a new owner of a partition inherits: what was written under the epoch in the group's
    /// commit. Without one, under the highest epoch that has a terminator.
    pub fn inherited(&self, place: &RowPlace, metadata: Option<Epoch>) -> Inherited {
        let all = || self.of(place).flat_map(|(_, epochs)| epochs);
        let numbers = all().map(|(epoch, _)| epoch.n);
        let highest = numbers.chain(metadata.map(|epoch| epoch.n)).max();
        let counting = metadata.or_else(|| newest(all()));
        let mut inherited = Inherited {
            highest: highest.unwrap_or(0),
            ..Inherited::default()
        };
        for (_, written) in all().filter(|(epoch, _)| Some(**epoch) == counting) {
            let rows = written.rows.iter();
            inherited
                .rows
                .extend(rows.map(|(name, row)| (*name, LaneRow::clone(row))));
            let terminator = written.terminator.map(|terminator| terminator.frontier);
            inherited.frontier = inherited.frontier.max(terminator);
        }
        inherited
    }

    /// Keys of a partition that its owner may take away: of other epochs with a number that is not
    /// above its own.
    pub fn stale(&self, place: &RowPlace, own: Epoch) -> Vec<RowKey> {
        self.of(place)
            .flat_map(|(place, epochs)| {
                let stale = epochs
                    .iter()
                    .filter(move |(epoch, _)| is_stale(**epoch, own));
                stale.flat_map(|(epoch, written)| self.keys(place, *epoch, written))
            })
            .collect()
    }

    /// The lanes of the group that are not live, each partition by the highest epoch that has a
    /// terminator.
    pub fn not_live(&self) -> impl Iterator<Item = (&RowPlace, LaneName, &LaneRow)> {
        self.places.iter().flat_map(|(place, epochs)| {
            let written = newest(epochs).and_then(|epoch| epochs.get(&epoch));
            let rows = written.into_iter().flat_map(|written| &written.rows);
            rows.map(move |(name, row)| (place, *name, &**row))
        })
    }

    /// The row of a lane under the epoch of its scope.
    pub fn row(&self, scope: &Scope, name: &LaneName) -> Option<&LaneRow> {
        if scope.group != self.group {
            return None;
        }
        let written = self.places.get(&place_of(scope))?.get(&scope.epoch)?;
        written.rows.get(name).map(|row| &**row)
    }

    /// Partitions of which anything is known.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// What was written for a partition.
    fn of(&self, place: &RowPlace) -> impl Iterator<Item = (&RowPlace, &Epochs)> {
        let first = RowPlace {
            source: place.source.clone(),
            topic_id: None,
        };
        let wanted = place.clone();
        let source = place.source.clone();
        self.places
            .range(first..)
            .take_while(move |(found, _)| found.source == source)
            .filter(move |(found, _)| may_be_same(found, &wanted))
    }

    fn written(&mut self, place: &RowPlace, epoch: Epoch) -> &mut Written {
        let epochs = self.places.entry(place.clone()).or_default();
        epochs.entry(epoch).or_default()
    }

    fn remove(&mut self, place: &RowPlace, epoch: Epoch, from: impl FnOnce(&mut Written)) {
        let Some(epochs) = self.places.get_mut(place) else {
            return;
        };
        if let Some(written) = epochs.get_mut(&epoch) {
            from(written);
            if written.rows.is_empty() && written.terminator.is_none() {
                epochs.remove(&epoch);
            }
        }
        if epochs.is_empty() {
            self.places.remove(place);
        }
    }

    fn keys<'a>(
        &'a self,
        place: &'a RowPlace,
        epoch: Epoch,
        written: &'a Written,
    ) -> impl Iterator<Item = RowKey> + 'a {
        let terminator = written.terminator.map(|_| None);
        let lanes = written.rows.keys().map(|name| Some(*name));
        lanes.chain(terminator).map(move |lane| RowKey {
            scope: scope_of(&self.group, place, epoch),
            lane,
        })
    }
}

/// Whether two places may be the same partition. A row that names no topic id may be of any topic of
/// that name, and a cluster that gives no ids asks without one: an id that is not known proves nothing.
pub fn may_be_same(one: &RowPlace, other: &RowPlace) -> bool {
    let ids = (one.topic_id, other.topic_id);
    one.source == other.source && (ids.0.is_none() || ids.1.is_none() || ids.0 == ids.1)
}

/// Whether an owner may take away what was written under another epoch.
pub fn is_stale(epoch: Epoch, own: Epoch) -> bool {
    epoch != own && epoch.n <= own.n
}

/// A source partition's rows under an epoch, as keys name them.
pub fn scope_of(group: &str, place: &RowPlace, epoch: Epoch) -> Scope {
    Scope {
        group: group.to_owned(),
        topic_id: place.topic_id.map(|TopicId(id)| id),
        topic: place.source.topic.to_string(),
        partition: place.source.partition,
        epoch,
    }
}

/// The source partition of a scope.
pub fn place_of(scope: &Scope) -> RowPlace {
    RowPlace {
        source: PartitionId {
            topic: scope.topic.as_str().into(),
            partition: scope.partition,
        },
        topic_id: scope.topic_id.map(TopicId),
    }
}

/// The highest epoch that has a terminator; of two with the same number the one whose terminator was
/// written later.
fn newest<'a>(epochs: impl IntoIterator<Item = (&'a Epoch, &'a Written)>) -> Option<Epoch> {
    epochs
        .into_iter()
        .filter_map(|(epoch, written)| Some((epoch.n, written.terminator?.order, *epoch)))
        .max_by_key(|(n, order, _)| (*n, *order))
        .map(|(_, _, epoch)| epoch)
}
