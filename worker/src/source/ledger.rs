//! The ledger of one partition: what was read and is not yet done with.
//!
//! Owns the records while any lane still wants them, and yields the commit frontier: the offset
//! below which every event is done for every lane that wanted it. Lanes finish at different times,
//! so records are done out of order; the frontier only ever rises over an unbroken run.
//!
//! A record is freed when its last lane is done with it, also behind one that is not. Slots live in
//! segments; a segment whose slots are all done keeps nothing but its length, so what remains behind
//! a slow lane is done *ranges*, not events. Slots count against the byte budget until their segment
//! is freed, which makes the budget's figure the memory that is really held.

use std::collections::VecDeque;

use super::record::{RECORD_OVERHEAD_BYTES, Record};

/// Slots a segment: small enough that one open slot pins little, large enough that a closed one is
/// next to nothing.
const SEGMENT_SLOTS: usize = 256;

/// Number of a wanted record within its partition, in offset order without gaps. Offsets have gaps
/// (compaction, transaction markers, records that nobody wants).
pub type Seq = u64;

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    segments: VecDeque<Segment>,
    /// Seq of the first slot of the first segment.
    base: Seq,
    /// Seq of the first record that is not done.
    head: Seq,
    /// Seq of the next record.
    next: Seq,
    /// Offset after the last record that was read.
    position: i64,
}

#[derive(Debug)]
struct Segment {
    /// Empty once all slots are done.
    slots: Vec<Slot>,
    len: u16,
    open: u16,
}

#[derive(Debug)]
struct Slot {
    /// Gone when done.
    record: Option<Record>,
    /// Lanes that are not done with it.
    wanted_by: u32,
}

impl Ledger {
    /// An empty ledger of a partition that is read from `start`.
    pub fn new(start: i64) -> Self {
        Self {
            segments: VecDeque::new(),
            base: 0,
            head: 0,
            next: 0,
            position: start,
        }
    }

    /// Takes a record that `wanted_by` lanes want, at least one. The seq is [`Ledger::next`] as it
    /// was before.
    pub fn push(&mut self, record: Record, wanted_by: u32) {
        debug_assert!(wanted_by > 0, "a record that nobody wants is passed");
        self.position = record.offset + 1;
        self.next += 1;
        if self
            .segments
            .back()
            .is_none_or(|segment| usize::from(segment.len) == SEGMENT_SLOTS)
        {
            self.segments.push_back(Segment {
                slots: Vec::new(),
                len: 0,
                open: 0,
            });
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.slots.push(Slot {
                record: Some(record),
                wanted_by,
            });
            segment.len += 1;
            segment.open += 1;
        }
    }

