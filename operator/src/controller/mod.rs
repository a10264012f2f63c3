//! The controller: the one owner of what the operator knows, and the loop that drives it.
//!
//! ```text
//!   watches, tail, election ──▶ Input ──▶ ┌────────────┐ ──▶ jobs (API server)
//!                                         │ controller │ ◀── Done
//!                                         └────────────┘
//! ```
//!
//! It waits only in [`Controller::run`]. Each turn takes what has come, decides with the pure parts, and
//! starts jobs; no state is shared with them. A follower keeps its caches and judges nothing; a leader asks
//! the clock before each thing that only a leader does.

pub mod index;
mod jobs;
mod known;
mod led;
mod pace;
mod publishing;
mod reconciling;
pub mod secrets;
mod statuses;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use parcelhook_crds::spec::DeliveryTarget;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use crate::clock;
use crate::cluster::{Cluster, Scope, SecretSeen};
use crate::health::Touched;
use crate::leader::Leading;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::queue::Queue;
use crate::status::Teller;
use crate::topics::OwnTopics;
use index::Index;
use jobs::Done;
use known::Known;
pub use known::Told;
use led::Led;
use secrets::References;
use statuses::Statuses;

/// Targets that are judged at once.
const JUDGED_AT_ONCE: usize = 16;

/// Inputs that are taken in one turn.
const INPUTS_AT_ONCE: usize = 256;

/// Longest sleep: time alone changes things, too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What happens around the controller.
#[derive(Debug)]
pub enum Input {
    /// A watch of targets tells.
    Target(Scope, Box<watcher::Event<DeserializeGuard<DeliveryTarget>>>),
    /// A watch of Secrets tells.
    Secret(Scope, SecretSeen),
    /// The tail of the workers' topics tells.
    Told(Told),
    /// Parcelhook's own topics are found so.
    OwnTopics(OwnTopics),
    /// The administrator allows something else.
    Policy(Policy),
}

/// What the controller works with.
#[derive(Clone, Debug)]
pub struct Around {
    /// The API server.
    pub cluster: Cluster,
    /// What is allowed.
    pub policy: Arc<Policy>,
    /// The namespaces that are watched; all when none is named.
    pub namespaces: Arc<[String]>,
    /// The workers' consumer group.
    pub group: String,
    /// Writes of statuses: a second, and at once.
    pub status_writes: (u32, u32),
    /// Where it is counted what happens.
    pub metrics: Arc<Metrics>,
}

/// Whether this operator leads.
#[derive(Debug)]
enum Role {
    /// Another one does.
    Follower,
    /// It does, and reads what there is.
    Loading,
    /// Reading failed: again then.
    LoadingAgain(Instant),
    /// It does.
    Leader(Box<Led>),
}

/// See the module.
#[derive(Debug)]
pub struct Controller {
    around: Around,
    leading: Leading,
    role: Role,
    index: Index,
    references: References,
    queue: Queue<Uuid>,
    known: Known,
    own_topics: OwnTopics,
    statuses: Statuses,
    teller: Teller,
    jobs: JoinSet<Done>,
}

impl Controller {
    /// A controller that knows nothing yet.
    pub fn new(around: Around, leading: Leading) -> Self {
        let now = clock::now();
        let scopes = around.namespaces.len().max(1);
        let (rate, burst) = around.status_writes;
        Self {
            role: Role::Follower,
            index: Index::new(scopes),
            references: References::default(),
            queue: Queue::new(JUDGED_AT_ONCE),
            known: Known::new(&around.group, now),
            own_topics: OwnTopics::default(),
            statuses: Statuses::new(rate, burst, now),
            teller: Teller::new(now),
            jobs: JoinSet::new(),
            around,
            leading,
        }
    }

