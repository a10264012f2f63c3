//! What happens to a session: brokers answer, attempts end, somebody asks for something.

use parcelhook_crds::lane::ParkReason;

use super::Dot;
use super::outside::Outside;
use super::session::{Origin, MOST, Session, Stage, Way, failure, now, span};
use super::variant::{Variant, is};
use super::world::Topic;
use crate::lane::machine::{After, DrainedRun, Due, Failed, Opening, Work};

impl Session {
    /// What is the oldest on its way.
    pub(super) fn in_front(&self, topic: Topic) -> Option<Way> {
        match topic {
            Topic::Retry => self.retry.front().map(Way::of),
            Topic::Lanes => self.lanes.front().map(Way::of),
        }
    }

    /// How much is on its way that the broker does not have.
    pub(super) fn unlanded(&self, topic: Topic) -> usize {
        let landed = |way: &Way| way.landed.is_none();
        match topic {
            Topic::Retry => self.retry.iter().map(Way::of).filter(landed).count(),
            Topic::Lanes => self.lanes.iter().map(Way::of).filter(landed).count(),
        }
    }

    /// The oldest thing on its way that the broker does not have lands.
    pub(super) fn lands(&mut self, topic: Topic, outside: &mut Outside) {
        match topic {
            Topic::Retry => {
                let sent = self.retry.iter_mut().find(|sent| sent.landed.is_none());
                if let Some(sent) = sent {
                    sent.landed = Some(outside.append(sent.what.clone()));
                }
            }
            Topic::Lanes => {
                let sent = self.lanes.iter_mut().find(|sent| sent.landed.is_none());
                if let Some(sent) = sent {
                    outside.note(&sent.what);
                    sent.landed = Some(0);
                }
            }
        }
    }

    /// We learn that it landed.
    pub(super) fn acked(&mut self, topic: Topic) {
        if topic == Topic::Retry
            && let Some(sent) = self.retry.front()
        {
            self.unsettled.push((sent.number, sent.what.last));
        }
        if let Some(way) = self.pop(topic) {
            self.reported(way.number, way.landed);
        }
    }

    /// We hear that it did not land, which may be wrong.
    pub(super) fn refused(&mut self, topic: Topic) {
        if topic == Topic::Retry && is(Variant::ParksAgainBehind) {
            self.retry.rotate_left(1);
            if let Some(sent) = self.retry.back_mut() {
                sent.landed = None;
            }
        } else if let Some(way) = self.pop(topic) {
            self.reported(way.number, None);
        }
    }

    fn pop(&mut self, topic: Topic) -> Option<Way> {
        let way = self.in_front(topic);
        match topic {
            Topic::Retry => drop(self.retry.pop_front()),
            Topic::Lanes => drop(self.lanes.pop_front()),
        }
        way
    }

