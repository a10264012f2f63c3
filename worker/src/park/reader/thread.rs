//! The reader's thread: one loop that obeys, asks, goes where it is wanted, reads, and tells.
//!
//! Owns the consumer and the clock of the loop. Nothing in it sleeps: while records are wanted it
//! waits in `poll`, a few milliseconds at a time so that requests are seen; else for the bell. What
//! is decided is decided in the pure modules.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender};

use super::ask::Asker;
use super::bell::Bell;
use super::bucket::Move;
use super::client::{self, Seats};
use super::ends::{BucketEnds, Questions, Ranges};
use super::fetch::{Fetcher, Fetches};
use super::intake::Intake;
use super::lane::REST_MOST;
use super::scans::{Begin, Scans};
use super::stall::Stalls;
use super::{ReaderConfig, ReaderError, ReaderHandle, Request};
use crate::background::{Cause, blocked};
use crate::clock;
use crate::park::{Read, Scan};

/// How long buckets stay assigned while nobody has room. A lane that has some again by then finds
/// what was fetched.
const HOLD: Duration = Duration::from_secs(1);

/// How soon a shard whose channel was full is tried again.
const SHARD_BUSY: Duration = Duration::from_millis(5);

/// Longest wait when there is nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// Events of librdkafka that are taken in one go while nothing is read.
const EVENTS_AT_ONCE: usize = 64;

/// How long the reader waits before it makes a new consumer: it may fail like the last one.
const RENEW: Duration = Duration::from_secs(1);

/// How long closing may take when nobody gave a deadline.
const CLOSE: Duration = Duration::from_secs(2);

/// The reader's thread before it runs. Made by [`super::prepare`].
pub struct ReaderThread {
    config: ReaderConfig,
    shards: Vec<Sender<Read>>,
    requests: Receiver<Request>,
    bell: Arc<Bell>,
    ends: BucketEnds,
    unreadable: Arc<AtomicU64>,
    seats: Seats,
    asker: Asker,
    fetcher: Fetcher,
}

impl ReaderThread {
    pub(super) fn new(
        config: ReaderConfig,
        shards: Vec<Sender<Read>>,
        requests: Receiver<Request>,
        handle: &ReaderHandle,
    ) -> Result<Self, ReaderError> {
        let seats = Seats::new(&config)?;
        let asker = Asker::start(handle.bell.0.clone())
            .map_err(|error| ReaderError::Thread(error.to_string()))?;
        let fetcher = Fetcher::start(config.clone(), handle.bell.0.clone())
            .map_err(|error| ReaderError::Thread(error.to_string()))?;
        Ok(Self {
            config,
            shards,
            requests,
            bell: handle.bell.0.clone(),
            ends: handle.ends.clone(),
            unreadable: handle.unreadable.clone(),
            seats,
            asker,
            fetcher,
        })
    }

