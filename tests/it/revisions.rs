//! Two workers with a directory each, which a roll-out reaches one after the other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    check::Expected, eventually, kafka::Event, receiver::Receiver, worker::Worker,
};
use serde_json::{Value, json};

use crate::{
    manifest::Manifest,
    ownership::from_the_first,
    scene::delivered,
    site::{SOON, Site},
    told::{owns, shows},
};

const PARTITIONS: i32 = 4;

/// The partitions that a worker owns, each with the revision that it lacks.
async fn partitions(worker: &Worker) -> Result<BTreeMap<i32, Value>> {
    let report = worker.targets().await?;
    let partitions = report["source"]["partitions"].as_array().cloned();
    let partitions = partitions.unwrap_or_default().into_iter();
    let number = |one: &Value| one["partition"].as_i64().unwrap_or(-1) as i32;
    Ok(partitions
        .map(|one| (number(&one), one["lacks"].clone()))
        .collect())
}

/// Waits until the worker owns all partitions, and lacks a revision for all but its `own`.
async fn waits_for(worker: &Worker, revision: &str, own: &[i32]) -> Result<()> {
    eventually("the partitions that it must not run", SOON, async || {
        let found = partitions(worker).await?;
        let is_right = |(number, lacks): (&i32, &Value)| {
            let expected = (!own.contains(number)).then_some(revision);
            *lacks == json!(expected)
        };
        let all = found.len() == PARTITIONS as usize && found.iter().all(is_right);
        ensure!(all, "{found:?}, its own are {own:?}");
        Ok(())
    })
    .await
    .with_context(|| worker.process().tail())
}

/// A topic, a target that all know, and one that comes with the second revision.
struct RollOut {
    newer: Site<'static>,
    older: Site<'static>,
    topic: String,
    first: Receiver,
    second: Receiver,
    expected: Expected,
}

impl RollOut {
    async fn new() -> Result<Self> {
        let newer = Site::new("revisions").await?;
        let story = Self {
            older: newer.another()?,
            topic: newer.topic(PARTITIONS as usize).await?,
            newer,
            first: Receiver::start()?,
            second: Receiver::start()?,
            expected: Expected::default(),
        };
        for site in [&story.newer, &story.older] {
            let url = story.first.url("/");
            site.put(&Manifest::new("first", &story.topic, &url))?;
            site.write("revision", "1:1\n")?;
        }
        Ok(story)
    }

    /// Writes some events to each partition.
    async fn produce(&mut self) -> Result<()> {
        let event = |n| Event::new(format!("{{\"n\":{n}}}")).to(n % PARTITIONS);
        let events = (0..10 * PARTITIONS).map(event);
        let produced = self.newer.kafka.produce(&self.topic, events).await?;
        self.expected.add_produced(&self.topic, &produced);
        Ok(())
    }

    /// The second revision reaches a worker.
    async fn reach(&self, site: &Site<'_>, worker: &Worker) -> Result<()> {
        let manifest = Manifest::new("second", &self.topic, &self.second.url("/"));
        site.put(&manifest.with("startFrom", json!("Latest")))?;
        site.write("revision", "1:2\n")?;
        shows(worker, "second", "/state", "UP").await?;
        Ok(())
    }

    async fn committed(&self) -> Result<BTreeMap<i32, Option<i64>>> {
        let group = self.newer.group();
        self.newer.kafka.committed(&group, &self.topic).await
    }

    /// Waits until everything of these partitions is committed.
    async fn all_committed(&self, partitions: &[i32]) -> Result<()> {
        let ends = self.newer.kafka.ends(&self.topic).await?;
        eventually("the commit of what may be run", SOON, async || {
            let committed = self.committed().await?;
            let is_done = |one: &i32| committed[one] == Some(ends[one]);
            ensure!(partitions.iter().all(is_done), "{committed:?} of {ends:?}");
            Ok(())
        })
        .await
    }

    /// Waits until the second target has something of so many partitions.
    async fn second_has_begun(&self, partitions: usize) -> Result<()> {
        eventually("events of its partitions", SOON, async || {
            let transactions = self.second.accepted()?;
            let events = transactions.iter().flat_map(|sent| &sent.events);
            let found: BTreeSet<i32> = events.map(|event| event.partition).collect();
            ensure!(found.len() == partitions, "only of {found:?}");
            Ok(())
        })
        .await
    }

    /// Waits until nothing is missing, and looks whether everything came in order.
    async fn ends_well(&self) -> Result<()> {
        let verdict = delivered(&self.first, &self.expected).await?;
        ensure!(verdict.violations.is_empty(), "{verdict}");
        let ends = self.newer.kafka.ends(&self.topic).await?;
        eventually("the new target has caught up", SOON, async || {
            let expected = from_the_first(&self.second, &self.topic, &ends)?;
            let verdict = expected.compare(&self.second.accepted()?);
            ensure!(verdict.delivered == expected.events(), "{verdict}");
            ensure!(verdict.violations.is_empty(), "{verdict}");
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn a_worker_with_an_older_revision_passes_no_event_of_a_target_that_it_does_not_know()
-> Result<()> {
    let mut story = RollOut::new().await?;
    let updated = story.newer.worker().start().await?;
    let behind = story.older.worker().start().await?;
    owns(&updated, 2).await?;
    owns(&behind, 2).await?;
    story.produce().await?;
    delivered(&story.first, &story.expected).await?;
    story.reach(&story.newer, &updated).await?;
    story.produce().await?;
    story.second_has_begun(2).await?;
    let own: Vec<i32> = partitions(&behind).await?.into_keys().collect();
    updated.process().kill()?;

    // The other gets its partitions, and leaves them alone.
    waits_for(&behind, "1:2", &own).await?;
    let metrics = behind.metrics().await?;
    let waiting = metrics.sum("parcelhook_worker_partition_behind", &[]);
    assert_eq!(waiting, Some(2.0));
    let before = story.committed().await?;
    story.produce().await?;
    story.all_committed(&own).await?;
    let after = story.committed().await?;
    for partition in (0..PARTITIONS).filter(|one| !own.contains(one)) {
        assert_eq!(after[&partition], before[&partition], "{partition}");
    }

    // The roll-out reaches it, too.
    story.reach(&story.older, &behind).await?;
    story.produce().await?;
    story.ends_well().await?;
    let report = behind.targets().await?;
    assert_eq!(
        (&report["revision"], &report["lacks"]),
        (&json!("1:2"), &json!(null))
    );
    Ok(())
}
