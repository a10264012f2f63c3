//! What happens to a session: brokers answer, attempts end, somebody asks for something.

use std::collections::VecDeque;

use parcelhook_crds::lane::{LastFailure, ParkReason};

use super::Dot;
use super::outside::{Outside, Parked};
use super::ownership::LATER;
use super::session::{Order, Origin, Sent, Session, later, now, span};
use super::step::Topic;
use super::variant::{Variant, is};
use crate::lane::machine::{After, DrainedRun, Due, Event, Failed, Work};
use crate::park::Refused;

impl Session {
    /// Whether the oldest of what is on its way has landed; none when nothing is on its way.
    pub(super) fn oldest_landed(&self, topic: Topic) -> Option<bool> {
        match topic {
            Topic::Retry => Some(self.retry.front()?.landed.is_some()),
            Topic::Lanes => Some(self.lanes.front()?.landed.is_some()),
            Topic::DeadLetters => Some(self.letters.front()?.landed.is_some()),
        }
    }

    /// How much is on its way that the broker does not have.
    pub(super) fn not_landed(&self, topic: Topic) -> usize {
        match topic {
            Topic::Retry => count_not_landed(&self.retry),
            Topic::Lanes => count_not_landed(&self.lanes),
            Topic::DeadLetters => count_not_landed(&self.letters),
        }
    }

    /// The oldest thing on its way that the broker does not have lands.
    pub(super) fn lands(&mut self, topic: Topic, outside: &mut Outside) {
        match topic {
            Topic::Retry => land(&mut self.retry, |run| outside.append(run.clone())),
            Topic::Lanes => land(&mut self.lanes, |note| outside.note(note)),
            Topic::DeadLetters => land(&mut self.letters, |letter| outside.give_up(*letter)),
        }
    }

    /// We learn that it landed.
    pub(super) fn acked(&mut self, topic: Topic, outside: &mut Outside) {
        if topic == Topic::Retry
            && let Some(sent) = self.retry.front()
        {
            self.unsettled.push((sent.order.number, sent.what.last));
        }
        self.report(topic, Refused::Failed, outside);
    }

    /// We hear that it did not land, which may be wrong.
    pub(super) fn refused(&mut self, topic: Topic, why: Refused, outside: &mut Outside) {
        match topic {
            Topic::Retry if is(Variant::ParksAgainBehind) => {
                self.retry.rotate_left(1);
                if let Some(sent) = self.retry.back_mut() {
                    sent.landed = None;
                }
                return;
            }
            Topic::Retry => forget_landing(&mut self.retry),
            Topic::Lanes => forget_landing(&mut self.lanes),
            Topic::DeadLetters => forget_landing(&mut self.letters),
        }
        self.report(topic, why, outside);
    }

    /// The oldest on its way is at its end: it landed, or failed for that reason.
    fn report(&mut self, topic: Topic, otherwise: Refused, outside: &mut Outside) {
        let ended = match topic {
            Topic::Retry => self.retry.pop_front().map(|sent| end(&sent)),
            Topic::Lanes => self.lanes.pop_front().map(|sent| end(&sent)),
            Topic::DeadLetters => self.letters.pop_front().map(|sent| end(&sent)),
        };
        if let Some((order, landed)) = ended {
            self.produced(order, landed.ok_or(otherwise), outside);
        }
    }

    /// Whether the oldest on its way may be too large for its topic: what names a place only never is.
    pub(super) fn may_be_too_large(&self, topic: Topic) -> bool {
        let large = match topic {
            Topic::Retry => self.retry.front().map(|sent| !sent.what.by_reference),
            Topic::DeadLetters => self.letters.front().map(|sent| !sent.what.by_place),
            Topic::Lanes => None,
        };
        large == Some(true) && self.oldest_landed(topic) == Some(false)
    }

