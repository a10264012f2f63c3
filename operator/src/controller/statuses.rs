//! Statuses: which targets to look at, what their status should be, and what was written.
//!
//! A write is remembered until the watch shows it, so that a cache that is behind writes nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parcelhook_crds::health::SUSPENDED;
use parcelhook_crds::status::{DeliveryTargetStatus, State};
use uuid::Uuid;

use super::jobs::Wrote;
use super::{Controller, Role, jobs};
use crate::clock;
use crate::health::{About, Availability, Health, fold, reason};
use crate::status::News;
use crate::status::writes::{Next, Urgency, Writes};
use crate::status::{
    Damper, Difference, Facts, Given, REFRESH_AFTER, Shown, compare, desired, written,
};

/// How often every target is looked at: time alone changes some.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Targets that are looked at in one turn.
const LOOKED_AT_ONCE: usize = 512;

/// Statuses that are written at once.
const WRITTEN_AT_ONCE: usize = 8;

/// How long a write is believed in that the watch does not show.
const BELIEVED: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Statuses {
    touched: BTreeSet<Uuid>,
    writes: Writes,
    written: BTreeMap<Uuid, Written>,
    dampers: BTreeMap<Uuid, Damper>,
    writing: BTreeSet<Uuid>,
    sweep: Instant,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Written {
    at: Instant,
    version: Option<String>,
    /// What was written, until the watch shows it.
    status: Option<DeliveryTargetStatus>,
}

impl Statuses {
    pub(super) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self {
            touched: BTreeSet::new(),
            writes: Writes::new(rate, burst, now),
            written: BTreeMap::new(),
            dampers: BTreeMap::new(),
            writing: BTreeSet::new(),
            sweep: now,
            due: None,
        }
    }

    /// Something of these targets looks different.
    pub(super) fn touch(&mut self, targets: impl IntoIterator<Item = Uuid>) {
        self.touched.extend(targets);
    }

    /// A target has ended.
    pub(super) fn forget(&mut self, uid: Uuid) {
        self.touched.remove(&uid);
        self.written.remove(&uid);
        self.dampers.remove(&uid);
    }

    /// Nothing is being written any more.
    pub(super) fn resign(&mut self) {
        self.writing.clear();
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Statuses that wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.writes.waiting()
    }
}

impl Controller {
    /// Looks at targets, and starts to write statuses.
    pub(super) fn write_statuses(&mut self, now: Instant) {
        self.statuses.due = None;
        if !matches!(self.role, Role::Leader(_)) || !self.leads(now) {
            return;
        }
        if self.statuses.sweep <= now {
            self.statuses.sweep = now + SWEEP_EVERY;
            let all: Vec<Uuid> = self.index.objects().map(|object| object.uid).collect();
            self.statuses.touch(all);
        }
        for _ in 0..LOOKED_AT_ONCE {
            let Some(uid) = self.statuses.touched.pop_first() else {
                break;
            };
            if !self.statuses.writing.contains(&uid)
                && let Some((_, _, urgency)) = self.look(uid, now)
            {
                self.statuses.writes.add(uid, urgency);
            }
        }
        if !self.statuses.touched.is_empty() {
            self.statuses.due = Some(now);
        }
        while self.statuses.writing.len() < WRITTEN_AT_ONCE {
            match self.statuses.writes.next(now) {
                Next::Write(uid) => self.write_status(uid, now),
                Next::Wait(due) => {
                    self.statuses.due.get_or_insert(due);
                    break;
                }
                Next::Idle => break,
            }
        }
    }

    fn write_status(&mut self, uid: Uuid, now: Instant) {
        // Its turn has come a while after it was looked at.
        let Some((there, wanted, _)) = self.look(uid, now) else {
            self.statuses.writes.refund();
            return;
        };
        let Some(object) = self.index.get(uid) else {
            return;
        };
        let name = (object.namespace.clone(), object.name.clone());
        let cluster = self.around.cluster.clone();
        self.statuses.writing.insert(uid);
        let job = jobs::wrote(cluster, name, uid, (there, wanted));
        let metrics = self.around.metrics.clone();
        self.jobs
            .spawn(jobs::timed(metrics, |all| &all.status_write_seconds, job));
    }

