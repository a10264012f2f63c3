//! The one way into our topics: parks, rows, terminators and dead letters.
//!
//! ```text
//!   shard ── carry_out(order) ──▶ book (place for the answer, bounds) ──▶ librdkafka ──▶ brokers
//!     ▲                            │                                         │
//!     └──────── Produced ──────────┴───────────── delivery report ◀──────────┘
//! ```
//!
//! One idempotent client a worker writes everything, so what a shard orders for one partition is
//! written in that order. Invariant: an order that was taken is answered exactly once. The place for
//! its answer is reserved in the shard's channel before anything else happens, so neither a shard nor
//! the thread that serves delivery reports ever waits to say what became of it.
//!
//! What the worker tells of itself is written by the way: it has no answer, and while one report is not
//! written there is no other. So is what the group must remember; who writes that may wait for it.
//!
//! A client that fails for good is replaced: what it had not answered is answered with
//! [`Refused::ProducerReplaced`], and [`Producer::generation`] rises. Does not repeat an order: what
//! was refused may have been written all the same, and only the lane knows what must follow.

mod book;
mod client;
mod context;
mod poller;
mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use parcelhook_crds::report::{Heartbeat, ReportKey};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::topics::Names;
use super::{Order, Produced, Refused, Ticket};
use crate::clock;
pub use book::RECORD_OVERHEAD_BYTES;
use book::{Book, Load};
use client::Client;
pub use client::{OWNED, QUEUE_BYTES};
pub use record::Destinations;
use record::Record;

/// Least age of a client that is replaced at once. A younger one did not get far (no right to write,
/// say): the next is made with the first order after this time.
const REPLACE_AFTER: Duration = Duration::from_secs(1);

/// What the producer needs to know.
#[derive(Clone)]
pub struct ProducerConfig {
    /// librdkafka properties, as for the consumer. May hold secrets. Those that the protocol depends
    /// on are overridden.
    pub client: Vec<(String, String)>,
    /// The topics.
    pub names: Names,
    /// Partitions of the lanes topic.
    pub lanes_partitions: i32,
    /// The largest record that the topics take, bytes: their `max.message.bytes`.
    pub largest_record_bytes: usize,
}

impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be secret.
        f.debug_struct("ProducerConfig")
            .field("names", &self.names)
            .field("lanes_partitions", &self.lanes_partitions)
            .field("largest_record_bytes", &self.largest_record_bytes)
            .finish_non_exhaustive()
    }
}

/// librdkafka refuses the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka producer cannot be made: {0}; check the properties under `kafka`")]
pub struct ProducerError(String);

/// The shard has more orders open than its channel has places: nothing was written, and nothing will
/// be answered. The order comes back.
#[derive(Debug, thiserror::Error)]
#[error("the shard's channel has no place for another answer")]
pub struct NoRoom(pub Box<Order>);

/// Writes to our topics. Clones share everything. What was not written when the last one is dropped is
/// given up; [`Producer::shut_down`] waits for it.
#[derive(Clone)]
pub struct Producer(Arc<Shared>);

struct Shared {
    config: ProducerConfig,
    destinations: Destinations,
    /// Where each shard takes answers.
    shards: Vec<Sender<Produced>>,
    generation: AtomicU64,
    /// Held to read while an order is handed over, so that no order is between two clients.
    current: RwLock<Current>,
    book: Mutex<Book<Waiting>>,
    /// Whether a report is not answered yet.
    telling: Arc<AtomicBool>,
}

enum Current {
    /// In use since then.
    Client(Client, Instant),
    /// The last one failed; the next is made from then on.
    Failed(Instant),
    /// Nothing is written any more.
    Closed,
}

/// Who waits for an answer.
enum Waiting {
    /// A shard.
    Shard {
        ticket: Ticket,
        /// Its place; none for a shard that has ended.
        place: Option<OwnedPermit<Produced>>,
    },
    /// Nobody but the next report.
    Report(Arc<AtomicBool>),
    /// Who wants to know whether it is written.
    Memory(oneshot::Sender<bool>),
}

impl Waiting {
    fn answer(self, result: Result<i64, Refused>) {
        match self {
            Self::Shard { ticket, place } => {
                if let Some(place) = place {
                    place.send(Produced { ticket, result });
                }
            }
            // Lost or not, the next one tells it all.
            Self::Report(telling) => telling.store(false, Ordering::Relaxed),
            // Who asked may have lost patience.
            Self::Memory(written) => drop(written.send(result.is_ok())),
        }
    }
}

