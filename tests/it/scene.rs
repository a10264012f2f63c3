//! A [`Site`] with one topic and the record of all that was produced to it: for tests that compare the
//! record with what receivers saw.
//!
//! Every wait is for a thing itself and is bounded by [`SOON`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::{EventId, Expected, Verdict},
    eventually,
    kafka::{Access, Event, Kafka, Produced},
    receiver::Receiver,
    worker::{Settings, Worker},
};
use serde_json::{Value, json};

use crate::{
    manifest::Manifest,
    site::{SOON, Site},
};

/// The pause between two portions of flowing events. It sets the load and decides nothing.
const PORTIONS: Duration = Duration::from_millis(40);

/// See the module.
pub(crate) struct Scene<'k> {
    pub(crate) kafka: &'k Kafka,
    pub(crate) topic: String,
    site: Site<'k>,
    produced: Mutex<Produced>,
}

impl Scene<'static> {
    /// A scene on the shared broker.
    pub(crate) async fn new(name: &str, partitions: usize) -> Result<Self> {
        Scene::on(Kafka::shared().await?, name, partitions, &[]).await
    }
}

impl<'k> Scene<'k> {
    /// A scene on `kafka`; `config` holds properties of the topic.
    pub(crate) async fn on(
        kafka: &'k Kafka,
        name: &str,
        partitions: usize,
        config: &[(&str, &str)],
    ) -> Result<Self> {
        let site = Site::on(kafka, name)?;
        Ok(Self {
            kafka,
            topic: kafka.create_topic(name, partitions, config).await?,
            site,
            produced: Mutex::default(),
        })
    }

    /// Writes the manifest of target `name`: all events of the topic, with the fields of `spec` besides.
    pub(crate) fn target(&self, name: &str, url: &str, spec: &Value) -> Result<()> {
        let fields = spec.as_object().context("a spec is an object")?;
        let manifest = Manifest::new(name, &self.topic, url);
        let set = |manifest: Manifest, (field, value): (&String, &Value)| {
            manifest.with(field, value.clone())
        };
        self.site.put(&fields.iter().fold(manifest, set))
    }

    /// A receiver, and a target that sends all events to it.
    pub(crate) fn receiver(&self, name: &str) -> Result<Receiver> {
        let receiver = Receiver::builder().compact().start()?;
        self.target(name, &receiver.url("/"), &json!({}))?;
        Ok(receiver)
    }

    /// The settings of one more worker of the group.
    pub(crate) fn settings(&self) -> Settings {
        self.site.worker()
    }

    /// The settings of one more worker of the group, which comes to Kafka in this way.
    pub(crate) fn settings_by(&self, access: Access) -> Settings {
        self.site.worker_by(access)
    }

    /// Starts one more worker of the group.
    pub(crate) async fn worker(&self) -> Result<Worker> {
        self.settings().start().await
    }

    /// Produces and remembers what was produced.
    pub(crate) async fn produce(
        &self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Produced> {
        let produced = self.kafka.produce(&self.topic, events).await?;
        self.produced().extend(produced.clone());
        Ok(produced)
    }

    /// Produces `count` small events to each of the partitions 0 to `partitions` − 1.
    pub(crate) async fn produce_to_each(&self, partitions: i32, count: usize) -> Result<Produced> {
        let events = (0..count).flat_map(|n| {
            (0..partitions).map(move |partition| Event::new(format!("{{\"n\":{n}}}")).to(partition))
        });
        self.produce(events).await
    }

    /// Produces to every partition, portion after portion, until `story` has come to its end.
    pub(crate) async fn while_events_flow<T>(
        &self,
        partitions: i32,
        story: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let ended = AtomicBool::new(false);
        let flow = async {
            while !ended.load(Ordering::Relaxed) {
                self.produce_to_each(partitions, 4).await?;
                tokio::time::sleep(PORTIONS).await;
            }
            anyhow::Ok(())
        };
        let story = async {
            let told = story.await;
            ended.store(true, Ordering::Relaxed);
            told
        };
        let (flown, told) = tokio::join!(flow, story);
        let told = told?;
        flown?;
        Ok(told)
    }

    /// All that was produced so far.
    pub(crate) fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        expected.add_produced(&self.topic, &self.produced());
        expected
    }

    /// Waits until `receiver` has accepted everything that was produced before this call.
    pub(crate) async fn caught_up(&self, receiver: &Receiver) -> Result<Verdict> {
        delivered(receiver, &self.expected()).await
    }

    /// The group's name in Kafka.
    pub(crate) fn group(&self) -> String {
        self.site.group()
    }

    /// What the group has committed, by partition.
    pub(crate) async fn committed(&self) -> Result<BTreeMap<i32, Option<i64>>> {
        self.kafka.committed(&self.group(), &self.topic).await
    }

    /// The offset after the last event of each partition.
    pub(crate) async fn ends(&self) -> Result<BTreeMap<i32, i64>> {
        self.kafka.ends(&self.topic).await
    }

    /// Waits until the group has committed everything up to the ends of the logs.
    pub(crate) async fn all_committed(&self) -> Result<()> {
        let ends = self.ends().await?;
        eventually("all events committed", SOON, async || {
            let committed = self.committed().await?;
            let all = ends.iter().all(|(id, end)| committed[id] == Some(*end));
            ensure!(all, "committed {committed:?} of {ends:?}");
            Ok(())
        })
        .await
    }

    fn produced(&self) -> MutexGuard<'_, Produced> {
        self.produced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until `receiver` has accepted all of `expected`.
pub(crate) async fn delivered(receiver: &Receiver, expected: &Expected) -> Result<Verdict> {
    eventually("all events delivered", SOON, async || {
        let verdict = expected.compare(&receiver.accepted()?);
        ensure!(verdict.delivered == expected.events(), "{verdict}");
        Ok(verdict)
    })
    .await
}

/// Events that a receiver accepted more than once, each with the number of the request that brought it
/// first and of one that brought it again.
pub(crate) fn repeated(receiver: &Receiver) -> Result<Vec<(EventId, u64, u64)>> {
    let mut first: HashMap<EventId, u64> = HashMap::new();
    let mut repeated = Vec::new();
    for transaction in receiver.accepted()? {
        for event in transaction.events {
            let request = *first.entry(event.clone()).or_insert(transaction.request);
            if request != transaction.request {
                repeated.push((event, request, transaction.request));
            }
        }
    }
    Ok(repeated)
}