    /// Reads until it is told to shut down, or the last handle is dropped. Blocks its thread.
    pub fn run(self) {
        self.bell.attach();
        let now = clock::now();
        let mut reader = Reader {
            scans: Scans::new(self.shards.len()),
            questions: Questions::new(self.config.buckets, now),
            stalls: Stalls::new(now),
            wanted_at: now,
            intake: Intake::new(self.unreadable.clone()),
            fetches: Fetches::new(now),
            thread: self,
        };
        let end = reader.work();
        let thread = reader.thread;
        client::close(thread.seats, thread.asker, thread.fetcher, end.deadline);
        if let Some(done) = end.done {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

impl fmt::Debug for ReaderThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderThread")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The end that was asked for.
struct End {
    deadline: Instant,
    done: Option<tokio::sync::oneshot::Sender<()>>,
}

/// The loop's state.
struct Reader {
    thread: ReaderThread,
    scans: Scans,
    questions: Questions,
    stalls: Stalls,
    /// When records were last wanted.
    wanted_at: Instant,
    intake: Intake,
    fetches: Fetches,
}

impl Reader {
    fn work(&mut self) -> End {
        loop {
            if let Some(end) = self.obey() {
                return end;
            }
            self.ask();
            self.fetches
                .advance(&self.thread.fetcher, &mut self.scans, clock::now());
            self.tell();
            let moves = self.scans.plan();
            self.go(&moves);
            if self.scans.want_records() {
                self.wanted_at = clock::now();
                self.read();
                let (scans, questions) = (&mut self.scans, &mut self.questions);
                if self
                    .stalls
                    .need_a_new_consumer(clock::now(), scans, questions)
                {
                    self.renew();
                }
            } else {
                self.rest();
            }
        }
    }

    /// Does what shards ask for.
    fn obey(&mut self) -> Option<End> {
        loop {
            match self.thread.requests.try_recv() {
                Ok(Request::Scan(scan)) => self.scan(scan),
                Ok(Request::ShutDown { deadline, done }) => {
                    let done = Some(done);
                    return Some(End { deadline, done });
                }
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    let deadline = clock::now() + CLOSE;
                    return Some(End {
                        deadline,
                        done: None,
                    });
                }
            }
        }
    }

    fn scan(&mut self, scan: Scan) {
        match scan {
            Scan::Begin {
                key,
                lane,
                from,
                room,
            } => self.scans.begin(
                Begin {
                    key,
                    lane,
                    from,
                    room,
                },
                clock::now(),
            ),
            Scan::More { key, room } => self.scans.more(key, room),
            Scan::End { key } => self.scans.end(key),
            Scan::Bucket {
                ticket,
                shard,
                bucket,
            } => self.questions.ask_end(ticket, shard, bucket),
        }
    }

    /// Asks the cluster what must be known, and heeds its answers.
    fn ask(&mut self) {
        if let Some(ranges) = self.thread.asker.answer() {
            self.heed_ranges(&ranges);
        }
        if let Some(query) = self.questions.next(clock::now()) {
            let consumer = self.thread.seats.consumer().clone();
            let topic = self.thread.seats.topic().clone();
            self.thread.asker.ask(consumer, topic, query);
        }
    }

    fn heed_ranges(&mut self, ranges: &Ranges) {
        let mut left = Vec::new();
        for (bucket, range) in ranges {
            if let Some(log_start) = range.start
                && self.scans.has_range(*bucket, log_start, range.end)
            {
                tracing::info!(bucket, log_start, end = range.end, "reading a bucket anew");
                left.push((*bucket, Move::Leave));
            }
            self.thread.ends.set(*bucket, range.end);
        }
        self.go(&left);
        for answer in self.questions.answered(clock::now(), ranges) {
            self.scans.answer(answer);
        }
    }

    /// Goes where it is wanted.
    fn go(&mut self, moves: &[(i32, Move)]) {
        let Err(error) = self.thread.seats.carry_out(moves) else {
            return;
        };
        tracing::error!(%error, "the retry topic's client cannot go on; making a new one");
        self.renew();
    }

    /// Begins again with a new consumer, after a while. Lanes keep their places.
    fn renew(&mut self) {
        let until = clock::now() + RENEW;
        while let left = until.saturating_duration_since(clock::now())
            && !left.is_zero()
        {
            blocked(Cause::Timer, || self.thread.bell.wait(left));
        }
        match Seats::new(&self.thread.config) {
            Ok(seats) => {
                let failed = std::mem::replace(&mut self.thread.seats, seats);
                client::discard(failed);
            }
            Err(error) => tracing::error!(%error, "the retry topic cannot be read"),
        }
        self.scans.leave_all();
    }

    /// Waits for records and sorts them out.
    fn read(&mut self) {
        let errors = self
            .intake
            .read(&mut self.scans, &self.thread.seats, &self.thread.ends);
        for error in errors {
            self.heed(&error);
        }
    }

    /// An error that `poll` returned. They carry no bucket.
    fn heed(&mut self, error: &KafkaError) {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            tracing::error!(%error, "the retry topic's client failed for good; making a new one");
            self.renew();
            return;
        }
        // The context has told of everything else, and librdkafka goes on by itself.
        if let Some(
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::LogTruncation,
        ) = error.rdkafka_error_code()
        {
            for (number, bucket) in self.scans.read() {
                if bucket.suspect() {
                    self.questions.ask_range(number);
                }
            }
        }
    }

    /// Nobody takes records: waits for a request, an answer, or the time of a question.
    fn rest(&mut self) {
        let now = clock::now();
        let hold_until = self.wanted_at + HOLD;
        let held = self.scans.read().next().is_some();
        if held && now >= hold_until {
            let left = self.scans.leave_unwanted().into_iter();
            let moves: Vec<(i32, Move)> = left.map(|number| (number, Move::Leave)).collect();
            self.go(&moves);
            return;
        }
        let mut until = now + IDLE;
        if let Some(due) = self.questions.due() {
            until = until.min(due);
        }
        if let Some(due) = self.fetches.due(&self.scans) {
            until = until.min(due);
        }
        if held {
            until = until.min(hold_until);
        } else {
            self.drain_events();
        }
        if self.scans.have_untold() {
            until = until.min(now + SHARD_BUSY);
        }
        if self.scans.have_waiting() {
            until = until.min(now + REST_MOST);
        }
        let wait = until.saturating_duration_since(clock::now());
        blocked(Cause::Permit, || self.thread.bell.wait(wait));
    }

    /// What librdkafka says while nothing is assigned is told by the context; here it only must not
    /// pile up.
    fn drain_events(&mut self) {
        let seats = &self.thread.seats;
        let events = std::iter::from_fn(|| seats.poll(Duration::ZERO));
        let failed: Vec<KafkaError> = events
            .take(EVENTS_AT_ONCE)
            .filter_map(Result::err)
            .collect();
        for error in failed {
            self.heed(&error);
        }
    }

    /// Tells every shard what it takes.
    fn tell(&mut self) {
        self.scans.settle(clock::now());
        for (shard, sender) in (0..).zip(&self.thread.shards) {
            loop {
                match sender.try_reserve() {
                    Ok(place) => match self.scans.tell(shard) {
                        Some(read) => place.send(read),
                        None => break,
                    },
                    Err(TrySendError::Full(())) => break,
                    Err(TrySendError::Closed(())) => {
                        self.scans.shard_is_gone(shard);
                        break;
                    }
                }
            }
        }
    }
}