    /// A status was written, or not.
    pub(super) fn on_wrote(&mut self, wrote: Wrote, now: Instant) {
        let uid = wrote.uid;
        self.statuses.writing.remove(&uid);
        match wrote.result {
            Ok(version) => {
                self.around.metrics.statuses_written.add(1);
                self.tell_events(uid, &wrote.before, &wrote.status, now);
                let written = Written {
                    at: now,
                    version,
                    status: Some(wrote.status),
                };
                self.statuses.written.insert(uid, written);
                self.statuses.touch([uid]);
            }
            // It has ended meanwhile, or another has its name.
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => {
                tracing::warn!(%uid, %error, "a status could not be written; trying again")
            }
        }
    }

    /// The status that is there, the one that should be, and how urgent that is; none when it is fine.
    fn look(
        &mut self,
        uid: Uuid,
        now: Instant,
    ) -> Option<(DeliveryTargetStatus, DeliveryTargetStatus, Urgency)> {
        let there = self.there(uid, now)?;
        let health = self.health(uid, &there, now)?;
        let Role::Leader(led) = &self.role else {
            return None;
        };
        let object = self.index.get(uid)?;
        // What was not judged has nothing to say yet: its generation tells it apart already.
        let applied = led.book.applied(uid);
        applied.filter(|applied| applied.generation == object.generation)?;
        let given = match led.given(uid) {
            _ if led.is_left_out(uid) => Given::TooLarge,
            None => Given::NotYet,
            Some(revision) => {
                let generation = applied.and_then(|applied| applied.runs).unwrap_or_default();
                Given::Published(self.known.fleet.runs(uid, generation, revision, now))
            }
        };
        let missing = self.missing_topic(uid, now);
        let nobody = self.known.fleet.live(now).next().is_none();
        let facts = Facts {
            generation: object.generation,
            applied,
            given,
            missing_topic: missing.as_deref(),
            workers_wait_for: self.own_topics.unusable().filter(|_| nobody),
            topics_lose: self.own_topics.losing(),
            health: &health,
        };
        let wanted = desired(&there, &facts, clock::unix_millis());
        let urgency = match compare(&there, &wanted) {
            Difference::None => return None,
            Difference::Flip => Urgency::of_flip(&there, &wanted),
            Difference::Drained => Urgency::Numbers,
            Difference::Numbers => {
                let written = self.statuses.written.get(&uid);
                let fresh =
                    |written: &Written| now.saturating_duration_since(written.at) < REFRESH_AFTER;
                if written.is_some_and(fresh) {
                    return None;
                }
                Urgency::Numbers
            }
        };
        Some((there, wanted, urgency))
    }

    /// The status that is there: what the watch shows, unless it has not shown yet what was written. What
    /// cannot be read shows nothing: what was written is all there is to go by.
    fn there(&mut self, uid: Uuid, now: Instant) -> Option<DeliveryTargetStatus> {
        let object = self.index.get(uid)?;
        let shown = object.body.as_ref().ok();
        let shown = shown.map(|target| target.status.clone().unwrap_or_default());
        let Some(written) = self.statuses.written.get_mut(&uid) else {
            return Some(shown.unwrap_or_default());
        };
        let is_seen = written.version.as_deref() == Some(&object.version);
        let is_old = now.saturating_duration_since(written.at) >= BELIEVED;
        match shown {
            Some(shown) if is_seen || is_old => {
                written.status = None;
                Some(shown)
            }
            shown => Some(written.status.clone().or(shown).unwrap_or_default()),
        }
    }

