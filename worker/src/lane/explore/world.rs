//! Everything that can happen: one owner, zombies, brokers, a receiver, and bad luck.
//!
//! A zombie lost the partition and does not know it. It does what an owner does, except that its commits
//! are refused; a crash is a zombie that does nothing any more, and is therefore forgotten at once.

use std::rc::Rc;

use parcelhook_crds::lane::ParkReason;

use super::outside::Outside;
use super::session::{Origin, Lost, Session, Stage, later, now};
use super::variant::{Variant, is};

/// How much of everything may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Luck {
    /// Further owners.
    pub(super) owners: u8,
    /// Attempts without a 2xx.
    pub(super) failures: u8,
    /// Attempts that the receiver puts off.
    pub(super) throttles: u8,
    /// Attempts cut off.
    pub(super) aborts: u8,
    /// Writes that the broker has before we know it.
    pub(super) silences: u8,
    /// Writes that are refused.
    pub(super) refusals: u8,
    /// Producers that fail for good.
    pub(super) producers: u8,
    /// Times a lane is over its budget.
    pub(super) leaves: u8,
    /// Times that too much waits for a cut-over.
    pub(super) fulls: u8,
    /// Times a target is suspended.
    pub(super) suspensions: u8,
    /// Times somebody asks for an attempt now.
    pub(super) hurries: u8,
    /// What zombies still do.
    pub(super) twitches: u8,
    /// Times rows of earlier epochs are taken away.
    pub(super) sweeps: u8,
}

/// How large a world may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Events of the source.
    pub(super) events: i64,
    /// Records of the bucket, without those that are on their way.
    pub(super) bucket: usize,
    /// Zombies at the same time.
    pub(super) zombies: usize,
    /// The reader brings one record at a time.
    pub(super) one_by_one: bool,
    pub(super) luck: Luck,
}

/// A topic of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Retry,
    Lanes,
}

/// What a session, or what surrounds it, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    LoadRows,
    AskEnd,
    Commit,
    /// What is on its way to a topic is there, and we know.
    Lands(Topic),
    /// It is there, and we do not know yet.
    LandsSilently(Topic),
    /// Now we know.
    Acked(Topic),
    Scan,
    Delivered,
    Launch,
    Resume,
    Wake,
    Read,
    Sweep,
    Failed { reached: bool },
    Throttled,
    Aborted,
    /// We hear that it did not land. It may have.
    Refused(Topic, bool),
    Leave,
    Full,
    Suspend,
    Hurry,
    NewProducer,
}

impl Act {
    /// What happens when nothing goes wrong, in the order in which it is tried.
    pub(super) const FAULTLESS: [Self; 13] = [
        Self::LoadRows,
        Self::AskEnd,
        Self::Resume,
        Self::Acked(Topic::Lanes),
        Self::Acked(Topic::Retry),
        Self::Lands(Topic::Lanes),
        Self::Lands(Topic::Retry),
        Self::Delivered,
        Self::Scan,
        Self::Launch,
        Self::Wake,
        Self::Commit,
        Self::Read,
    ];

    /// What goes wrong, or is needed by nobody.
    const OTHERS: [Self; 16] = [
        Self::Sweep,
        Self::Failed { reached: false },
        Self::Failed { reached: true },
        Self::Throttled,
        Self::Aborted,
        Self::LandsSilently(Topic::Retry),
        Self::LandsSilently(Topic::Lanes),
        Self::Refused(Topic::Retry, false),
        Self::Refused(Topic::Retry, true),
        Self::Refused(Topic::Lanes, false),
        Self::Refused(Topic::Lanes, true),
        Self::Leave,
        Self::Full,
        Self::Suspend,
        Self::Hurry,
        Self::NewProducer,
    ];
}

/// A step of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody else becomes the owner. The old one goes on as a zombie; another zombie may end with it.
    TakeOver { forget: Option<u8> },
    /// The owner crashes, and somebody else takes over. Of what was on its way, so much landed.
    Crash { retry: u8, lanes: u8 },
    /// A request of a crashed session arrives.
    LateRequest,
    /// What a dead producer had on its way arrives.
    LateWrite(Topic),
    /// Of the session with this number.
    Of(u8, Act),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) outside: Outside,
    /// The last one is the owner.
    pub(super) sessions: Vec<Rc<Session>>,
    late_request: Option<(i64, i64)>,
    late_writes: Lost,
    pub(super) luck: Luck,
}

impl World {
    pub(super) fn new(luck: Luck) -> Self {
        Self::of(Outside::new(), luck)
    }

    fn of(outside: Outside, luck: Luck) -> Self {
        Self {
            sessions: vec![Rc::new(Session::assigned(&outside))],
            outside,
            late_request: None,
            late_writes: Lost::default(),
            luck,
        }
    }

