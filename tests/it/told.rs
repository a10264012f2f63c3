//! What a worker tells about itself: on its page and in its log.

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{eventually, worker::Worker};
use serde_json::Value;

use crate::site::SOON;

/// In its log when the group has taken its partitions away without asking.
pub(crate) const LOST: &str = "the assignment was lost";

/// In its log when it gives partitions back in order.
pub(crate) const LETTING_GO: &str = "letting partitions go";

/// A target as the worker reports it.
pub(crate) async fn target(worker: &Worker, name: &str) -> Result<Value> {
    let text = worker.page(&format!("/targets/default/{name}")).await?;
    serde_json::from_str(&text).with_context(|| format!("target {name} is no JSON: {text}"))
}

/// Waits until the field of a target at `pointer` (RFC 6901) has this value, and returns the target.
pub(crate) async fn shows(
    worker: &Worker,
    name: &str,
    pointer: &str,
    value: impl Into<Value>,
) -> Result<Value> {
    let value = value.into();
    eventually(&format!("{pointer} {value} of {name}"), SOON, async || {
        let target = target(worker, name).await?;
        let seen = target.pointer(pointer);
        ensure!(seen == Some(&value), "{seen:?} of {target}");
        Ok(target)
    })
    .await
    .with_context(|| worker.process().tail())
}

/// How often a worker has given partitions back in order.
pub(crate) fn times_let_go(worker: &Worker) -> Result<usize> {
    Ok(worker.output()?.matches(LETTING_GO).count())
}

/// How many partitions a worker owns.
pub(crate) async fn owned(worker: &Worker) -> Result<usize> {
    let page = worker.targets().await?;
    let partitions = page["source"]["partitions"].as_array();
    Ok(partitions.context("no partitions on the page")?.len())
}

/// Waits until a worker owns this many partitions or more.
pub(crate) async fn owns(worker: &Worker, at_least: usize) -> Result<()> {
    let what = format!("{at_least} partitions of worker {}", worker.process().pid());
    eventually(&what, SOON, async || {
        let owned = owned(worker).await?;
        ensure!(owned >= at_least, "owns {owned}");
        Ok(())
    })
    .await
    .with_context(|| worker.process().tail())
}