    /// The reader brings what there is, as far as there is room.
    pub(super) fn scan(&mut self, outside: &Outside, one_by_one: bool) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let mut runs = Vec::new();
        reading.told = true;
        while reading.room > 0
            && let Some(Parked { run, at }) = outside.bucket.get(reading.cursor as usize)
        {
            let events: Vec<Dot> = (run.first..=run.last).map(Dot).collect();
            let size = events.iter().map(Event::cost).sum();
            reading.room = reading.room.saturating_sub(size);
            runs.push(DrainedRun {
                offset: reading.cursor,
                parked_at: *at,
                incarnation: run.incarnation,
                prev: run.prev,
                size,
                events,
            });
            reading.cursor += 1;
            if one_by_one {
                break;
            }
        }
        let (drain, to) = (reading.drain, reading.cursor);
        self.machine.drained(drain, runs, to);
        self.drive(now());
    }

    /// Whether an attempt may start.
    pub(super) fn can_launch(&self) -> bool {
        if self.machine.is_live() {
            let ready = self.machine.ready(now()).is_ok();
            let waits = self.frontier < self.visible();
            self.may_act() && ready && waits && !self.suspended
        } else {
            self.may_act() && self.machine.work(self.now(), self.sight()) == Some(Work::Attempt)
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
            self.launch_drain(outside)
        };
        if self.attempt.is_none() {
            outside.wrong = Some("the machine asked for an attempt and refused it");
        }
    }

    fn launch_live(&mut self) -> Option<(Origin, i64, i64)> {
        let again = self.machine.ready(now()).ok()?;
        let events = again.unwrap_or(self.sizes.most);
        let last = (self.visible() - 1).min(self.frontier + i64::from(events) - 1);
        self.machine.start(span(self.frontier, last));
        Some((Origin::Queue, self.frontier, last))
    }

    fn launch_drain(&mut self, outside: &mut Outside) -> Option<(Origin, i64, i64)> {
        let attempted = self.machine.backlog()?.attempted;
        let drainable = self.machine.drainable()?;
        let most = drainable.again.unwrap_or(self.sizes.most) as usize;
        let events: Vec<i64> = drainable.events().map(|dot| dot.0).take(most).collect();
        let (first, last) = (*events.first()?, *events.last()?);
        if attempted.is_some_and(|attempted| attempted.0 == first && attempted.1 != last) {
            outside.wrong = Some("what was attempted does not go again as it was");
        }
        self.machine.start_drain(events.len() as u32)?;
        Some((Origin::Drain, first, last))
    }

    /// The receiver has it and says so.
    pub(super) fn delivered(&mut self, outside: &mut Outside) {
        let Some((origin, first, last)) = self.attempt.take() else {
            return;
        };
        outside.arrive((first, last));
        match origin {
            Origin::Queue => {
                if let After::Done { events } = self.machine.delivered() {
                    self.frontier += i64::from(events);
                }
            }
            Origin::Drain => {
                self.machine.drain_delivered();
            }
        }
        self.drive(now());
    }

    /// It failed, whether the receiver has it or not. The lane waits, or for a moment only.
    pub(super) fn failed(&mut self, reached: bool, outside: &mut Outside) {
        let Some((origin, first, last)) = self.attempt.take() else {
            return;
        };
        if reached {
            outside.arrive((first, last));
        }
        let failed = failed(Due::At(later(), LATER));
        match (origin, self.opening(outside)) {
            (Origin::Drain, _) => self.machine.drain_failed(failed),
            (Origin::Queue, Some(opening)) => self.machine.failed(failed, opening),
            (Origin::Queue, None) => self.machine.failed_in_place(failed),
        }
        self.drive(now());
    }

    /// The receiver asks for a little patience: the transaction stays where it is.
    pub(super) fn throttled(&mut self) {
        if self.attempt.take().is_some() {
            self.machine.failed_in_place(failed(Due::At(now(), 0)));
            self.drive(now());
        }
    }

    /// It is cut off. Returns what may arrive all the same.
    pub(super) fn aborted(&mut self) -> Option<(i64, i64)> {
        let (_, first, last) = self.attempt.take()?;
        self.machine.aborted();
        self.drive(now());
        Some((first, last))
    }

    /// The lane leaves live without a failure.
    pub(super) fn leave(&mut self, reason: ParkReason, due: Due, outside: &Outside) {
        if let Some(opening) = self.opening(outside) {
            self.machine.leave(reason, due, opening);
            let suspended = reason == ParkReason::Suspended;
            self.machine.suspend(suspended, now(), 0);
            self.drive(now());
        }
    }

    /// Too much waits to be held.
    pub(super) fn fill(&mut self, outside: &Outside) {
        self.full = true;
        if let Some(opening) = self.opening(outside) {
            self.machine.reopen_if_cut(opening, Due::At(now(), 0));
        }
        self.drive(now());
    }

    /// The target is suspended, or no longer.
    pub(super) fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
        self.machine.suspend(suspended, now(), 0);
        self.drive(now());
    }

    /// A live lane of a suspended target leaves live when something waits.
    pub(super) fn leave_if_suspended(&mut self, outside: &Outside) {
        let waits = self.frontier < self.visible() && self.machine.ready(now()).is_ok();
        if self.suspended && self.machine.is_live() && waits {
            self.leave(ParkReason::Suspended, Due::Never, outside);
        }
    }

    /// Somebody asks for an attempt now.
    pub(super) fn hurry(&mut self) {
        self.machine.hurry(now(), 0);
        self.drive(now());
    }
}

fn count_not_landed<T>(sent: &VecDeque<Sent<T>>) -> usize {
    sent.iter().filter(|sent| sent.landed.is_none()).count()
}

fn land<T>(sent: &mut VecDeque<Sent<T>>, land: impl FnOnce(&T) -> i64) {
    if let Some(sent) = sent.iter_mut().find(|sent| sent.landed.is_none()) {
        sent.landed = Some(land(&sent.what));
    }
}

fn forget_landing<T>(sent: &mut VecDeque<Sent<T>>) {
    if let Some(sent) = sent.front_mut() {
        sent.landed = None;
    }
}

fn end<T>(sent: &Sent<T>) -> (Order, Option<i64>) {
    (sent.order, sent.landed)
}

fn failed(due: Due) -> Failed {
    Failed {
        due,
        failure: LastFailure {
            at: 0,
            reason: String::new(),
            status: None,
            message: None,
        },
    }
}