impl Producer {
    /// Makes the client. `shards` take the answers; the capacity of a shard's channel bounds the
    /// orders it may have open. Brokers that cannot be reached are no error.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(
        config: ProducerConfig,
        shards: Vec<Sender<Produced>>,
    ) -> Result<Self, ProducerError> {
        let shared = Arc::new(Shared {
            destinations: Destinations::new(&config.names, config.lanes_partitions),
            config,
            shards,
            generation: AtomicU64::new(0),
            current: RwLock::new(Current::Failed(clock::now())),
            book: Mutex::default(),
            telling: Arc::default(),
        });
        let client = Client::connect(&shared)?;
        *write(&shared.current) = Current::Client(client, clock::now());
        Ok(Self(shared))
    }

    /// How many clients have failed. When it rises, every owned partition with rows takes a new epoch.
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Hands an order over, without waiting. Its answer comes through the shard's channel, also when it
    /// is refused at once. Orders of one shard for one partition are written in the order of the calls.
    ///
    /// # Errors
    /// [`NoRoom`] when the shard has as many orders open as its channel has places. Then no answer
    /// follows. A shard that counts its open orders never sees it.
    pub fn carry_out(&self, ticket: Ticket, shard: u32, order: Order) -> Result<(), NoRoom> {
        let Some(channel) = self.0.shards.get(shard as usize) else {
            return Err(NoRoom(Box::new(order)));
        };
        let place = match channel.clone().try_reserve_owned() {
            Ok(place) => Some(place),
            Err(TrySendError::Full(_)) => return Err(NoRoom(Box::new(order))),
            // The worker is about to end. What was decided is written all the same.
            Err(TrySendError::Closed(_)) => None,
        };
        let record = self.0.destinations.record(&order);
        self.0.carry_out(Waiting::Shard { ticket, place }, record);
        Ok(())
    }

    /// Writes a report of the worker's under a key of the reports topic, without waiting; none is a
    /// tombstone. Says whether it was taken: not while another one is on its way.
    pub fn tell(&self, key: &ReportKey, report: Option<&Heartbeat>) -> bool {
        let shared = &self.0;
        if shared.telling.swap(true, Ordering::Relaxed) {
            return false;
        }
        let value = report.map(Heartbeat::encode);
        let record = shared.destinations.report(key.encode(), value);
        shared.carry_out(Waiting::Report(shared.telling.clone()), Some(record));
        true
    }

    /// Writes what the group must remember under a key of the reports topic, without waiting; none is a
    /// tombstone. The receiver is told whether it was written.
    pub fn remember(&self, key: &ReportKey, value: Option<Vec<u8>>) -> oneshot::Receiver<bool> {
        let shared = &self.0;
        let (waiting, written) = oneshot::channel();
        let record = shared.destinations.report(key.encode(), value);
        shared.carry_out(Waiting::Memory(waiting), Some(record));
        written
    }

    /// Bytes that were handed over and not answered, with what each record costs beside its own.
    pub fn unanswered_bytes(&self) -> usize {
        lock(&self.0.book).bytes()
    }

    /// Takes no more orders, waits until all are answered, by `deadline` at the latest, and closes the
    /// client. What is left then is refused.
    pub async fn shut_down(&self, deadline: Instant) {
        let current = std::mem::replace(&mut *write(&self.0.current), Current::Closed);
        if let Current::Client(client, _) = current {
            client.close(deadline).await;
        }
        self.0.give_up(Refused::Failed);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("config", &self.0.config)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn carry_out(self: &Arc<Self>, waiting: Waiting, record: Option<Record<'_>>) {
        self.replace_when_due();
        let (generation, handed_over) = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            match &*current {
                Current::Client(client, _) => {
                    (self.generation(), self.hand_over(client, waiting, record))
                }
                Current::Failed(_) | Current::Closed => {
                    waiting.answer(Err(Refused::Failed));
                    return;
                }
            }
        };
        if let Err(Refused::ProducerReplaced) = handed_over {
            self.replace(generation);
        }
    }

    /// Opens an entry in the book and sends the record. A refusal is answered and returned.
    fn hand_over(
        &self,
        client: &Client,
        waiting: Waiting,
        record: Option<Record<'_>>,
    ) -> Result<(), Refused> {
        let Some(record) = record else {
            waiting.answer(Err(Refused::Failed));
            return Err(Refused::Failed);
        };
        let load = Load {
            bytes: record.size(),
            bucket: record.bucket(),
        };
        let opened = lock(&self.book).open(load, waiting);
        let id = match opened {
            Ok(id) => id,
            Err(waiting) => {
                waiting.answer(Err(Refused::QueueFull));
                return Err(Refused::QueueFull);
            }
        };
        let sent = client.send(&record, id);
        if let Err(refused) = sent {
            self.answer(id, Err(refused));
        }
        sent
    }

    /// What became of an entry of the book. One that was answered before is passed over.
    fn answer(&self, id: usize, result: Result<i64, Refused>) {
        let waiting = lock(&self.book).close(id);
        if let Some(waiting) = waiting {
            waiting.answer(result);
        }
    }

    /// Answers everything that is open, in the order in which it was given.
    fn give_up(&self, refused: Refused) {
        let open = lock(&self.book).clear();
        for waiting in open {
            waiting.answer(Err(refused));
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The client of this generation failed for good: answers what it holds, and makes another. One
    /// that was replaced before is passed over.
    fn replace(self: &Arc<Self>, failed: u64) {
        let now = clock::now();
        let mut current = write(&self.current);
        let made_at = match &*current {
            Current::Client(_, made_at) if self.generation() == failed => *made_at,
            Current::Client(..) | Current::Failed(_) | Current::Closed => return,
        };
        let old = std::mem::replace(&mut *current, Current::Failed(made_at + REPLACE_AFTER));
        // Risen before anybody hears of it.
        let generation = failed + 1;
        self.generation.store(generation, Ordering::Release);
        // Under the lock: every open entry is the old client's.
        self.give_up(Refused::ProducerReplaced);
        tracing::error!(
            generation,
            "the Kafka producer failed for good and is replaced; parked events are written again"
        );
        self.make_when_due(&mut current, now);
        drop(current);
        if let Current::Client(old, _) = old {
            old.discard();
        }
    }

    fn replace_when_due(self: &Arc<Self>) {
        let now = clock::now();
        let due = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            matches!(&*current, Current::Failed(from) if now >= *from)
        };
        if due {
            self.make_when_due(&mut write(&self.current), now);
        }
    }

    fn make_when_due(self: &Arc<Self>, current: &mut Current, now: Instant) {
        if !matches!(current, Current::Failed(from) if now >= *from) {
            return;
        }
        *current = match Client::connect(self) {
            Ok(client) => Current::Client(client, now),
            Err(error) => {
                tracing::error!(%error, "no Kafka producer could be made; it is tried again");
                Current::Failed(now + REPLACE_AFTER)
            }
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