    /// The reader brings what there is.
    pub(super) fn scan(&mut self, outside: &Outside, one_by_one: bool) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let from = reading.cursor;
        let to = if one_by_one {
            outside.end().min(from + 1)
        } else {
            outside.end()
        };
        let runs = outside.bucket[from as usize..to as usize]
            .iter()
            .zip(from..)
            .map(|(run, offset)| DrainedRun {
                offset,
                parked_at: 0,
                incarnation: run.incarnation,
                prev: run.prev,
                size: 1,
                events: (run.first..=run.last).map(Dot).collect(),
            })
            .collect();
        reading.cursor = to;
        reading.told = true;
        let drain = reading.drain;
        self.machine.drained(drain, runs, to);
        self.drive(now());
    }

    /// Whether an attempt may start.
    pub(super) fn can_launch(&self) -> bool {
        if self.machine.is_live() {
            let ready = self.machine.ready(now()).is_ok();
            ready && self.frontier < self.position && !self.suspended
        } else {
            self.machine.work(now(), self.sight()) == Some(Work::Attempt)
        }
    }

    /// An attempt starts.
    pub(super) fn launch(&mut self, outside: &mut Outside) {
        if self.attempt.is_some() {
            outside.wrong = Some("two attempts are in flight");
        }
        self.attempt = if self.machine.is_live() {
            self.launch_live()
        } else {
            self.launch_drain()
        };
        if self.attempt.is_none() {
            outside.wrong = Some("the machine asked for an attempt and refused it");
        }
    }

    fn launch_live(&mut self) -> Option<(Origin, i64, i64)> {
        let again = self.machine.ready(now()).ok()?;
        let events = again.map_or(MOST, i64::from);
        let last = (self.position - 1).min(self.frontier + events - 1);
        self.machine.start(span(self.frontier, last));
        Some((Origin::Queue, self.frontier, last))
    }

    fn launch_drain(&mut self) -> Option<(Origin, i64, i64)> {
        let drainable = self.machine.drainable()?;
        let most = drainable.again.map_or(MOST as usize, |events| events as usize);
        let events: Vec<i64> = drainable.events().map(|dot| dot.0).take(most).collect();
        self.machine.start_drain(events.len() as u32)?;
        Some((Origin::Drain, *events.first()?, *events.last()?))
    }

    /// The receiver has it and says so.
    pub(super) fn delivered(&mut self, outside: &mut Outside) {
        let Some((from, first, last)) = self.attempt.take() else {
            return;
        };
        outside.arrive((first, last));
        match from {
            Origin::Queue => {
                if let After::Done { events } = self.machine.delivered() {
                    self.frontier += i64::from(events);
                }
            }
            Origin::Drain => drop(self.machine.drain_delivered()),
        }
        self.drive(now());
        self.stay_suspended(outside);
    }

    /// It failed, whether the receiver has it or not.
    pub(super) fn failed(&mut self, reached: bool, outside: &mut Outside) {
        let Some((from, first, last)) = self.attempt.take() else {
            return;
        };
        if reached {
            outside.arrive((first, last));
        }
        match from {
            Origin::Queue => self.machine.failed(failure(), self.opening(outside)),
            Origin::Drain => self.machine.drain_failed(failure()),
        }
        self.drive(now());
    }

    /// The receiver asked for a little patience: the transaction stays where it is.
    pub(super) fn throttled(&mut self, outside: &mut Outside) {
        if self.attempt.take().is_some() {
            self.machine.failed_in_place(Failed {
                due: Due::At(now(), 0),
                ..failure()
            });
            self.drive(now());
            self.stay_suspended(outside);
        }
    }

    /// It was cut off. Returns what may arrive all the same.
    pub(super) fn aborted(&mut self) -> Option<(i64, i64)> {
        let (_, first, last) = self.attempt.take()?;
        self.machine.aborted();
        self.drive(now());
        Some((first, last))
    }

    /// The lane leaves live without a failure.
    pub(super) fn leave(&mut self, reason: ParkReason, outside: &Outside) {
        let due = match reason {
            ParkReason::Suspended => Due::Never,
            ParkReason::Failed | ParkReason::Rejected | ParkReason::Overflow => Due::At(now(), 0),
        };
        self.machine.leave(reason, due, self.opening(outside));
        self.drive(now());
    }

    /// Too much waits to be held.
    pub(super) fn fill(&mut self, outside: &Outside) {
        self.full = true;
        self.machine.reopen_if_cut(self.opening(outside), Due::At(now(), 0));
        self.drive(now());
    }

    /// The target is suspended, or no longer.
    pub(super) fn suspend(&mut self, suspended: bool, outside: &Outside) {
        self.suspended = suspended;
        if suspended {
            self.stay_suspended(outside);
        }
        self.machine.suspend(suspended, now(), 0);
        self.drive(now());
    }

    /// A lane of a suspended target parks.
    pub(super) fn stay_suspended(&mut self, outside: &Outside) {
        if self.suspended && self.machine.is_live() {
            self.machine.leave(ParkReason::Suspended, Due::Never, self.opening(outside));
            self.machine.suspend(true, now(), 0);
            self.drive(now());
        }
    }

    /// Somebody asks for an attempt now.
    pub(super) fn hurry(&mut self) {
        self.machine.hurry(now(), 0);
        self.drive(now());
    }

    fn opening(&self, outside: &Outside) -> Opening {
        Opening {
            epoch: self.epoch,
            bucket_end: outside.end(),
            unix: 0,
            first: self.frontier,
        }
    }

    /// The group's commit is acked.
    pub(super) fn commit(&mut self, outside: &mut Outside) {
        outside.committed = self.frontier;
        outside.epoch = self.epoch;
        self.counts = true;
        if self.stage == Stage::Claiming {
            self.run();
        }
    }
}
