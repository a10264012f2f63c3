//! Made-up histories: each invariant is found broken when it is, and only then.

mod letters;
mod promises;
mod repetitions;
mod shape;

use super::*;

const PLACE: Place = Place {
    topic: 0,
    partition: 1,
};
/// The epoch of all commits.
const EPOCH: &str = "1.0000000000000001";
const INCARNATION: &str = "1.0000000000000001.1";
/// The lane of the target that wants everything.
const LANE: Lane = Lane {
    target: roster::STEADY,
    place: PLACE,
};
/// That of one that wants some.
const PICKY: Lane = Lane {
    target: 1,
    place: PLACE,
};

/// A run that is made up: every call is one thing that is seen, ten milliseconds after the last one.
struct Story {
    judge: Judge,
    now_ms: u64,
    requests: u64,
    lane: Lane,
}

impl Story {
    fn new() -> Self {
        Self {
            judge: Judge::new(Source::new(1)),
            now_ms: 0,
            requests: 0,
            lane: LANE,
        }
    }

    fn see(&mut self, seen: Seen) -> &mut Self {
        self.now_ms += 10;
        self.judge.see(self.now_ms, &seen);
        self
    }

    fn later(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    /// A request that is still open; returns its number.
    fn sent(&mut self, worker: WorkerNumber, offsets: &[i64], processed: bool) -> RequestNumber {
        self.attempt(worker, offsets, processed, 1)
    }

    fn attempt(
        &mut self,
        worker: WorkerNumber,
        offsets: &[i64],
        processed: bool,
        attempt: u32,
    ) -> RequestNumber {
        let request = self.requests;
        self.requests += 1;
        let arrived = Arrived {
            request,
            lane: self.lane,
            offsets: offsets.to_vec(),
            worker,
            attempt,
            transaction: format!("{offsets:?}"),
            processed,
            waited_ms: 5,
        };
        self.see(Seen::Arrived(arrived));
        request
    }

    fn answered(&mut self, request: RequestNumber, status: u16) -> &mut Self {
        self.see(Seen::Answered {
            request,
            status,
            retry_after_ms: 0,
        })
    }

    fn cut(&mut self, request: RequestNumber, by: Side) -> &mut Self {
        self.see(Seen::Cut { request, by })
    }

    fn delivered(&mut self, worker: WorkerNumber, offsets: &[i64]) -> &mut Self {
        let request = self.sent(worker, offsets, true);
        self.answered(request, 200)
    }

    fn worker(&mut self, worker: WorkerNumber, change: WorkerChange) -> &mut Self {
        self.see(Seen::Worker { worker, change })
    }

    fn committed(&mut self, look: u64, offset: i64) -> &mut Self {
        self.see(Seen::Committed {
            look,
            place: PLACE,
            offset,
            epoch: Some(EPOCH.to_owned()),
        })
    }

    fn parked(&mut self, first: i64, last: i64) -> &mut Self {
        let lane = self.lane;
        self.see(Seen::Parked {
            lane,
            first,
            last,
            incarnation: INCARNATION.to_owned(),
            prev: None,
            bucket: 0,
            at: first,
            reference: false,
        })
    }

    /// The lane's row under the epoch of all commits.
    fn row(&mut self, delivered_through: i64) -> &mut Self {
        self.row_of(EPOCH, INCARNATION, delivered_through)
    }

    fn row_of(&mut self, epoch: &str, incarnation: &str, delivered_through: i64) -> &mut Self {
        let lane = self.lane;
        let written_ms = self.now_ms;
        self.see(Seen::Row {
            lane,
            epoch: epoch.to_owned(),
            written_ms,
            row: Some(RowSeen {
                incarnation: incarnation.to_owned(),
                delivered_through,
                insured: false,
                overflowed: false,
                suspended: false,
                bucket: 0,
                resume_offset: 0,
            }),
        })
    }

    fn tombstone(&mut self) -> &mut Self {
        let lane = self.lane;
        self.see(Seen::Row {
            lane,
            epoch: EPOCH.to_owned(),
            written_ms: 0,
            row: None,
        })
    }

    /// The dead letter of an event, written so long ago.
    fn letter(&mut self, offset: i64, ago_ms: u64) -> &mut Self {
        let (lane, written_ms) = (self.lane, self.now_ms - ago_ms);
        self.see(Seen::Letter {
            lane,
            offset,
            written_ms,
        })
    }

    /// The workers' own topics are read to where they end now.
    fn tailed(&mut self, look: u64) -> &mut Self {
        let asked_ms = self.now_ms;
        self.see(Seen::Tailed { look, asked_ms })
    }

    /// Gives all other targets what there is, so that commits are about the story's lane alone.
    fn others_got(&mut self, offsets: std::ops::Range<i64>) -> &mut Self {
        let own = self.lane;
        for (target, _) in roster::all().filter(|(target, _)| *target != own.target) {
            self.lane = Lane {
                target,
                place: PLACE,
            };
            let offsets = self.wanted(offsets.clone());
            self.delivered(0, &offsets);
        }
        self.lane = own;
        self
    }

    fn wanted(&self, offsets: std::ops::Range<i64>) -> Vec<i64> {
        let next = next_wanted(self.judge.source, self.lane);
        offsets.filter(|offset| next(*offset) == *offset).collect()
    }

    /// What is found broken.
    fn broken(&self) -> Vec<Invariant> {
        let violations = self.judge.verdict().violations().iter();
        violations.map(|violation| violation.invariant).collect()
    }

    fn cause(&self) -> Vec<(Cause, u64)> {
        self.judge.causes().clone().into_iter().collect()
    }
}