    /// How the webhook fares; none while a change comes too soon after others to be told.
    fn health(&mut self, uid: Uuid, there: &DeliveryTargetStatus, now: Instant) -> Option<Health> {
        let Role::Leader(led) = &self.role else {
            return None;
        };
        let entry = led.book.entry(uid);
        let refused = led
            .book
            .applied(uid)
            .and_then(|applied| applied.refused.as_ref());
        let held = refused.and_then(|refused| refused.accepted.as_ref());
        let suspended = match entry {
            Some(entry) if entry.held => Some(held.map_or(SUSPENDED, |fault| fault.reason)),
            Some(entry) if entry.target.suspend => Some(SUSPENDED),
            Some(_) | None => None,
        };
        let before = written(there);
        let shown = before.as_ref().is_some_and(|before| match before.state {
            State::Up | State::Down | State::Blocked => true,
            State::Suspended | State::Unknown => false,
        });
        let about = About {
            suspended,
            threshold: entry.map_or(1, |entry| entry.target.failure_threshold),
            max_age: entry.map_or(Duration::MAX, |entry| entry.target.retry.max_age),
            success: self.known.fleet.success(uid),
            had_traffic: self.known.had_traffic(uid, shown),
            freshness: self.known.fleet.freshness(now),
            now: clock::unix_millis(),
            before: before.as_ref(),
        };
        let mut health = fold(&self.known.lanes(uid), &about);
        if let (None, Some(refused)) = (entry, refused) {
            // It never ran: why that is, says more than that nothing is known.
            let fault = refused.accepted.as_ref().or(refused.references.as_ref());
            health.state = State::Unknown;
            health.reason = fault
                .map_or(reason::PENDING, |fault| fault.reason)
                .to_owned();
            health.available = Availability::Unknown;
        }
        let known = before
            .as_ref()
            .map_or(State::Unknown, |before| before.state);
        let damper = self.statuses.dampers.entry(uid);
        let damper = damper.or_insert_with(|| Damper::new(known, now));
        match damper.look(health.state, now) {
            Shown::AsItIs => {}
            Shown::AsBefore(_) => return None,
            Shown::Flapping(_) => {
                health.state = State::Down;
                health.reason = reason::FLAPPING.to_owned();
                health.available = Availability::False;
            }
        }
        Some(health)
    }

    fn missing_topic(&self, uid: Uuid, now: Instant) -> Option<String> {
        let Role::Leader(led) = &self.role else {
            return None;
        };
        let missing = self.known.fleet.missing_topics(now);
        if missing.is_empty() {
            return None;
        }
        let mut sources = led.book.entry(uid)?.target.sources.iter();
        let source = sources.find(|source| missing.contains(&source.topic))?;
        Some(source.topic.clone())
    }

    /// Tells people by Kubernetes Events that events were given up. Who does not lead tells nothing.
    pub(super) fn tell_of_dead_letters(&mut self, now: Instant) {
        let letters = self.known.take_dead_lettered();
        if !self.leads(now) {
            return;
        }
        for letter in letters {
            let Some(object) = self.index.get(letter.target) else {
                continue;
            };
            let ago = clock::unix_millis().saturating_sub(letter.at);
            let ago = Duration::from_millis(u64::try_from(ago).unwrap_or(0));
            let uid = letter.target;
            if let Some(news) = self.teller.dead_lettered(uid, &letter.reason, ago, now) {
                let about = Some((object.namespace.clone(), object.name.clone()));
                let cluster = self.around.cluster.clone();
                self.jobs.spawn(jobs::told(cluster, about, uid, news));
            }
        }
    }

    /// Tells people by Kubernetes Events what they would want to know of at once.
    fn tell_events(
        &mut self,
        uid: Uuid,
        before: &DeliveryTargetStatus,
        after: &DeliveryTargetStatus,
        now: Instant,
    ) {
        let all = self.index.len();
        for news in self.teller.news(uid, before, after, all, now) {
            let about = match (&news, self.index.get(uid)) {
                (News::Outage, _) => None,
                (_, Some(object)) => Some((object.namespace.clone(), object.name.clone())),
                (_, None) => continue,
            };
            let cluster = self.around.cluster.clone();
            self.jobs.spawn(jobs::told(cluster, about, uid, news));
        }
    }
}
