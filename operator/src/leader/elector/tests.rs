//! The election, step by step and over any delay of the network.

use proptest::prelude::*;

use super::*;
use crate::clock;

const TIMING: Timing = Timing {
    lease: Duration::from_secs(15),
    deadline: Duration::from_secs(10),
    retry: Duration::from_secs(2),
};

fn seen(version: &str, holder: &str) -> Seen {
    Seen {
        version: version.to_owned(),
        holder: holder.to_owned(),
        transitions: 3,
    }
}

/// An elector that has just read.
fn read(lease: Option<Seen>) -> (Elector, Instant) {
    let now = clock::now();
    let mut elector = Elector::new("me", TIMING, now);
    assert_eq!(elector.next(now), Step::Read);
    elector.on_read(lease, now);
    (elector, now)
}

fn write(step: Step) -> Write {
    match step {
        Step::Write(write) => write,
        Step::Read | Step::Wait(_) => panic!("{step:?}"),
    }
}

#[test]
fn a_missing_lease_is_created_and_a_released_one_is_taken() {
    let (mut elector, now) = read(None);
    let created = write(elector.next(now));
    assert_eq!((created.replaces, created.acquires), (None, true));
    let (mut elector, now) = read(Some(seen("7", "")));
    let taken = write(elector.next(now));
    assert_eq!(
        (taken.replaces.as_deref(), taken.transitions),
        (Some("7"), 4)
    );
}

#[test]
fn one_leads_from_the_accepted_write_on_and_its_time_counts_from_the_beginning() {
    let (mut elector, now) = read(None);
    let _ = elector.next(now);
    let answered = now + Duration::from_secs(4);
    assert!(!elector.leads(answered));
    elector.on_written(Written::Accepted(seen("1", "me")), answered);
    assert!(elector.leads(answered));
    assert!(!elector.leads(now + TIMING.deadline));
    assert_eq!(elector.next(answered), Step::Wait(answered + TIMING.retry));
}

#[test]
fn an_answer_that_comes_too_late_makes_no_leader() {
    let (mut elector, now) = read(None);
    let _ = elector.next(now);
    let late = now + TIMING.deadline;
    elector.on_written(Written::Accepted(seen("1", "me")), late);
    assert!(!elector.leads(late));
}

#[test]
fn a_lease_that_changes_is_respected_and_one_that_stands_still_is_taken() {
    let (mut elector, mut now) = read(Some(seen("1", "other")));
    let almost = TIMING.lease - Duration::from_millis(1);
    for version in ["2", "3"] {
        assert!(matches!(elector.next(now), Step::Wait(_)));
        now += almost;
        assert_eq!(elector.next(now), Step::Read);
        elector.on_read(Some(seen(version, "other")), now);
    }
    assert!(
        matches!(elector.next(now), Step::Wait(_)),
        "it has just changed"
    );
    now += TIMING.lease;
    assert_eq!(elector.next(now), Step::Read);
    elector.on_read(Some(seen("3", "other")), now);
    assert!(write(elector.next(now)).acquires);
}

#[test]
fn a_lost_race_is_read_again_and_leads_nobody() {
    let (mut elector, now) = read(Some(seen("1", "")));
    let _ = elector.next(now);
    elector.on_written(Written::Conflict, now);
    assert!(!elector.leads(now));
    assert_eq!(elector.next(now + TIMING.retry), Step::Read);
}

#[test]
fn a_holder_without_an_answer_asks_again_and_leads_until_its_deadline() {
    let (mut elector, now) = read(None);
    let _ = elector.next(now);
    elector.on_written(Written::Accepted(seen("1", "me")), now);
    let later = now + TIMING.retry;
    let renewal = write(elector.next(later));
    assert!(!renewal.acquires);
    elector.on_written(Written::Unknown, later);
    assert!(elector.leads(later));
    assert_eq!(elector.next(later + TIMING.retry / 4), Step::Read);
    assert!(!elector.leads(now + TIMING.deadline));
}

#[test]
fn who_releases_leads_no_more_and_only_a_leader_releases() {
    let (mut elector, now) = read(Some(seen("1", "other")));
    assert_eq!(elector.release(now), None);
    let (mut elector, now) = read(None);
    let _ = elector.next(now);
    elector.on_written(Written::Accepted(seen("1", "me")), now);
    let write = elector.release(now).unwrap();
    assert_eq!(
        (write.replaces.as_deref(), write.holder.as_str()),
        (Some("1"), "")
    );
    assert!(!elector.leads(now));
}

/// A Lease at an API server, and requests that are under way to and from it.
#[derive(Default)]
struct Server {
    lease: Option<Seen>,
    version: u64,
}

impl Server {
    fn write(&mut self, write: &Write) -> Written {
        let version = self.lease.as_ref().map(|lease| lease.version.clone());
        if version != write.replaces {
            return Written::Conflict;
        }
        self.version += 1;
        let lease = Seen {
            version: self.version.to_string(),
            holder: write.holder.clone(),
            transitions: write.transitions,
        };
        self.lease = Some(lease.clone());
        Written::Accepted(lease)
    }
}