    /// Runs until `stop` resolves. What is under way then is dropped: whoever leads next finds what there
    /// is, and goes on.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut taken = Vec::with_capacity(INPUTS_AT_ONCE);
        loop {
            let wake = self.work(clock::now());
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(done) = self.jobs.join_next() => self.finished(done),
                count = inputs.recv_many(&mut taken, INPUTS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    let now = clock::now();
                    taken.drain(..).for_each(|input| self.take(input, now));
                }
                changed = self.leading.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Does what is due, and tells when to look again.
    fn work(&mut self, now: Instant) -> Instant {
        self.decide_role(now);
        if self.known.due().is_some_and(|due| due <= now) {
            let changed = self.known.regather(now);
            self.statuses.touch(changed);
        }
        self.judge_next(now);
        self.publish_next(now);
        self.write_statuses(now);
        self.count();
        let publishing = match &self.role {
            Role::Leader(led) => led.due(),
            Role::LoadingAgain(due) => Some(*due),
            Role::Follower | Role::Loading => None,
        };
        let dues = [
            self.known.due(),
            self.queue.next_due(),
            publishing,
            self.statuses.due(),
        ];
        let soonest = dues.into_iter().flatten().min();
        soonest.map_or(now + LOOK_EVERY, |due| due.clamp(now, now + LOOK_EVERY))
    }

    fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Target(scope, event) => self.target_seen(scope, *event),
            Input::Secret(scope, seen) => {
                let touched = self.references.apply(scope, seen);
                touched.into_iter().for_each(|uid| self.queue.add(uid));
            }
            Input::Told(told) => {
                let touched = self.known.apply(told, now);
                self.touch(touched);
                self.tell_of_dead_letters(now);
            }
            Input::OwnTopics(found) => {
                self.own_topics = found;
                self.touch(Touched::All);
            }
            Input::Policy(policy) => {
                self.around.policy = Arc::new(policy);
                self.queue_all();
            }
        }
    }

    fn finished(&mut self, done: Result<Done, JoinError>) {
        let now = clock::now();
        let done = match done {
            Ok(done) => done,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                // A job that panics would do so again: everything is begun anew.
                tracing::error!(%error, "a job of the operator ended by itself; beginning anew");
                self.resign();
                return;
            }
        };
        match done {
            Done::Judged(judged) => self.on_judged(*judged, now),
            Done::Looked(uid, presence) => self.on_looked(uid, presence, now),
            Done::Loaded(loaded) => self.on_loaded(loaded, now),
            Done::Stored(stored) => self.on_stored(stored, now),
            Done::Listed(listed) => self.on_listed(listed, now),
            Done::Published(writing, result) => self.on_published(*writing, result, now),
            Done::Collected(Ok(())) => {}
            Done::Collected(Err(error)) => tracing::warn!(%error, "old shards are left"),
            Done::Wrote(wrote) => self.on_wrote(*wrote, now),
            Done::Told(Ok(())) => {}
            Done::Told(Err(error)) => tracing::debug!(%error, "an Event was not told"),
        }
    }

    /// Begins to lead, or ceases to.
    fn decide_role(&mut self, now: Instant) {
        let leads = self.leads(now);
        match (&self.role, leads) {
            (Role::Follower, true) => self.load(),
            (Role::LoadingAgain(due), true) if *due <= now => self.load(),
            (Role::Loading | Role::LoadingAgain(_) | Role::Leader(_), false) => {
                tracing::warn!("this operator leads no more");
                self.resign();
            }
            (Role::Follower, false)
            | (Role::Loading | Role::LoadingAgain(_) | Role::Leader(_), true) => {}
        }
    }

    fn leads(&self, now: Instant) -> bool {
        self.leading.borrow().is_some_and(|until| now < until)
    }

    fn load(&mut self) {
        self.role = Role::Loading;
        let cluster = self.around.cluster.clone();
        self.jobs.spawn(jobs::loaded(cluster));
    }

    /// Stops all writing and forgets what only a leader has.
    fn resign(&mut self) {
        self.jobs = JoinSet::new();
        self.queue = Queue::new(JUDGED_AT_ONCE);
        self.statuses.resign();
        self.role = Role::Follower;
    }

    fn count(&self) {
        let metrics = &self.around.metrics;
        metrics.targets.set(self.index.len());
        metrics.synced.set(usize::from(self.index.is_complete()));
        metrics.queued.set(self.queue.len());
        metrics.statuses_waiting.set(self.statuses.waiting());
        metrics
            .leader
            .set(usize::from(matches!(self.role, Role::Leader(_))));
    }
}
