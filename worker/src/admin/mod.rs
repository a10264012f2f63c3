//! The admin port: probes, metrics, and the targets as JSON and as a page. It reads; the one thing it
//! does is to have a target tried again at once, which harms nobody.
//!
//! Owns one listening socket and one small thread, so a busy shard delays no probe and a slow reader
//! of the page delays no event. It keeps no state: each answer is made from a report gathered for
//! it, bounded in time and in number. The shapes are documented in `docs/admin.md`.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};

use uuid::Uuid;

use crate::background::{Background, StartError, Task};
use crate::report::WorkerReport;

#[cfg(test)]
pub(crate) mod fixture;
mod html;
mod listener;
mod negotiate;
mod page;
mod problem;
mod readiness;
mod routes;
#[cfg(test)]
mod tests;
mod units;
mod view;

use listener::Bounded;

/// Gives what the admin port shows.
pub trait Reporter: Send + Sync + 'static {
    /// Gathers the report of all shards and of the consumer. It may take its time or be dropped: the
    /// admin port waits no longer than two seconds.
    fn report(&self) -> impl Future<Output = WorkerReport> + Send;

    /// Has everything of a target that waits for its next attempt tried now.
    fn retry(&self, target: Uuid) -> impl Future<Output = ()> + Send;
}

/// The admin port could not be opened or served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, or not ours.
    #[error(
        "cannot listen on admin address {address}: {source}; choose another with --admin-listen"
    )]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The thread did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The open admin port, not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Opens the port, so that a bad address ends the start and port 0 gets its number.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        open().map_err(|source| AdminError::Listen { address, source })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves; answers that are under way are finished.
    ///
    /// # Errors
    /// When the thread does not start.
    pub fn serve<R: Reporter>(
        self,
        background: &Background,
        reporter: R,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Task, AdminError> {
        let Self { listener, address } = self;
        let router = routes::router(reporter, background.clone());
        let task = background.runtime("admin", move || async move {
            let listener = Bounded::new(tokio::net::TcpListener::from_std(listener)?);
            axum::serve(listener, router)
                .with_graceful_shutdown(stop)
                .await
        })?;
        tracing::info!(%address, "admin listening on {address}");
        Ok(task)
    }
}
