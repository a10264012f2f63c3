//! Brokers that go away and come back while events flow.

use anyhow::Result;
use parcelhook_env::kafka::Kafka;

use crate::{scene::Scene, site::SOON, told::LOST};

#[tokio::test]
async fn a_worker_goes_on_when_its_broker_comes_back() -> Result<()> {
    let kafka = Kafka::cluster(1).await?;
    let scene = Scene::on(&kafka, "broker", 3, &[]).await?;
    let receiver = scene.receiver("all")?;
    let settings = scene.settings();
    let worker = settings
        .flag("--kafka-properties", "session.timeout.ms=6000")
        .start()
        .await?;
    let broker = &kafka.brokers()[0];
    let story = async {
        scene.caught_up(&receiver).await?;
        broker.restart().await?;
        scene.caught_up(&receiver).await?;

        broker.kill().await?;
        broker.start().await?;
        scene.caught_up(&receiver).await?;

        // Away for longer than the session: the worker gives its partitions up, and joins again.
        broker.stop().await?;
        worker.process().says(LOST, SOON).await?;
        broker.start().await?;
        scene.caught_up(&receiver).await?;
        Ok(())
    };
    scene.while_events_flow(3, story).await?;
    scene.caught_up(&receiver).await?.kept()?;
    worker.ready(SOON).await?;
    scene.all_committed().await?;
    assert_eq!(worker.stop(SOON).await?.code(), Some(0));
    Ok(())
}