/// A request of one elector: arrives at the server, then its answer comes back or is lost.
enum Flight {
    Out(Step),
    BackRead(Option<Seen>),
    BackWritten(Written),
}

struct Candidate {
    elector: Elector,
    flight: Option<(Instant, Flight)>,
    /// Until when the process stands still.
    stopped: Instant,
    led: bool,
}

impl Candidate {
    /// One moment of its life.
    fn live(
        &mut self,
        server: &mut Server,
        now: Instant,
        millis: &mut impl FnMut() -> Option<u64>,
    ) {
        let Some((due, flight)) = self.flight.take() else {
            if now < self.stopped {
                return;
            }
            let step = self.elector.next(now);
            if !matches!(step, Step::Wait(_)) {
                let due = now + Duration::from_millis(millis().unwrap_or(20_000));
                self.flight = Some((due, Flight::Out(step)));
            }
            return;
        };
        if now < due {
            self.flight = Some((due, flight));
            return;
        }
        match flight {
            Flight::Out(step) => {
                // It arrives even when the process that sent it stands still.
                let back = match step {
                    Step::Write(write) => Flight::BackWritten(server.write(&write)),
                    Step::Read | Step::Wait(_) => Flight::BackRead(server.lease.clone()),
                };
                // None is an answer that is lost: the client gives up after a while.
                let (back, wait) = match (millis(), back) {
                    (Some(wait), back) => (back, wait),
                    (None, Flight::BackWritten(_)) => {
                        (Flight::BackWritten(Written::Unknown), 5_000)
                    }
                    (None, _) => (Flight::Out(Step::Read), 5_000),
                };
                self.flight = Some((now + Duration::from_millis(wait), back));
            }
            Flight::BackRead(_) | Flight::BackWritten(_) if now < self.stopped => {
                self.flight = Some((self.stopped, flight));
            }
            Flight::BackRead(lease) => self.elector.on_read(lease, now),
            Flight::BackWritten(written) => self.elector.on_written(written, now),
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_network_does_two_never_lead_at_once(
        delays in prop::collection::vec(prop::option::weighted(0.9, prop_oneof![8 => 0..300_u64, 2 => 300..30_000_u64]), 20..200),
        stops in prop::collection::vec((0..2_usize, 0..120_000_u64, 0..60_000_u64), 0..4),
        offsets in prop::array::uniform2(0..3_000_u64),
    ) {
        let start = clock::now();
        let mut server = Server::default();
        let mut delays = delays.into_iter().cycle();
        let mut millis = || delays.next().flatten();
        let mut candidates: Vec<Candidate> = offsets.iter().enumerate().map(|(number, offset)| Candidate {
            elector: Elector::new(&format!("candidate-{number}"), TIMING, start + Duration::from_millis(*offset)),
            flight: None,
            stopped: start,
            led: false,
        }).collect();
        for tick in 0..2_400_u64 {
            let now = start + Duration::from_millis(tick * 50);
            for (who, at, lasting) in &stops {
                if tick * 50 >= *at && tick * 50 < at + 50 {
                    candidates[*who].stopped = now + Duration::from_millis(*lasting);
                }
            }
            for candidate in &mut candidates {
                candidate.live(&mut server, now, &mut millis);
                candidate.led |= candidate.elector.leads(now);
            }
            let leaders = candidates.iter().filter(|one| one.elector.leads(now)).count();
            prop_assert!(leaders <= 1, "{leaders} lead at {} ms", tick * 50);
        }
    }

    #[test]
    fn with_a_network_that_answers_somebody_leads_soon_and_after_a_stop_the_other(
        delays in prop::collection::vec(0..100_u64, 20..100),
    ) {
        let start = clock::now();
        let mut server = Server::default();
        let mut delays = delays.into_iter().cycle();
        let mut millis = || delays.next();
        let mut candidates: Vec<Candidate> = (0..2).map(|number| Candidate {
            elector: Elector::new(&format!("candidate-{number}"), TIMING, start),
            flight: None,
            stopped: start,
            led: false,
        }).collect();
        let mut first = None;
        for tick in 0..1_200_u64 {
            let now = start + Duration::from_millis(tick * 50);
            for (number, candidate) in candidates.iter_mut().enumerate() {
                // The first leader dies after twenty seconds.
                if tick > 400 && first == Some(number) {
                    continue;
                }
                candidate.live(&mut server, now, &mut millis);
                if candidate.elector.leads(now) {
                    candidate.led = true;
                    first.get_or_insert(number);
                }
            }
            if tick == 100 {
                prop_assert!(first.is_some(), "nobody leads after five seconds");
            }
        }
        prop_assert!(candidates.iter().all(|one| one.led), "nobody followed");
    }
}
