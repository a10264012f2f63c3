//! A worker group of three, of which one is killed.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use parcelhook_env::{check::Expected, eventually, kafka::Event, receiver::Receiver};

use super::{
    release::Release,
    shown::{self, Names},
};
use crate::{manifest::Manifest, site::SOON, told::owns};

const PARTITIONS: i32 = 6;

/// Events of each partition, before and after.
const EVENTS: i32 = 20;

/// The consumer group notices the death of a member.
const SESSION: &str = "session.timeout.ms=6000";

#[tokio::test]
async fn two_of_three_workers_go_on_where_a_killed_one_stopped_and_nobody_need_know() -> Result<()>
{
    let release = Release::new("trio").await?;
    let topic = release
        .kafka
        .create_topic("trio", PARTITIONS as usize, &[])
        .await?;
    let receiver = Receiver::builder().compact().start()?;
    let names = Names::of(&release);
    let _operator = release.operator().await?;
    release
        .apply(&Manifest::new("hook", &topic, &receiver.url("/")))
        .await?;
    let settings = release.worker().await?.flag("--kafka-properties", SESSION);
    let workers = try_join_all((0..3).map(|_| settings.clone().start())).await?;
    release.shows("hook", "Ready", "True Ready").await?;
    for worker in &workers {
        owns(worker, 2).await?;
    }
    let mut expected = Expected::default();
    let mut produce = async || {
        let events = (0..EVENTS * PARTITIONS)
            .map(|n| Event::new(format!("{{\"n\":{n}}}")).to(n % PARTITIONS));
        let produced = release.kafka.produce(&topic, events).await?;
        expected.add_produced(&topic, &produced);
        anyhow::Ok(())
    };
    produce().await?;
    release
        .shows("hook", "Available", "True Delivering")
        .await?;
    let before = shown::get(&release, &names, &[]).await?;
    let (killed, rest) = workers.split_first().context("no worker")?;
    killed.kill().await?;
    produce().await?;
    eventually("every event in order", SOON, async || {
        expected.compare(&receiver.accepted()?).kept()
    })
    .await?;
    for worker in rest {
        owns(worker, 3).await?;
    }
    let after = shown::get(&release, &names, &[]).await?;
    insta::assert_snapshot!(
        "trio",
        format!("# three workers\n{before}\n# two of them\n{after}")
    );
    Ok(())
}
