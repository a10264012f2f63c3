//! Workers that join, leave, are killed or frozen, and come back while events flow.
//!
//! The receivers judge: first deliveries in offset order, nothing missing, and what comes twice had
//! come before a kill without having been committed before it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use parcelhook_env::{
    check::EventId,
    eventually,
    receiver::{Answer, Gate, Receiver},
    worker::Worker,
};

use crate::{
    scene::{Scene, repeated},
    site::SOON,
    told::{LOST, owns, times_let_go},
};

const PARTITIONS: i32 = 6;

/// Shorter than the default, so that the group soon misses a worker that was killed.
const SESSION: &str = "session.timeout.ms=6000";

/// What was certain at the moment when workers were killed.
struct Kill {
    committed: BTreeMap<i32, Option<i64>>,
    /// Requests that had arrived, by receiver.
    requests: Vec<u64>,
}

/// The workers' scene, and what was done to them.
struct Story<'s> {
    scene: &'s Scene<'static>,
    receivers: &'s [Receiver],
    /// Holds all answers back while it is shut.
    gate: Gate,
    kills: Vec<Kill>,
}

impl Story<'_> {
    async fn joins(&self) -> Result<Worker> {
        joins(self.scene).await
    }

    /// Kills workers at a moment when every lane has sent a transaction and has no answer: there is
    /// something to lose, and nothing more to come from the dead.
    async fn are_killed<const N: usize>(&mut self, workers: [Worker; N]) -> Result<()> {
        self.gate.shut();
        for receiver in self.receivers {
            eventually("a transaction of every lane in flight", SOON, async || {
                let at_once = receiver.at_once();
                ensure!(at_once == u64::from(PARTITIONS.unsigned_abs()), "{at_once}");
                Ok(())
            })
            .await?;
        }
        let committed = self.scene.committed().await?;
        for worker in workers {
            worker.kill().await?;
        }
        let receivers = self.receivers.iter();
        self.kills.push(Kill {
            committed,
            requests: receivers.map(|receiver| receiver.count() as u64).collect(),
        });
        self.gate.open();
        Ok(())
    }

    /// Whoever owns the partitions now delivers all that there is.
    async fn goes_on(&self) -> Result<()> {
        for receiver in self.receivers {
            self.scene.caught_up(receiver).await?;
        }
        Ok(())
    }

    async fn told(&mut self) -> Result<()> {
        let first = self.joins().await?;
        self.goes_on().await?;
        let (second, third) = tokio::try_join!(self.joins(), self.joins())?;
        self.goes_on().await?;
        assert_eq!(second.stop(SOON).await?.code(), Some(0));
        self.are_killed([third]).await?;
        let fourth = self.joins().await?;
        self.goes_on().await?;
        let fifth = self.joins().await?;
        // All at once: nobody is there to take over.
        self.are_killed([first, fourth, fifth]).await?;
        let last = self.joins().await?;
        self.goes_on().await?;
        assert_eq!(last.stop(SOON).await?.code(), Some(0));
        Ok(())
    }

    /// Whether a kill explains that an event came again after it had first come in `request`.
    fn explains(&self, receiver: usize, event: &EventId, request: u64) -> bool {
        self.kills.iter().any(|kill| {
            let committed = kill.committed[&event.partition];
            request < kill.requests[receiver] && committed.is_none_or(|next| event.offset >= next)
        })
    }
}

/// Starts a worker and waits until it has partitions.
async fn joins(scene: &Scene<'_>) -> Result<Worker> {
    let settings = scene.settings().flag("--kafka-properties", SESSION);
    let worker = settings.start().await?;
    owns(&worker, 1).await?;
    Ok(worker)
}

#[tokio::test]
async fn three_workers_that_come_and_go_and_die_lose_nothing_and_keep_the_order() -> Result<()> {
    let scene = Scene::new("crashes", usize::try_from(PARTITIONS)?).await?;
    let receivers = [scene.receiver("one")?, scene.receiver("two")?];
    let gate = Gate::new();
    gate.open();
    for receiver in &receivers {
        receiver.answer(Answer::ok().behind(&gate));
    }
    let mut story = Story {
        scene: &scene,
        receivers: &receivers,
        gate,
        kills: Vec::new(),
    };
    let told = Box::pin(story.told());
    scene.while_events_flow(PARTITIONS, told).await?;

    let _survivor = scene.worker().await?;
    for (number, receiver) in receivers.iter().enumerate() {
        scene.caught_up(receiver).await?.kept()?;
        for (event, request, again) in repeated(receiver)? {
            ensure!(
                story.explains(number, &event, request),
                "{event:?} came in request {request} and again in {again} without a kill"
            );
        }
    }
    scene.all_committed().await
}

#[tokio::test]
async fn a_worker_that_was_frozen_and_replaced_drops_what_it_had_and_joins_again() -> Result<()> {
    let scene = Scene::new("frozen", 2).await?;
    let receiver = scene.receiver("all")?;
    let (one, other) = tokio::try_join!(joins(&scene), joins(&scene))?;
    let story = async {
        scene.caught_up(&receiver).await?;
        one.process().pause()?;
        let let_go = times_let_go(&one)?;
        // What is committed now surely does not come again.
        let committed = scene.committed().await?;
        owns(&other, 2).await?;
        scene.caught_up(&receiver).await?;

        one.process().resume()?;
        one.process().says(LOST, SOON).await?;
        // Until it was told it may have read, and sent, what is another's.
        let ends = scene.ends().await?;
        owns(&one, 1).await?;
        scene.caught_up(&receiver).await?;
        // No grace and no last commit for what is another's.
        assert_eq!(times_let_go(&one)?, let_go);
        Ok((committed, ends))
    };
    let (committed, ends) = scene.while_events_flow(2, story).await?;
    scene.caught_up(&receiver).await?.kept()?;
    for (event, request, again) in repeated(&receiver)? {
        let (next, end) = (committed[&event.partition], ends[&event.partition]);
        ensure!(
            next.is_none_or(|next| event.offset >= next) && event.offset < end,
            "{event:?} came in request {request} and again in {again}; \
             committed {next:?} when the worker was frozen, end {end} when it was told"
        );
    }
    for worker in [one, other] {
        assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    }
    scene.all_committed().await
}
