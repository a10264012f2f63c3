//! Who writes: one of several operators, by a Lease.
//!
//! [`elector`] decides, and is pure; [`run`] asks and writes as it says. Everything that a leader writes
//! is recomputed from what is there and replaced only as it was read, so that two leaders for a moment
//! do no harm; the Lease keeps them from working against each other for longer.

pub mod elector;

use std::future::Future;
use std::time::Instant;

use tokio::sync::watch;

use crate::clock;
use crate::cluster::Cluster;
use elector::{Elector, Step, Timing, Written};

/// Until when this one leads; none while it does not. Whoever writes compares it with the clock first.
pub type Leading = watch::Receiver<Option<Instant>>;

/// Takes part in the election until `stop` resolves, and gives the Lease away then.
pub async fn run(
    cluster: Cluster,
    identity: String,
    leading: watch::Sender<Option<Instant>>,
    stop: impl Future<Output = ()>,
) {
    let timing = Timing::default();
    let mut elector = Elector::new(&identity, timing, clock::now());
    tokio::pin!(stop);
    loop {
        // A request is never cut off: what it did would not be known when the Lease is given away.
        match elector.next(clock::now()) {
            Step::Wait(until) => tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep_until(until.into()) => {}
            },
            Step::Read => match cluster.lease().await {
                Ok(lease) => elector.on_read(lease, clock::now()),
                Err(error) => {
                    tracing::warn!(%error, "who leads is not known");
                    elector.on_unread(clock::now());
                }
            },
            Step::Write(write) => {
                let written = cluster.write_lease(&write, timing, clock::unix_millis());
                elector.on_written(written.await, clock::now());
            }
        }
        tell(&leading, &elector);
    }
    let held = elector.release(clock::now());
    leading.send_replace(None);
    if let Some(write) = held {
        match cluster
            .write_lease(&write, timing, clock::unix_millis())
            .await
        {
            Written::Accepted(_) => tracing::info!("the Lease is released"),
            Written::Conflict | Written::Unknown => {
                tracing::warn!(
                    "the Lease could not be released; another takes over in {} s",
                    timing.lease.as_secs()
                );
            }
        }
    }
}

fn tell(leading: &watch::Sender<Option<Instant>>, elector: &Elector) {
    let now = clock::now();
    let until = elector.leads_until().filter(|until| now < *until);
    leading.send_if_modified(|known| {
        let changed = *known != until;
        let turned = known.is_some() != until.is_some();
        *known = until;
        if turned {
            tracing::info!(leads = until.is_some(), "the election has decided");
        }
        changed
    });
}
