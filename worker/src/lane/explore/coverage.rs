//! What a search has to reach to be worth something.

use std::collections::BTreeMap;

use super::outside::Parked;
use super::session::Session;
use super::step::{Act, Step, Topic};
use super::world::World;
use crate::lane::machine::Phase;

/// A transition that a protocol error would hide behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sometimes {
    /// The tombstone goes out while new events wait for it.
    CutOverHolds,
    /// Too much waits while the tombstone is on its way.
    CutOverReopened,
    /// A run is read of which the beginning was delivered.
    StraddlingRunCut,
    /// A record of another incarnation is read.
    IncarnationSkipped,
    /// A record is remembered because what it follows is missing.
    GapRemembered,
    /// What was missing came.
    GapFilled,
    /// The attempt whose events were parked as well was delivered.
    InsuranceDelivered,
    /// It failed.
    InsuranceFailed,
    /// A partition is taken over with a lane that is not live.
    TakenOverWithRow,
    /// A zombie parks in an incarnation that its successor has, too.
    ZombieParksInherited,
    /// A transaction that a predecessor attempted goes again.
    AttemptedBySuccessor,
    /// What a dead producer had on its way arrives.
    LateWrite,
    /// A row is refused.
    RowRefused,
    /// Events are parked twice, because they were not committed.
    ParkedAgain,
    /// An owner takes another epoch while it works.
    EpochReplaced,
    /// An event is given up.
    GivenUp,
    /// An event is given up that was delivered or given up before.
    GivenUpAgain,
    /// A take-over waits, because its configuration is older than the predecessor's.
    WaitsForConfiguration,
    /// The gate of a new target opens.
    GateOpens,
    /// A commit that was made before the roll-out is heard of after it.
    OldCommitHeard,
}

impl Sometimes {
    pub(super) const ALL: [Self; 20] = [
        Self::CutOverHolds,
        Self::CutOverReopened,
        Self::StraddlingRunCut,
        Self::IncarnationSkipped,
        Self::GapRemembered,
        Self::GapFilled,
        Self::InsuranceDelivered,
        Self::InsuranceFailed,
        Self::TakenOverWithRow,
        Self::ZombieParksInherited,
        Self::AttemptedBySuccessor,
        Self::LateWrite,
        Self::RowRefused,
        Self::ParkedAgain,
        Self::EpochReplaced,
        Self::GivenUp,
        Self::GivenUpAgain,
        Self::WaitsForConfiguration,
        Self::GateOpens,
        Self::OldCommitHeard,
    ];
}

/// How often each was reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage(pub(super) BTreeMap<Sometimes, usize>);

impl Coverage {
    fn count(&mut self, what: Sometimes, happened: bool) {
        if happened {
            *self.0.entry(what).or_default() += 1;
        }
    }

    /// Looks at one step of a search.
    pub(super) fn look(&mut self, before: &World, step: Step, after: &World) {
        let (number, act) = match step {
            Step::Of(number, act) => (number as usize, act),
            Step::LateWrite(_) => return self.count(Sometimes::LateWrite, true),
            Step::TakeOver { .. } | Step::Crash { .. } | Step::LateRequest | Step::Age => return,
        };
        let (Some(old), Some(new)) = (before.sessions.get(number), after.sessions.get(number))
        else {
            return;
        };
        let gap = |session: &Session| {
            session
                .machine
                .backlog()
                .is_some_and(|backlog| backlog.has_gap())
        };
        self.count(Sometimes::GapRemembered, !gap(old) && gap(new));
        self.count(
            Sometimes::GapFilled,
            act == Act::Scan && gap(old) && !gap(new),
        );
        let cut = |session: &Session| {
            session
                .machine
                .backlog()
                .is_some_and(|backlog| backlog.is_cut())
        };
        let holds = new.frontier < new.position;
        self.count(Sometimes::CutOverHolds, !cut(old) && cut(new) && holds);
        self.count(Sometimes::CutOverReopened, cut(old) && act == Act::Full);
        self.count(
            Sometimes::RowRefused,
            matches!(act, Act::Refused(Topic::Lanes, _)),
        );
        self.count(
            Sometimes::EpochReplaced,
            act == Act::ProducerReplaced && old.own.is_some() && new.own.is_none(),
        );
        let behind = old.knows < before.outside.knows && old.take_over.is_some();
        self.count(
            Sometimes::WaitsForConfiguration,
            behind && act == Act::Configure,
        );
        self.count(
            Sometimes::GateOpens,
            old.gate.is_some() && new.gate.is_none(),
        );
        let old_commit = old.unheard.is_some_and(|(_, knows)| knows < old.knows);
        self.count(
            Sometimes::OldCommitHeard,
            old_commit && old.gate.is_some() && act == Act::CommitHeard,
        );
        self.look_at_letter(before, old, act);
        self.look_at_attempt(old, act);
        let taken = !old.may_act() && new.may_act();
        self.count(Sometimes::TakenOverWithRow, taken && !new.machine.is_live());
        self.look_at_park(before, number, act);
        if act == Act::Scan {
            self.look_at_scan(before, old);
        }
    }

    fn look_at_letter(&mut self, before: &World, old: &Session, act: Act) {
        if act != Act::Lands(Topic::DeadLetters) {
            return;
        }
        let event = old.letters.front().map(|sent| sent.what.event);
        self.count(Sometimes::GivenUp, true);
        let again = event.is_some_and(|event| event < before.outside.delivered);
        self.count(Sometimes::GivenUpAgain, again);
    }

    fn look_at_attempt(&mut self, old: &Session, act: Act) {
        let parks = !old.machine.is_live();
        let insured = parks && matches!(old.machine.live().phase(), Phase::Attempting(_));
        self.count(
            Sometimes::InsuranceDelivered,
            insured && act == Act::Delivered,
        );
        self.count(
            Sometimes::InsuranceFailed,
            insured && matches!(act, Act::Failed { .. }),
        );
        let inherited = old
            .machine
            .backlog()
            .is_some_and(|backlog| Some(backlog.incarnation.epoch) != old.own.map(|own| own.epoch));
        let again = old
            .machine
            .drainable()
            .is_some_and(|drainable| drainable.again.is_some());
        self.count(
            Sometimes::AttemptedBySuccessor,
            parks && inherited && again && act == Act::Launch,
        );
    }

    fn look_at_park(&mut self, before: &World, number: usize, act: Act) {
        if act != Act::Lands(Topic::Retry) {
            return;
        }
        let old = &before.sessions[number];
        let Some(run) = old
            .retry
            .iter()
            .find(|sent| sent.landed.is_none())
            .map(|sent| &sent.what)
        else {
            return;
        };
        let owner = before
            .owner()
            .machine
            .backlog()
            .map(|backlog| backlog.incarnation);
        let is_zombie = number + 1 < before.sessions.len();
        self.count(
            Sometimes::ZombieParksInherited,
            is_zombie && owner == Some(run.incarnation),
        );
        let again = before
            .outside
            .bucket
            .iter()
            .any(|other| other.run.last >= run.last);
        self.count(Sometimes::ParkedAgain, again);
    }

    fn look_at_scan(&mut self, before: &World, old: &Session) {
        let (Some(reading), Some(backlog)) = (old.reading, old.machine.backlog()) else {
            return;
        };
        for Parked { run, .. } in &before.outside.bucket[reading.cursor as usize..] {
            let other = run.incarnation != backlog.incarnation;
            self.count(Sometimes::IncarnationSkipped, other);
            let through = backlog.delivered_through;
            self.count(
                Sometimes::StraddlingRunCut,
                !other && run.first <= through && through < run.last,
            );
        }
    }
}
