//! A session takes its partition over, and what it ordered comes to an end: as the shard does it.

use std::rc::Rc;

use parcelhook_crds::lane::{LaneRow, NotBefore, ParkReason};

use super::outside::{GROUP, Note, Outside, What, place};
use super::session::{Order, Session, Whose, later, now};
use super::variant::{Variant, is};
use crate::lane::machine::{Due, Machine};
use crate::lane::own::Own;
use crate::lane::takeover::{InheritedLane, Predecessor, Step, Subject, TakeOver, TakenOver};
use crate::park::{self, Refused};

/// A time, for rows: not before it is later.
pub(super) const LATER: i64 = 1;

impl Session {
    /// The tail tells which rows count.
    pub(super) fn told(&mut self, outside: &mut Outside, is_owner: bool) {
        let (Some(metadata), Some(mut take_over)) = (self.asks_rows.take(), self.take_over.take())
        else {
            return;
        };
        let inherited = outside.inherited(metadata);
        let random = outside.random();
        let steps = take_over.told(inherited.rows, inherited.highest, random);
        self.take_over = Some(take_over);
        self.perform(steps);
        self.promise_if_taken_over(outside);
        if is_owner
            && is(Variant::CountsBeforeRows)
            && let Some(sent) = self.lanes.back()
        {
            outside.epoch = sent.what.epoch;
        }
    }

    /// The reader tells where the bucket ends.
    pub(super) fn bucket_ends(&mut self, end: i64) {
        if let (Some(number), Some(take_over)) = (self.asks_end.take(), &mut self.take_over) {
            let steps = take_over.bucket_end(number, end);
            self.perform(steps);
        }
    }

    /// The group has the commit, and nobody has told us.
    pub(super) fn commit_unheard(&mut self, outside: &mut Outside) {
        if let Some(epoch) = self.claimed {
            outside.committed = self.done();
            outside.epoch = epoch;
            outside.knows = self.knows;
            self.unheard = Some((outside.committed, self.knows));
        }
    }

    /// We hear that the group has the commit.
    pub(super) fn commit_heard(&mut self, outside: &mut Outside) {
        let (Some(epoch), Some((offset, knows))) = (self.claimed, self.unheard.take()) else {
            return;
        };
        self.counts = true;
        self.heard = offset;
        if let Some(take_over) = &mut self.take_over {
            let steps = take_over.committed(epoch, knows.cfg());
            self.perform(steps);
            self.promise_if_taken_over(outside);
        }
        self.open_gate(offset, knows, outside);
        if self.machine.awaits_commit().is_some() {
            self.drive(now());
        }
    }

    /// Time passes.
    pub(super) fn wake(&mut self) {
        if let Some(take_over) = &mut self.take_over {
            let steps = take_over.wake(later());
            self.perform(steps);
        }
        self.drive(later());
    }

    /// Whether something waits for time to pass.
    pub(super) fn waits(&self) -> bool {
        match &self.take_over {
            Some(take_over) => take_over.due().is_some(),
            None => self.machine.wake().is_some(),
        }
    }

    /// What became of a write.
    pub(super) fn produced(
        &mut self,
        order: Order,
        result: Result<i64, Refused>,
        outside: &mut Outside,
    ) {
        if result == Err(Refused::ProducerReplaced) && !is(Variant::KeepsEpoch) {
            self.take_new_epoch(outside);
        }
        let Order { whose, number } = order;
        match whose {
            Whose::Lane => {
                match result {
                    Ok(offset) => {
                        self.machine.written(number, offset);
                    }
                    Err(Refused::TooLarge) => self.machine.too_large(number),
                    Err(Refused::QueueFull | Refused::Failed | Refused::ProducerReplaced) => {
                        self.machine.refused(number);
                    }
                }
                self.settle();
            }
            Whose::Partition => self.terminator_produced(number, result.is_ok()),
            Whose::TakeOver => {
                if let Some(take_over) = &mut self.take_over {
                    let replaced = result == Err(Refused::ProducerReplaced);
                    let random = if replaced { outside.random() } else { 0 };
                    let steps = take_over.produced(number, result, now(), random);
                    self.perform(steps);
                }
            }
        }
        self.drive(now());
    }

    fn terminator_produced(&mut self, number: u64, written: bool) {
        let Some(own) = &mut self.own else {
            return;
        };
        if written {
            own.written_number(number);
            self.settle();
        } else if own.refused(number) {
            self.write_terminator();
        }
    }

    /// The producer was replaced: a partition with rows is taken over from itself.
    fn take_new_epoch(&mut self, outside: &mut Outside) {
        let Some(own) = self.own.take() else {
            return;
        };
        let row = self.machine.row_for_new_epoch(0);
        if row.is_none() && own.wants_terminator() {
            self.own = Some(own);
            return;
        }
        let lanes = row.map(|row| InheritedLane {
            name: super::NAME,
            row,
            need: 0,
        });
        let subject = Subject {
            group: GROUP.into(),
            place: place(),
            frontier: self.done(),
        };
        let own = Predecessor {
            epoch: Some(own.epoch),
            cfg: self.knows.cfg(),
        };
        let lanes = lanes.into_iter().collect();
        let (take_over, steps) = TakeOver::again(subject, own, lanes, outside.random());
        self.take_over = Some(take_over);
        self.perform(steps);
    }

    pub(super) fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Lack(_) => {}
                Step::Ask(epoch) => self.asks_rows = epoch,
                Step::Bucket { number, .. } => self.asks_end = Some(number),
                Step::Write { number, order } => {
                    if let Some(note) = note(order) {
                        self.send_under(Whose::TakeOver, number, note);
                    }
                }
                Step::Own(epoch, ..) => {
                    self.claimed = Some(epoch);
                    self.counts = false;
                }
                Step::Run(taken) => self.run(taken),
            }
        }
    }

    fn run(&mut self, taken: TakenOver) {
        self.take_over = None;
        let frontier = self.done();
        self.own = Some(if taken.is_terminated() {
            Own::written(taken.epoch, frontier, now())
        } else {
            Own::unwritten(taken.epoch)
        });
        for InheritedLane { row, need, .. } in taken.lanes {
            if self.machine.is_live() {
                let due = due(&row);
                self.machine = Machine::resumed(row, need, due);
                self.machine.suspend(self.suspended, now(), 0);
            }
        }
        self.follow_reading();
        self.drive(now());
    }
}

fn note(order: park::Order) -> Option<Note> {
    let (key, what) = if let park::Order::Row(key, Some(row)) = order {
        (key, What::Row(Rc::new(*row)))
    } else if let park::Order::Terminator(key, Some(terminator)) = order {
        (key, What::Terminator(terminator.frontier))
    } else {
        return None;
    };
    let epoch = key.scope.epoch;
    Some(Note { epoch, what })
}

/// When an inherited lane tries, as the shard decides it.
fn due(row: &LaneRow) -> Due {
    match row.not_before {
        NotBefore::Never if row.reason == ParkReason::Suspended => Due::At(now(), 0),
        NotBefore::Never => Due::Never,
        NotBefore::At(LATER) => Due::At(later(), LATER),
        NotBefore::At(unix) => Due::At(now(), unix),
    }
}
