//! Everything that can happen: one owner, zombies, brokers, a receiver, and bad luck.
//!
//! A zombie lost the partition and does not know it. It does what an owner does, except that its commits
//! are refused. A crash is a zombie that does nothing any more, and is therefore forgotten at once.

use std::rc::Rc;

use parcelhook_crds::lane::ParkReason;

use super::configuration::Knows;
use super::late::{Late, replace_producer};
use super::luck::{Bounds, Luck};
use super::outside::Outside;
use super::session::{Origin, Session, Sizes, now};
use super::step::{Act, Step, Topic};
use super::variant::{Variant, is};
use crate::lane::machine::Due;
use crate::park::Refused;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) outside: Outside,
    /// The last one is the owner.
    pub(super) sessions: Vec<Rc<Session>>,
    late: Late,
    pub(super) luck: Luck,
}

impl World {
    /// One owner takes a partition over.
    pub(super) fn of(outside: Outside, sizes: Sizes, luck: Luck, knows: Knows) -> Self {
        Self {
            sessions: vec![Rc::new(Session::assigned(&outside, sizes, knows))],
            outside,
            late: Late::default(),
            luck,
        }
    }

    pub(super) fn owner(&self) -> &Session {
        &self.sessions[self.sessions.len() - 1]
    }

    /// Whether everything was delivered and committed, and the owner is live.
    pub(super) fn is_complete(&self, bounds: &Bounds) -> bool {
        let owner = self.owner();
        owner.may_act()
            && owner.machine.is_live()
            && owner.done() == bounds.events
            && self.outside.committed == bounds.events
            && self.outside.has_all(bounds.events)
    }

    /// The next step of the owner when nothing goes wrong.
    pub(super) fn faultless(&self, bounds: &Bounds) -> Option<Step> {
        let owner = self.sessions.len() - 1;
        Act::FAULTLESS
            .into_iter()
            .find(|act| self.can(owner, *act, bounds))
            .map(|act| Step::Of(owner as u8, act))
    }

    /// All that may happen next.
    pub(super) fn steps(&self, bounds: &Bounds) -> Vec<Step> {
        let mut steps = Vec::new();
        let owner = self.sessions.len() - 1;
        let first = if self.luck.twitches > 0 { 0 } else { owner };
        for number in first..=owner {
            for act in Act::FAULTLESS.into_iter().chain(Act::OTHERS) {
                let fits = self.outside.bucket.len() < bounds.bucket || !fills_bucket(act);
                if fits && self.can(number, act, bounds) {
                    steps.push(Step::Of(number as u8, act));
                }
            }
        }
        if self.late.request.is_some() {
            steps.push(Step::LateRequest);
        }
        if !self.late.retry.is_empty() {
            steps.push(Step::LateWrite(Topic::Retry));
        }
        if !self.late.lanes.is_empty() {
            steps.push(Step::LateWrite(Topic::Lanes));
        }
        if !self.late.letters.is_empty() {
            steps.push(Step::LateWrite(Topic::DeadLetters));
        }
        if self.luck.ages > 0 {
            steps.push(Step::Age);
        }
        if self.luck.owners > 0 {
            self.push_take_overs(&mut steps, bounds);
        }
        steps
    }

    fn push_take_overs(&self, steps: &mut Vec<Step>, bounds: &Bounds) {
        for knows in bounds.known() {
            self.push_crashes(steps, *knows);
            if self.luck.twitches > 0 {
                self.push_successors(steps, bounds, *knows);
            }
        }
    }

    fn push_crashes(&self, steps: &mut Vec<Step>, knows: Knows) {
        let owner = self.owner();
        for retry in 0..=owner.not_landed(Topic::Retry) as u8 {
            for lanes in 0..=owner.not_landed(Topic::Lanes) as u8 {
                for letters in 0..=owner.not_landed(Topic::DeadLetters) as u8 {
                    steps.push(Step::Crash {
                        retry,
                        lanes,
                        letters,
                        knows,
                    });
                }
            }
        }
    }

    fn push_successors(&self, steps: &mut Vec<Step>, bounds: &Bounds, knows: Knows) {
        let zombies = self.sessions.len() - 1;
        if zombies < bounds.zombies {
            let forget = None;
            steps.push(Step::TakeOver { forget, knows });
        }
        for zombie in 0..zombies as u8 {
            let forget = Some(zombie);
            steps.push(Step::TakeOver { forget, knows });
        }
    }

