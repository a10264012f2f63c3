//! The reader of the retry topic, by itself, on real Kafka: what lanes get back, and what happens
//! when logs and brokers change under it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_crds::lane::{Epoch, Incarnation, LaneName, ParkReason};
use parcelhook_env::{
    clock, eventually,
    kafka::{Access, Event, Kafka},
};
use parcelhook_worker::{
    park::{
        DrainKey, LaneAddress, LaneSeat, Read, Run, Scan, Ticket,
        format::encode,
        reader::{ReaderConfig, ReaderHandle, prepare},
    },
    source::{
        PartitionId,
        record::{Record, Timestamp},
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Far longer than anything takes, also on a loaded machine.
const SOON: Duration = Duration::from_secs(120);

/// Answers that a shard leaves lying: few, so that the reader meets full channels.
const ANSWERS: usize = 4;

const INCARNATION: Incarnation = Incarnation {
    epoch: Epoch { n: 1, random: 7 },
    counter: 1,
};

fn lane(number: u32) -> Arc<LaneAddress> {
    Arc::new(LaneAddress {
        name: LaneName {
            target: Uuid::from_u128(u128::from(number)),
            selection: [1; 16],
        },
        source: PartitionId {
            topic: "orders".into(),
            partition: number.cast_signed(),
        },
        topic_id: None,
        bucket: 0,
    })
}

fn key(number: u32) -> DrainKey {
    DrainKey {
        shard: 0,
        slot: number,
        lane: LaneSeat {
            index: 0,
            id: u64::from(number),
        },
        drain: 1,
    }
}

/// One event of a lane, as the retry topic holds it.
fn parked(number: u32, offset: i64) -> Event {
    let body = format!("{number}-{offset}");
    let event = Record::new(
        offset,
        Timestamp::Created(1),
        None,
        Some(body.as_bytes()),
        std::iter::empty(),
    );
    let run = Run {
        lane: lane(number),
        incarnation: INCARNATION,
        reason: ParkReason::Failed,
        prev: None,
        attempts: 1,
        first_failed_at: None,
        not_before: None,
        last_error: None,
        events: vec![event],
    };
    let Some(encoded) = encode(&run) else {
        unreachable!("a run with an event has a record");
    };
    let mut event = Event::new(encoded.value().unwrap_or_default()).to(0);
    encoded.headers(|name, value| {
        event = event.clone().header(name, value.unwrap_or_default());
    });
    event
}

/// What a lane got.
#[derive(Debug, Default)]
struct Got {
    /// Source offsets, in the order in which they came.
    offsets: Vec<i64>,
    scanned_to: i64,
    cuts: Vec<i64>,
}

/// A reader with one shard.
struct Scene<'k> {
    kafka: &'k Kafka,
    topic: String,
    handle: ReaderHandle,
    reads: mpsc::Receiver<Read>,
    thread: JoinHandle<()>,
    got: BTreeMap<u32, Got>,
    ends: BTreeMap<u64, i64>,
    /// Lanes that do not give their room back.
    slow: Vec<u32>,
}

impl<'k> Scene<'k> {
    async fn on(kafka: &'k Kafka) -> Result<Self> {
        let topic = kafka.create_topic("retry", 2, &[]).await?;
        let client = kafka.client(Access::Plaintext);
        let properties = client.config_map().into_iter();
        let config = ReaderConfig {
            client: properties
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            group: format!("{topic}.drain"),
            topic: topic.as_str().into(),
            buckets: 2,
        };
        let (answers, reads) = mpsc::channel(ANSWERS);
        let (handle, thread) = prepare(config, vec![answers])?;
        Ok(Self {
            kafka,
            topic,
            handle,
            reads,
            thread: std::thread::Builder::new().spawn(move || thread.run())?,
            got: BTreeMap::new(),
            ends: BTreeMap::new(),
            slow: Vec::new(),
        })
    }

    async fn park(&self, events: impl IntoIterator<Item = Event>) -> Result<()> {
        self.kafka.produce(&self.topic, events).await?;
        Ok(())
    }

    fn begin(&mut self, number: u32, from: i64, room: usize) -> Result<()> {
        self.got.insert(number, Got::default());
        self.handle.ask(Scan::Begin {
            key: key(number),
            lane: lane(number),
            from,
            room,
        })?;
        Ok(())
    }

    /// Takes what comes until `done`.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = clock::now() + SOON;
        while !done(self) {
            let read = tokio::time::timeout_at(deadline.into(), self.reads.recv()).await;
            let read = read.with_context(|| format!("{what}; got {:?}", self.summary()))?;
            self.take(read.context("the reader has ended")?)?;
        }
        Ok(())
    }

    fn take(&mut self, read: Read) -> Result<()> {
        match read {
            Read::Drained {
                key,
                runs,
                scanned_to,
            } => {
                let got = self.got.get_mut(&key.slot).context("a lane that reads")?;
                let taken = runs.iter().map(|run| run.size()).sum();
                got.offsets.extend(runs.iter().map(|run| run.offsets.0));
                got.scanned_to = scanned_to;
                if taken > 0 && !self.slow.contains(&key.slot) {
                    self.handle.ask(Scan::More { key, room: taken })?;
                }
            }
            Read::Cut { key, log_start } => {
                let got = self.got.get_mut(&key.slot).context("a lane that reads")?;
                got.cuts.push(log_start);
            }
            Read::Bucket { ticket, end } => {
                self.ends.insert(ticket.number, end);
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<(u32, usize, i64)> {
        let each = self.got.iter();
        each.map(|(number, got)| (*number, got.offsets.len(), got.scanned_to))
            .collect()
    }

    async fn shut_down(self) -> Result<()> {
        self.handle.shut_down(clock::now() + SOON).await;
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ensure!(ended.is_ok(), "the thread panicked");
        Ok(())
    }
}

#[tokio::test]
async fn each_lane_gets_its_own_in_order_and_a_slow_one_holds_nobody() -> Result<()> {
    let mut scene = Scene::on(Kafka::shared().await?).await?;
    let records = (0..3_000).map(|n| parked(n % 3, i64::from(n)));
    scene.park(records).await?;
    scene.slow = vec![1];
    for number in 0..3 {
        scene.begin(number, 0, 20_000)?;
    }
    let two = |scene: &Scene<'_>| {
        [0, 2]
            .iter()
            .all(|number| scene.got[number].scanned_to == 3_000)
    };
    scene.until("both others at the end", two).await?;
    for number in [0, 2] {
        let own: Vec<i64> = (0..3_000).filter(|n| n % 3 == i64::from(number)).collect();
        assert_eq!(scene.got[&number].offsets, own);
    }
    let slow = scene.got[&1].offsets.len();
    assert!(slow > 0 && slow < 1_000, "{slow}");
    scene.handle.ask(Scan::More {
        key: key(1),
        room: 100 << 20,
    })?;
    let all = |scene: &Scene<'_>| scene.got[&1].scanned_to == 3_000;
    scene.until("the slow one at the end", all).await?;
    let own: Vec<i64> = (0..3_000).filter(|n| n % 3 == 1).collect();
    assert_eq!(scene.got[&1].offsets, own);
    scene.shut_down().await
}

#[tokio::test]
async fn a_lane_at_the_end_gets_what_is_parked_later() -> Result<()> {
    let mut scene = Scene::on(Kafka::shared().await?).await?;
    scene.park((0..10).map(|n| parked(0, n))).await?;
    scene.begin(0, 10, 1 << 20)?;
    let at_end = |scene: &Scene<'_>| scene.got[&0].scanned_to == 10;
    scene.until("the end", at_end).await?;
    for n in 0..20 {
        scene.park([parked(5, n), parked(0, 100 + n)]).await?;
        let count = usize::try_from(n)? + 1;
        let came = |scene: &Scene<'_>| scene.got[&0].offsets.len() == count;
        scene.until("the next record", came).await?;
    }
    assert_eq!(scene.got[&0].offsets, (100..120).collect::<Vec<_>>());
    scene.park([parked(5, 99)]).await?;
    let passed = |scene: &Scene<'_>| scene.got[&0].scanned_to == 51;
    scene.until("passing another's record", passed).await?;
    scene.shut_down().await
}

#[tokio::test]
async fn a_log_that_lost_its_start_is_told_and_read_from_there() -> Result<()> {
    let kafka = Kafka::shared().await?;
    let mut scene = Scene::on(kafka).await?;
    scene.park((0..100).map(|n| parked(0, n))).await?;
    kafka.delete_records(&scene.topic, 0, 40).await?;
    scene.begin(0, 7, 1 << 20)?;
    let all = |scene: &Scene<'_>| scene.got[&0].scanned_to == 100;
    scene.until("the end", all).await?;
    assert_eq!(scene.got[&0].cuts, [40]);
    assert_eq!(scene.got[&0].offsets, (40..100).collect::<Vec<_>>());
    scene.shut_down().await
}

#[tokio::test]
async fn a_log_that_ends_before_what_was_asked_is_read_again() -> Result<()> {
    let mut scene = Scene::on(Kafka::shared().await?).await?;
    scene.park((0..10).map(|n| parked(0, n))).await?;
    scene.begin(0, 500, 1 << 20)?;
    let all = |scene: &Scene<'_>| scene.got[&0].offsets.len() == 10;
    scene.until("all", all).await?;
    assert_eq!(scene.got[&0].cuts, [0]);
    scene.shut_down().await
}

#[tokio::test]
async fn ends_of_buckets_are_told_and_known() -> Result<()> {
    let mut scene = Scene::on(Kafka::shared().await?).await?;
    scene.park((0..10).map(|n| parked(0, n))).await?;
    for (bucket, number) in [(0, 0), (1, 1)] {
        let ticket = Ticket {
            slot: 0,
            lane: None,
            number,
        };
        scene.handle.ask(Scan::Bucket {
            ticket,
            shard: 0,
            bucket,
        })?;
    }
    let both = |scene: &Scene<'_>| scene.ends.len() == 2;
    scene.until("both ends", both).await?;
    assert_eq!(scene.ends, BTreeMap::from([(0, 10), (1, 0)]));
    assert_eq!(scene.handle.ends().at_least(0), 10);
    scene.shut_down().await
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_skipped_and_counted() -> Result<()> {
    let mut scene = Scene::on(Kafka::shared().await?).await?;
    let events = [parked(0, 0), Event::new("foreign").to(0), parked(0, 1)];
    scene.park(events).await?;
    scene.begin(0, 0, 1 << 20)?;
    let all = |scene: &Scene<'_>| scene.got[&0].scanned_to == 3;
    scene.until("the end", all).await?;
    assert_eq!(scene.got[&0].offsets, [0, 1]);
    let unreadable = scene.handle.unreadable();
    assert_eq!(unreadable.load(Ordering::Relaxed), 1);
    scene.shut_down().await
}

#[tokio::test]
async fn a_broker_that_is_restarted_during_a_scan_loses_and_repeats_nothing() -> Result<()> {
    let kafka = Kafka::cluster(1).await?;
    let mut scene = Scene::on(&kafka).await?;
    let records = 100_000;
    scene.park((0..records).map(|n| parked(0, n))).await?;
    scene.begin(0, 0, 1 << 20)?;
    for stage in [20_000, 60_000] {
        let some = |scene: &Scene<'_>| scene.got[&0].offsets.len() >= stage;
        scene.until("a part", some).await?;
        kafka.brokers()[0].restart().await?;
    }
    let all = |scene: &Scene<'_>| scene.got[&0].scanned_to == records;
    scene.until("all", all).await?;
    assert_eq!(scene.got[&0].offsets, (0..records).collect::<Vec<_>>());

    // While it is away, nothing is known; what was asked is answered later.
    kafka.brokers()[0].kill().await?;
    let ticket = Ticket {
        slot: 0,
        lane: None,
        number: 9,
    };
    scene.handle.ask(Scan::Bucket {
        ticket,
        shard: 0,
        bucket: 0,
    })?;
    kafka.brokers()[0].start().await?;
    let told = |scene: &Scene<'_>| scene.ends.get(&9) == Some(&records);
    scene.until("the end", told).await?;
    eventually("known ends", SOON, async || {
        let end = scene.handle.ends().at_least(0);
        ensure!(end == records, "{end}");
        Ok(())
    })
    .await?;
    scene.shut_down().await
}
