//! What is told by Kubernetes Events, and how often.
//!
//! Owns what was told lately. A target is told about at most once in five minutes for one reason, all of
//! them a few times a second; and when many go DOWN at once, that is told once and not of each. Pure.
//! Bounded by the targets that changed within five minutes.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parcelhook_crds::status::{DeliveryTargetStatus, State};
use uuid::Uuid;

use super::condition::{Truth, kind};
use super::writes::Bucket;
use crate::health::word;
use crate::policy::refusal;

/// Least time between two Events of one reason about one target.
const QUIET: Duration = Duration::from_secs(300);

/// Events about targets: so many at once, then two a second.
const BURST: u32 = 25;
const EACH: Duration = Duration::from_millis(500);

/// Targets that go DOWN within this time go down together.
const TOGETHER: Duration = Duration::from_secs(30);

/// So many, and one fifth of all, are an outage.
const FEW: usize = 10;
const PART: usize = 5;

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A target went DOWN, for this reason.
    Down(String),
    /// It is UP again.
    Recovered,
    /// It is not accepted, for this reason.
    Refused(String, String),
    /// Events of it were given up, the last one for this reason.
    DeadLettered(String),
    /// Many went DOWN at once.
    Outage,
}

impl News {
    /// Whether somebody may have to act.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Down(_) | Self::Refused(..) | Self::DeadLettered(_) | Self::Outage => true,
            Self::Recovered => false,
        }
    }

    /// One CamelCase word.
    pub fn reason(&self) -> &str {
        match self {
            Self::Down(_) => "TargetDown",
            Self::Recovered => "TargetRecovered",
            Self::Refused(reason, _) => reason,
            Self::DeadLettered(_) => "EventDeadLettered",
            Self::Outage => "ManyTargetsDown",
        }
    }

    /// The same in words.
    pub fn note(&self) -> String {
        match self {
            Self::Down(reason) => {
                format!("Deliveries fail: {reason}. The events are kept and delivered later.")
            }
            Self::Recovered => "The webhook takes deliveries again.".to_owned(),
            Self::DeadLettered(reason) => format!(
                "Events are given up and written to the dead-letter topic: {reason}."
            ),
            Self::Refused(_, message) => message.chars().take(1_000).collect(),
            Self::Outage => "Many targets went DOWN within half a minute; look for a cause that they share, such as the network or DNS of the workers.".to_owned(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Teller {
    told: HashMap<(Uuid, String), Instant>,
    downs: VecDeque<Instant>,
    outage: Option<Instant>,
    bucket: Bucket,
}

impl Teller {
    /// Nothing was told.
    pub fn new(now: Instant) -> Self {
        Self {
            told: HashMap::new(),
            downs: VecDeque::new(),
            outage: None,
            bucket: Bucket::every(EACH, BURST, now),
        }
    }

    /// What to tell about a target, of `all`, whose status was written.
    pub fn news(
        &mut self,
        uid: Uuid,
        before: &DeliveryTargetStatus,
        after: &DeliveryTargetStatus,
        all: usize,
        now: Instant,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let (was_down, is_down) = (
            before.state == Some(State::Down),
            after.state == Some(State::Down),
        );
        if is_down && !was_down {
            news.extend(self.down(after, all, now));
        } else if was_down && after.state == Some(State::Up) {
            news.push(News::Recovered);
        }
        news.extend(refused(after).filter(|_| refused(before) != refused(after)));
        news.retain(|one| *one == News::Outage || self.may_tell(uid, one, now));
        news
    }

    /// Whether to tell that events of a target were given up, `ago` before now.
    pub fn dead_lettered(
        &mut self,
        uid: Uuid,
        reason: &str,
        ago: Duration,
        now: Instant,
    ) -> Option<News> {
        let news = News::DeadLettered(word(reason).to_owned());
        // A report of long ago is read again after a restart.
        (ago < QUIET && self.may_tell(uid, &news, now)).then_some(news)
    }

    fn down(&mut self, after: &DeliveryTargetStatus, all: usize, now: Instant) -> Option<News> {
        self.downs.push_back(now);
        let old = |at: &Instant| now.saturating_duration_since(*at) >= TOGETHER;
        while self.downs.front().is_some_and(old) {
            self.downs.pop_front();
        }
        let outage = self.downs.len() > FEW && self.downs.len() * PART > all;
        if !outage {
            let reason = after.reason.clone().unwrap_or_default();
            return Some(News::Down(reason));
        }
        let told = self
            .outage
            .is_some_and(|at| now.saturating_duration_since(at) < QUIET);
        if !told {
            self.outage = Some(now);
        }
        (!told).then_some(News::Outage)
    }

    fn may_tell(&mut self, uid: Uuid, news: &News, now: Instant) -> bool {
        let young = |at: &Instant| now.saturating_duration_since(*at) < QUIET;
        self.told.retain(|_, at| young(at));
        let key = (uid, news.reason().to_owned());
        if self.told.contains_key(&key) || self.bucket.take(now).is_err() {
            return false;
        }
        self.told.insert(key, now);
        true
    }
}

/// Why a target is not allowed, when that is so.
fn refused(status: &DeliveryTargetStatus) -> Option<News> {
    let mut conditions = status.conditions.iter();
    let accepted = conditions.find(|one| one.type_ == kind::ACCEPTED)?;
    let is_policy =
        [refusal::EGRESS_DENIED, refusal::TOPIC_NOT_ALLOWED].contains(&accepted.reason.as_str());
    let refused = accepted.status == Truth::False.as_str() && is_policy;
    refused.then(|| News::Refused(accepted.reason.clone(), accepted.message.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn status(state: State) -> DeliveryTargetStatus {
        DeliveryTargetStatus {
            state: Some(state),
            reason: Some("Timeout".to_owned()),
            ..DeliveryTargetStatus::default()
        }
    }

    fn uid(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn down_and_recovered_are_told_once_in_a_while() {
        let mut now = clock::now();
        let mut teller = Teller::new(now);
        let (up, down) = (status(State::Up), status(State::Down));
        let news = teller.news(uid(1), &up, &down, 100, now);
        assert_eq!(news, [News::Down("Timeout".to_owned())]);
        assert_eq!(teller.news(uid(1), &down, &up, 100, now), [News::Recovered]);
        assert_eq!(teller.news(uid(1), &up, &down, 100, now), []);
        assert_eq!(
            teller.news(uid(2), &up, &down, 100, now).len(),
            1,
            "another is told"
        );
        assert_eq!(teller.news(uid(3), &down, &down, 100, now), []);
        now += QUIET;
        assert_eq!(teller.news(uid(1), &up, &down, 100, now).len(), 1);
    }

    #[test]
    fn dead_letters_are_told_once_in_a_while_and_old_ones_not_at_all() {
        let now = clock::now();
        let mut teller = Teller::new(now);
        let mut told = |ago: Duration, now| teller.dead_lettered(uid(1), "Expired", ago, now);
        assert_eq!(told(QUIET, now), None);
        let news = told(Duration::ZERO, now).unwrap();
        assert_eq!(news, News::DeadLettered("Expired".to_owned()));
        assert!(news.is_warning() && news.note().contains("Expired"));
        assert_eq!(told(Duration::ZERO, now), None);
        assert!(told(Duration::ZERO, now + QUIET).is_some());
    }

    #[test]
    fn a_mass_outage_is_one_event() {
        let now = clock::now();
        let mut teller = Teller::new(now);
        let (up, down) = (status(State::Up), status(State::Down));
        let all = (0..1_000).flat_map(|number| teller.news(uid(number), &up, &down, 1_000, now));
        let all: Vec<News> = all.collect();
        let outages = all.iter().filter(|news| **news == News::Outage).count();
        assert_eq!(outages, 1);
        assert!(all.len() <= BURST as usize + 1, "{}", all.len());
    }
}
