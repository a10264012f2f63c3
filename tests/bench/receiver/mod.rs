//! The receiver: a process of its own, so that its cost is nobody's, that answers 200 to
//! everything and counts events exactly.

mod serve;
mod tally;

pub(crate) use serve::{Settings, serve};
pub(crate) use tally::Counts;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    fetch,
    process::{Launch, Process},
};

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
    /// Starts one for events of this shape that answers after `delay`.
    pub(crate) async fn start(shape: Shape, delay: Duration) -> Result<Self> {
        let process = Launch::new("receiver", std::env::current_exe()?)
            .arg("receive")
            .arg(format!("--event-bytes={}", shape.event_bytes))
            .arg(format!("--delay-ms={}", delay.as_millis()))
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
        let page = fetch::get(self.address, serve::COUNTS).await?;
        let tail = || self.process.tail();
        ensure!(page.status.is_success(), "{}: {}", page.status, tail());
        serde_json::from_str(&page.body).context("read the receiver's counts")
    }
}