    /// Notes that everything below `position` was read; what is not in the ledger is done.
    pub fn pass(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// One lane is done with a record. Returns the bytes that are free now.
    pub fn done(&mut self, seq: Seq) -> usize {
        let Some((segment, slot)) = self.place(seq) else {
            return 0;
        };
        let segment = &mut self.segments[segment];
        let Some(entry) = segment
            .slots
            .get_mut(slot)
            .filter(|entry| entry.wanted_by > 0)
        else {
            return 0;
        };
        entry.wanted_by -= 1;
        if entry.wanted_by > 0 {
            return 0;
        }
        let mut freed = entry.record.take().map_or(0, |record| record.size());
        segment.open -= 1;
        if segment.open == 0 && usize::from(segment.len) == SEGMENT_SLOTS {
            segment.slots = Vec::new();
            freed += SEGMENT_SLOTS * RECORD_OVERHEAD_BYTES;
        }
        if seq == self.head {
            freed += self.advance();
        }
        freed
    }

    /// A record that is not done.
    pub fn record(&self, seq: Seq) -> Option<&Record> {
        let (segment, slot) = self.place(seq)?;
        self.segments[segment].slots.get(slot)?.record.as_ref()
    }

    /// Everything below this offset may be committed.
    pub fn frontier(&self) -> i64 {
        self.record(self.head)
            .map_or(self.position, |record| record.offset)
    }

    /// Offset after the last record that was read.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Seq that the next record will get.
    pub fn next(&self) -> Seq {
        self.next
    }

    fn place(&self, seq: Seq) -> Option<(usize, usize)> {
        let index = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        let segment = index / SEGMENT_SLOTS;
        (segment < self.segments.len()).then_some((segment, index % SEGMENT_SLOTS))
    }

    /// Moves the head over done slots and frees the segments it leaves behind.
    fn advance(&mut self) -> usize {
        let mut freed = 0;
        while let Some(segment) = self.segments.front() {
            let within = (self.head - self.base) as usize;
            if segment.open > 0 {
                let undone = segment
                    .slots
                    .iter()
                    .skip(within)
                    .position(|slot| slot.wanted_by > 0);
                self.head += undone.unwrap_or(0) as Seq;
                break;
            }
            freed += segment.slots.len() * RECORD_OVERHEAD_BYTES;
            self.base += Seq::from(segment.len);
            self.head = self.base;
            self.segments.pop_front();
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::source::record::Timestamp;

    fn record(offset: i64) -> Record {
        Record::new(
            offset,
            Timestamp::Missing,
            None,
            Some(b"12345"),
            std::iter::empty(),
        )
    }

    #[test]
    fn the_frontier_waits_for_the_oldest_event_that_is_not_done() {
        let mut ledger = Ledger::new(10);
        assert_eq!(ledger.frontier(), 10);
        for offset in [10, 12, 15] {
            ledger.push(record(offset), 1);
        }
        ledger.done(1);
        assert_eq!(ledger.frontier(), 10);
        ledger.done(0);
        assert_eq!(ledger.frontier(), 15);
        ledger.done(2);
        assert_eq!(ledger.frontier(), 16);
    }

    #[test]
    fn an_event_is_done_when_its_last_lane_is() {
        let mut ledger = Ledger::new(0);
        ledger.push(record(0), 2);
        assert_eq!(ledger.done(0), 0);
        assert_eq!(ledger.frontier(), 0);
        assert!(ledger.done(0) > 0);
        assert_eq!(ledger.frontier(), 1);
        assert_eq!(ledger.done(0), 0, "a done event stays done");
    }

    #[test]
    fn what_nobody_wants_passes_and_holds_nothing() {
        let mut ledger = Ledger::new(0);
        ledger.pass(7);
        assert_eq!(ledger.frontier(), 7);
        ledger.push(record(9), 1);
        ledger.pass(20);
        assert_eq!((ledger.frontier(), ledger.position()), (9, 20));
        ledger.done(0);
        assert_eq!(ledger.frontier(), 20);
    }

    #[test]
    fn a_million_done_events_behind_a_stuck_one_hold_only_ranges() {
        let mut ledger = Ledger::new(0);
        let mut held = 0;
        for offset in 0..1_000_000 {
            held += record(offset).cost();
            ledger.push(record(offset), 1);
            if offset > 0 {
                held -= ledger.done(offset as Seq);
            }
        }
        assert!(
            held <= 2 * SEGMENT_SLOTS * record(0).cost(),
            "{held} bytes held"
        );
        assert_eq!(ledger.frontier(), 0);
        held -= ledger.done(0);
        assert_eq!((ledger.frontier(), held), (1_000_000, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { gap: i64, wanted_by: u32 },
        Pass { gap: i64 },
        Done { pick: prop::sample::Index },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..3_i64, 1..4_u32).prop_map(|(gap, wanted_by)| Step::Push { gap, wanted_by }),
            1 => (0..3_i64).prop_map(|gap| Step::Pass { gap }),
            8 => any::<prop::sample::Index>().prop_map(|pick| Step::Done { pick }),
        ];
        prop::collection::vec(step, 1..1500)
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_frontier_is_the_oldest_undone_offset_and_no_byte_is_lost(steps in steps()) {
            let mut ledger = Ledger::new(0);
            let mut undone: BTreeMap<Seq, (i64, u32)> = BTreeMap::new();
            let mut held = 0;
            for step in steps {
                match step {
                    Step::Push { gap, wanted_by } => {
                        let offset = ledger.position() + gap;
                        undone.insert(ledger.next(), (offset, wanted_by));
                        held += record(offset).cost();
                        ledger.push(record(offset), wanted_by);
                    }
                    Step::Pass { gap } => ledger.pass(ledger.position() + gap),
                    Step::Done { pick } if !undone.is_empty() => {
                        let seq = *undone.keys().nth(pick.index(undone.len())).expect("in range");
                        held -= ledger.done(seq);
                        let left = undone.get_mut(&seq).expect("undone");
                        left.1 -= 1;
                        if left.1 == 0 {
                            undone.remove(&seq);
                        }
                    }
                    Step::Done { .. } => {}
                }
                let oldest = undone.values().next().map_or(ledger.position(), |(offset, _)| *offset);
                prop_assert_eq!(ledger.frontier(), oldest);
                for (seq, (offset, _)) in &undone {
                    prop_assert_eq!(ledger.record(*seq).map(|record| record.offset), Some(*offset));
                }
            }
            for (seq, (_, left)) in undone {
                for _ in 0..left {
                    held -= ledger.done(seq);
                }
            }
            prop_assert_eq!((held, ledger.frontier()), (0, ledger.position()));
        }
    }
}