    fn can(&self, number: usize, act: Act, bounds: &Bounds) -> bool {
        let session = &*self.sessions[number];
        let is_owner = number + 1 == self.sessions.len();
        let luck = &self.luck;
        match act {
            Act::Told => session.asks_rows.is_some(),
            Act::BucketEnds => session.asks_end.is_some(),
            Act::Commit => self.can_commit(session, is_owner),
            Act::CommitUnheard => luck.delays > 0 && self.can_commit(session, is_owner),
            Act::CommitHeard => session.unheard.is_some(),
            Act::Other => session.other_waits(),
            Act::Configure => session.knows == Knows::Other,
            Act::Acked(topic) => session.oldest_landed(topic) == Some(true),
            Act::Lands(topic) => session.oldest_landed(topic) == Some(false),
            Act::LandsSilently(topic) => luck.silences > 0 && session.not_landed(topic) > 0,
            Act::Refused(topic, landed) => {
                // What landed silently needs not land again.
                let oldest = session.oldest_landed(topic);
                luck.refusals > 0 && oldest.is_some_and(|before| !(before && landed))
            }
            Act::TooLarge(topic) => luck.oversizes > 0 && session.may_be_too_large(topic),
            Act::ProducerReplaced => luck.producers > 0 && session.writes(),
            Act::Scan => session.reading.is_some_and(|reading| {
                let more = reading.cursor < self.outside.end() && reading.room > 0;
                !reading.told || more
            }),
            Act::Launch => session.can_launch(),
            Act::Delivered => session.attempt.is_some(),
            Act::Failed { .. } => session.attempt.is_some() && luck.failures > 0,
            Act::Throttled => {
                luck.throttles > 0 && matches!(session.attempt, Some((Origin::Queue, ..)))
            }
            Act::Aborted => session.attempt.is_some() && luck.aborts > 0,
            Act::Wake => session.waits(),
            Act::Read => session.position < bounds.events,
            Act::Leave => luck.leaves > 0 && session.has_lane() && session.machine.is_live(),
            Act::Full => luck.fulls > 0 && session.may_fill(),
            Act::Suspend => luck.suspensions > 0 && session.has_lane() && !session.suspended,
            Act::Resume => session.suspended,
            Act::Hurry => luck.hurries > 0 && session.has_lane() && !session.machine.is_live(),
            Act::Sweep => self.can_sweep(session),
        }
    }

    fn can_sweep(&self, session: &Session) -> bool {
        let early = is(Variant::SweepsBeforeCommit) && session.take_over.is_some();
        let may = self.luck.sweeps > 0 && session.counts || early;
        let own = session.newest_epoch();
        may && own.is_some_and(|own| self.outside.has_stale(own))
    }

    fn can_commit(&self, session: &Session, is_owner: bool) -> bool {
        let further = session.done() > self.outside.committed;
        let title = (session.claimed, session.knows);
        let other = title != (Some(self.outside.epoch), self.outside.knows);
        let news = if is_owner {
            further || other || !session.counts
        } else {
            further && is(Variant::ZombieCommits)
        };
        // One commit is in flight at a time.
        session.claimed.is_some() && session.unheard.is_none() && news
    }

    /// What follows.
    pub(super) fn after(&self, step: Step, bounds: &Bounds) -> Self {
        let mut world = self.clone();
        let Self { outside, late, .. } = &mut world;
        match step {
            Step::TakeOver { forget, knows } => world.take_over(forget, knows),
            Step::Crash {
                retry,
                lanes,
                letters,
                knows,
            } => world.crash([retry, lanes, letters], knows),
            Step::Age => world.age(),
            Step::LateRequest => {
                let span = late.request.take();
                span.into_iter().for_each(|span| outside.arrive(span));
            }
            Step::LateWrite(topic) => late.lands(topic, outside),
            Step::Of(number, act) => world.act(number as usize, act, bounds),
        }
        world.forget_the_dead();
        world
    }

    /// Rows that nobody will ever ask for tell worlds apart that are the same, and so do zombies that
    /// do nothing any more.
    fn forget_the_dead(&mut self) {
        let owner = self.owner();
        if self.luck.sweeps == 0 && owner.take_over.is_none() {
            let epoch = owner.own.map(|own| own.epoch);
            self.outside.forget_all_but(epoch);
        }
        if self.luck.twitches == 0 {
            let zombies = self.sessions.len() - 1;
            self.sessions.drain(..zombies);
        }
    }

    fn take_over(&mut self, forget: Option<u8>, knows: Knows) {
        if let Some(zombie) = forget {
            self.sessions.remove(zombie as usize);
        }
        self.luck.owners -= 1;
        let session = Session::assigned(&self.outside, self.owner().sizes, knows);
        self.sessions.push(Rc::new(session));
    }