    /// Everybody crashed, and one owner comes with nothing but good luck.
    pub(super) fn recovered(&self) -> Self {
        Self::of(self.outside.clone(), Luck::default())
    }

    pub(super) fn owner(&self) -> &Session {
        &self.sessions[self.sessions.len() - 1]
    }

    /// Whether everything was delivered, and the owner is live and done.
    pub(super) fn is_complete(&self, bounds: &Bounds) -> bool {
        let owner = self.owner();
        owner.is_running()
            && owner.machine.is_live()
            && owner.frontier == bounds.events
            && self.outside.committed == bounds.events
            && self.outside.delivered == bounds.events
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
                let full = self.outside.bucket.len() >= bounds.bucket
                    && matches!(act, Act::Lands(Topic::Retry) | Act::LandsSilently(Topic::Retry) | Act::Refused(Topic::Retry, true));
                if !full && self.can(number, act, bounds) {
                    steps.push(Step::Of(number as u8, act));
                }
            }
        }
        if self.late_request.is_some() {
            steps.push(Step::LateRequest);
        }
        if !self.late_writes.retry.is_empty() {
            steps.push(Step::LateWrite(Topic::Retry));
        }
        if !self.late_writes.lanes.is_empty() {
            steps.push(Step::LateWrite(Topic::Lanes));
        }
        if self.luck.owners > 0 {
            self.push_take_overs(&mut steps, bounds);
        }
        steps
    }

    fn push_take_overs(&self, steps: &mut Vec<Step>, bounds: &Bounds) {
        let zombies = self.sessions.len() - 1;
        let owner = self.owner();
        let room = bounds.bucket.saturating_sub(self.outside.bucket.len());
        for retry in 0..=owner.unlanded(Topic::Retry).min(room) {
            for lanes in 0..=owner.unlanded(Topic::Lanes) {
                steps.push(Step::Crash {
                    retry: retry as u8,
                    lanes: lanes as u8,
                });
            }
        }
        if zombies < bounds.zombies && self.luck.twitches > 0 {
            steps.push(Step::TakeOver { forget: None });
        }
        for zombie in 0..zombies as u8 {
            steps.push(Step::TakeOver {
                forget: Some(zombie),
            });
        }
    }

    fn can(&self, number: usize, act: Act, bounds: &Bounds) -> bool {
        let session = &*self.sessions[number];
        let running = session.is_running();
        let is_owner = number + 1 == self.sessions.len();
        let backlog = session.machine.backlog();
        let luck = &self.luck;
        match act {
            Act::LoadRows => matches!(session.stage, Stage::Assigned { .. }),
            Act::AskEnd => matches!(session.stage, Stage::Loaded { .. }),
            Act::Commit => {
                let news = session.frontier > self.outside.committed || session.epoch != self.outside.epoch;
                let zombie_news = session.frontier > self.outside.committed && is(Variant::ZombieCommits);
                session.may_commit()
                    && (if is_owner { news || !session.counts } else { zombie_news || session.stage == Stage::Claiming })
            }
            Act::Lands(topic) => session.in_front(topic).is_some_and(|way| way.landed.is_none()),
            Act::LandsSilently(topic) => luck.silences > 0 && session.unlanded(topic) > 0,
            Act::Acked(topic) => session.in_front(topic).is_some_and(|way| way.landed.is_some()),
            Act::Scan => session
                .reading
                .is_some_and(|reading| !reading.told || reading.cursor < self.outside.end()),
            Act::Delivered => session.attempt.is_some(),
            Act::Launch => running && session.can_launch(),
            Act::Resume => running && session.suspended,
            Act::Wake => running && session.machine.wake().is_some_and(|at| at <= later()),
            Act::Read => running && session.position < bounds.events,
            Act::Sweep => {
                luck.sweeps > 0 && session.counts && self.outside.has_stale(session.epoch)
                    || is(Variant::SweepsBeforeCommit) && session.stage == Stage::Claiming && self.outside.has_stale(session.epoch)
            }
            Act::Failed { .. } => session.attempt.is_some() && luck.failures > 0,
            Act::Throttled => {
                matches!(session.attempt, Some((Origin::Queue, ..))) && luck.throttles > 0
            }
            Act::Aborted => session.attempt.is_some() && luck.aborts > 0,
            Act::Refused(topic, landed) => {
                // What landed silently needs not land again.
                let in_front = session.in_front(topic);
                luck.refusals > 0 && in_front.is_some_and(|way| !landed || way.landed.is_none())
            }
            Act::Leave => running && backlog.is_none() && luck.leaves > 0,
            Act::Full => {
                running && !session.full && backlog.is_some() && session.frontier < session.position && luck.fulls > 0
            }
            Act::Suspend => running && !session.suspended && luck.suspensions > 0,
            Act::Hurry => running && backlog.is_some() && luck.hurries > 0,
            Act::NewProducer => {
                luck.producers > 0 && !(session.retry.is_empty() && session.lanes.is_empty())
            }
        }
    }

    /// What follows.
    pub(super) fn after(&self, step: Step, bounds: &Bounds) -> Self {
        let mut world = self.clone();
        match step {
            Step::TakeOver { forget } => world.take_over(forget),
            Step::Crash { retry, lanes } => world.crash(retry, lanes),
            Step::LateRequest => {
                if let Some(span) = world.late_request.take() {
                    world.outside.arrive(span);
                }
            }
            Step::LateWrite(Topic::Retry) => {
                if let Some(run) = world.late_writes.retry.pop_front() {
                    world.outside.append(run);
                }
            }
            Step::LateWrite(Topic::Lanes) => {
                if let Some(note) = world.late_writes.lanes.pop_front() {
                    world.outside.note(&note);
                }
            }
            Step::Of(number, act) => world.act(number as usize, act, bounds),
        }
        world.forget_the_dead();
        world
    }

    /// Rows that nobody will ever ask for tell worlds apart that are the same, and so do zombies that
    /// do nothing any more.
    fn forget_the_dead(&mut self) {
        let owner = self.owner().epoch;
        if self.luck.sweeps == 0 {
            self.outside.forget_all_but(owner);
        }
        if self.luck.twitches == 0 {
            let zombies = self.sessions.len() - 1;
            self.sessions.drain(..zombies);
        }
    }

    fn take_over(&mut self, forget: Option<u8>) {
        if let Some(zombie) = forget {
            self.sessions.remove(zombie as usize);
        }
        self.luck.owners -= 1;
        self.sessions.push(Rc::new(Session::assigned(&self.outside)));
    }

    fn crash(&mut self, retry: u8, lanes: u8) {
        if let Some(mut owner) = self.sessions.pop() {
            let owner = Rc::make_mut(&mut owner);
            for _ in 0..retry {
                owner.lands(Topic::Retry, &mut self.outside);
            }
            for _ in 0..lanes {
                owner.lands(Topic::Lanes, &mut self.outside);
            }
            if let Some((_, first, last)) = owner.attempt {
                self.late_request = Some((first, last));
            }
        }
        self.take_over(None);
    }

    fn act(&mut self, number: usize, act: Act, bounds: &Bounds) {
        let is_owner = number + 1 == self.sessions.len();
        if !is_owner {
            self.luck.twitches = self.luck.twitches.saturating_sub(1);
        }
        let Self { outside, sessions, luck, .. } = self;
        let session = Rc::make_mut(&mut sessions[number]);
        match act {
            Act::LoadRows => session.load(outside, is_owner),
            Act::AskEnd => session.resume(outside.end()),
            Act::Commit if is_owner || is(Variant::ZombieCommits) => session.commit(outside),
            Act::Commit => drop(sessions.remove(number)),
            Act::Acked(topic) => session.acked(topic),
            Act::Lands(topic) => {
                session.lands(topic, outside);
                session.acked(topic);
            }
            Act::LandsSilently(topic) => {
                luck.silences -= 1;
                session.lands(topic, outside);
            }
            Act::Scan => session.scan(outside, bounds.one_by_one),
            Act::Delivered => session.delivered(outside),
            Act::Launch => session.launch(outside),
            Act::Resume => session.suspend(false, outside),
            Act::Wake => session.drive(later()),
            Act::Read => {
                session.position += 1;
                session.drive(now());
            }
            Act::Sweep => {
                luck.sweeps = luck.sweeps.saturating_sub(1);
                outside.sweep(session.epoch);
            }
            Act::Failed { reached } => {
                luck.failures -= 1;
                session.failed(reached, outside);
            }
            Act::Throttled => {
                luck.throttles -= 1;
                session.throttled(outside);
            }
            Act::Aborted => {
                luck.aborts -= 1;
                self.late_request = session.aborted();
            }
            Act::Refused(topic, landed) => {
                luck.refusals -= 1;
                if landed {
                    session.lands(topic, outside);
                }
                session.refused(topic);
            }
            Act::Leave => {
                luck.leaves -= 1;
                session.leave(ParkReason::Overflow, outside);
            }
            Act::Full => {
                luck.fulls -= 1;
                session.fill(outside);
            }
            Act::Suspend => {
                luck.suspensions -= 1;
                session.suspend(true, outside);
            }
            Act::Hurry => {
                luck.hurries -= 1;
                session.hurry();
            }
            Act::NewProducer => {
                luck.producers -= 1;
                self.late_writes = session.replace_producer(outside);
            }
        }
    }
}
