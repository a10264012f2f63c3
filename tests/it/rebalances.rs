//! A storm of rebalances: workers join and leave, also before they have settled, while events flow.

use anyhow::{Context as _, Result};
use parcelhook_env::{
    process::Process,
    receiver::{Answer, Gate, Receiver},
};

use crate::{
    scene::Scene,
    site::SOON,
    told::{LETTING_GO, owns},
};

const PARTITIONS: i32 = 4;

/// Joins and departures.
const STEPS: u32 = 14;

/// Requests that the receiver sees between two of them: some progress, but no rest.
const BETWEEN: usize = 12;

/// Most workers that a storm has at a time, besides the one that stays.
const GUESTS: usize = 3;

/// A fixed sequence that looks like chance (an xorshift generator), so that every run is the same.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % sides
    }
}

async fn storm(scene: &Scene<'_>, receiver: &Receiver) -> Result<()> {
    let mut dice = Dice(2_463_534_242);
    let mut guests: Vec<Process> = Vec::new();
    for _ in 0..STEPS {
        let joins = guests.is_empty() || (guests.len() < GUESTS && dice.roll(2) == 0);
        if joins {
            guests.push(scene.settings().launch()?);
        } else {
            let guest = guests.swap_remove(dice.roll(guests.len()));
            // Whether it has settled or only just begun is chance; but it must know the signal.
            guest.says("partition assigned", SOON).await?;
            guest.terminate()?;
            assert_eq!(guest.ended(SOON).await?.code(), Some(0), "{}", guest.tail());
        }
        receiver.arrived(receiver.count() + BETWEEN, SOON).await?;
    }
    for guest in guests {
        guest.says("partition assigned", SOON).await?;
        guest.terminate()?;
        let status = guest.ended(SOON).await?;
        assert_eq!(status.code(), Some(0), "{}", guest.tail());
    }
    Ok(())
}

#[tokio::test]
async fn a_storm_of_rebalances_loses_nothing_repeats_nothing_and_leaves_no_partition_behind()
-> Result<()> {
    let scene = Scene::new("storm", usize::try_from(PARTITIONS)?).await?;
    let receiver = scene.receiver("all")?;
    let resident = scene.worker().await?;
    scene
        .while_events_flow(PARTITIONS, storm(&scene, &receiver))
        .await?;

    owns(&resident, usize::try_from(PARTITIONS)?).await?;
    let last = scene.produce_to_each(PARTITIONS, 10).await?;
    let verdict = scene.caught_up(&receiver).await;
    let verdict = verdict.with_context(|| resident.process().tail())?;
    verdict.kept_exactly_once()?;
    assert_eq!(last.positions.len(), 40);
    scene.all_committed().await
}

/// librdkafka 2.12 joins again in the middle of a revocation when it learns of a new partition there, and
/// is deaf to its group from then on. Where a later one is not, the line that is waited for is missing.
#[tokio::test]
async fn a_partition_added_while_another_is_given_back_does_not_stop_the_group() -> Result<()> {
    let scene = Scene::new("deaf", 3).await?;
    let receiver = scene.receiver("gated")?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    let settings = || {
        [
            "session.timeout.ms=6000",
            "topic.metadata.refresh.interval.ms=200",
        ]
        .into_iter()
        .fold(scene.settings(), |settings, property| {
            settings.flag("--kafka-properties", property)
        })
    };
    let resident = settings().start().await?;
    scene.produce_to_each(3, 5).await?;
    receiver.arrived(3, SOON).await?;

    // Attempts that are not answered make giving back last.
    let guest = settings().start().await?;
    resident.process().says(LETTING_GO, SOON).await?;
    scene.kafka.add_partitions(&scene.topic, 4).await?;
    owns(&guest, 1).await?;
    gate.open();
    guest.stop(SOON).await?;

    let line = "the group goes on without this member";
    resident.process().says(line, SOON).await?;
    scene.produce_to_each(4, 5).await?;
    let verdict = scene.caught_up(&receiver).await;
    verdict.with_context(|| resident.process().tail())?.kept()?;
    owns(&resident, 4).await
}
