//! The receiver: a process of its own, so that its cost is nobody's, that gives the same answer to
//! everything and counts the events that it took exactly.

mod latencies;
mod serve;
mod tally;

pub(crate) use latencies::Latencies;
pub(crate) use serve::{Mood, Settings, serve};
pub(crate) use tally::Counts;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    fetch,
    process::{Launch, Process},
};
use serde::de::DeserializeOwned;

use crate::load::Shape;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(30);

/// A running receiver. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    process: Process,
}

impl Receiver {
    /// Starts one for events of this shape that takes all, and answers after `delay`.
    pub(crate) async fn start(shape: Shape, delay: Duration) -> Result<Self> {
        Self::launch(shape, &[format!("--delay-ms={}", delay.as_millis())]).await
    }

    /// Starts one that takes all, and listens at `address`.
    pub(crate) async fn start_at(shape: Shape, address: SocketAddr) -> Result<Self> {
        Self::launch(shape, &[format!("--listen={address}")]).await
    }

    /// Starts one that answers in this way.
    pub(crate) async fn start_as(shape: Shape, mood: Mood) -> Result<Self> {
        Self::launch(shape, &[format!("--mood={}", mood.name())]).await
    }

    async fn launch(shape: Shape, arguments: &[String]) -> Result<Self> {
        let process = Launch::new("receiver", std::env::current_exe()?)
            .arg("receive")
            .arg(format!("--event-bytes={}", shape.event_bytes))
            .args(arguments)
            .start()?;
        let line = process.says(serve::LISTENING, START).await?;
        let (_, address) = line
            .split_once(serve::LISTENING)
            .context("no address in the receiver's first line")?;
        let address = address.trim().parse().context("read its address")?;
        Ok(Self { address, process })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted up to now.
    pub(crate) async fn counts(&self) -> Result<Counts> {
        self.ask(serve::COUNTS).await
    }

    /// How long the stamped events were under way that came since this was last asked.
    pub(crate) async fn latencies(&self) -> Result<Latencies> {
        self.ask(serve::LATENCIES).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let page = fetch::get(self.address, path).await?;
        let tail = || self.process.tail();
        ensure!(page.status.is_success(), "{}: {}", page.status, tail());
        serde_json::from_str(&page.body).with_context(|| format!("read the receiver's {path}"))
    }
}