    fn crash(&mut self, landed: [u8; 3], knows: Knows) {
        self.take_over(None, knows);
        let mut owner = self.sessions.remove(self.sessions.len() - 2);
        let owner = Rc::make_mut(&mut owner);
        let topics = [Topic::Retry, Topic::Lanes, Topic::DeadLetters];
        for (topic, landed) in topics.into_iter().zip(landed) {
            (0..landed).for_each(|_| owner.lands(topic, &mut self.outside));
        }
        if let Some((_, first, last)) = owner.attempt {
            self.late.request = Some((first, last));
        }
    }

    fn age(&mut self) {
        self.luck.ages -= 1;
        self.outside.clock += 1;
        for session in &mut self.sessions {
            let session = Rc::make_mut(session);
            session.clock = self.outside.clock;
            session.drive(now());
        }
    }

    fn act(&mut self, number: usize, act: Act, bounds: &Bounds) {
        let is_owner = number + 1 == self.sessions.len();
        spend(&mut self.luck, act, is_owner);
        let Self {
            outside,
            sessions,
            late,
            ..
        } = self;
        let session = Rc::make_mut(&mut sessions[number]);
        let reaches = matches!(act, Act::Delivered | Act::Failed { reached: true });
        if let Some((_, first, last)) = session.attempt.filter(|_| is_owner && reaches) {
            outside.arrived_in_time((first, last));
        }
        match act {
            Act::Told => session.told(outside, is_owner),
            Act::BucketEnds => session.bucket_ends(outside.end()),
            Act::Commit => {
                session.commit_unheard(outside);
                session.commit_heard(outside);
            }
            Act::CommitUnheard => session.commit_unheard(outside),
            Act::CommitHeard => session.commit_heard(outside),
            Act::Other => session.other += 1,
            Act::Configure => session.configure(outside),
            Act::Lands(topic) => {
                session.lands(topic, outside);
                session.acked(topic, outside);
            }
            Act::LandsSilently(topic) => session.lands(topic, outside),
            Act::Acked(topic) => session.acked(topic, outside),
            Act::Refused(topic, landed) => {
                if landed {
                    session.lands(topic, outside);
                }
                session.refused(topic, Refused::Failed, outside);
            }
            Act::TooLarge(topic) => session.refused(topic, Refused::TooLarge, outside),
            Act::ProducerReplaced => replace_producer(session, late, outside),
            Act::Scan => session.scan(outside, bounds.one_by_one),
            Act::Launch => session.launch(outside),
            Act::Delivered => session.delivered(outside),
            Act::Failed { reached } => session.failed(reached, outside),
            Act::Throttled => session.throttled(),
            Act::Aborted => late.request = session.aborted(),
            Act::Wake => session.wake(),
            Act::Read => session.read(),
            Act::Leave => session.leave(ParkReason::Overflow, Due::At(now(), 0), outside),
            Act::Full => session.fill(outside),
            Act::Suspend => session.suspend(true),
            Act::Resume => session.suspend(false),
            Act::Hurry => session.hurry(),
            Act::Sweep => {
                let own = session.newest_epoch();
                own.into_iter().for_each(|own| outside.sweep(own));
            }
        }
        session.leave_if_suspended(outside);
    }
}

/// Whether something comes into the bucket.
fn fills_bucket(act: Act) -> bool {
    use Topic::Retry;
    matches!(
        act,
        Act::Lands(Retry) | Act::LandsSilently(Retry) | Act::Refused(Retry, true)
    )
}

fn spend(luck: &mut Luck, act: Act, is_owner: bool) {
    let spent = match act {
        Act::Failed { .. } => Some(&mut luck.failures),
        Act::Throttled => Some(&mut luck.throttles),
        Act::Aborted => Some(&mut luck.aborts),
        Act::LandsSilently(_) => Some(&mut luck.silences),
        Act::Refused(..) => Some(&mut luck.refusals),
        Act::TooLarge(_) => Some(&mut luck.oversizes),
        Act::ProducerReplaced => Some(&mut luck.producers),
        Act::Leave => Some(&mut luck.leaves),
        Act::Full => Some(&mut luck.fulls),
        Act::Suspend => Some(&mut luck.suspensions),
        Act::Hurry => Some(&mut luck.hurries),
        Act::Sweep => Some(&mut luck.sweeps),
        Act::CommitUnheard => Some(&mut luck.delays),
        Act::Told | Act::BucketEnds | Act::Commit | Act::Lands(_) | Act::Acked(_) => None,
        Act::CommitHeard | Act::Other | Act::Configure => None,
        Act::Scan | Act::Launch | Act::Delivered | Act::Wake | Act::Read | Act::Resume => None,
    };
    if let Some(spent) = spent {
        *spent = spent.saturating_sub(1);
    }
    if !is_owner {
        luck.twitches = luck.twitches.saturating_sub(1);
    }
}
