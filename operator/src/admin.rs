//! The admin port: `/livez`, `/readyz`, `/metrics`.
//!
//! Ready means that all targets were listed, whether this operator leads or not: a follower with warm
//! caches is what a leader is replaced with. Neither probe depends on Kafka or on a target.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::{CONTENT_TYPE, Metrics};

/// How long an answer that is under way may take at the end.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// The admin port cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on admin address {address}: {source}; choose another with --admin-listen")]
pub struct AdminError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The open admin port, not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Opens the port.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let refused = |source| AdminError { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        stop: impl Future<Output = ()> + Clone + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(rendered))
            .with_state(metrics);
        let serving = axum::serve(self.listener, router).with_graceful_shutdown(stop.clone());
        tokio::select! {
            served = serving.into_future() => served,
            () = async { stop.await; tokio::time::sleep(LAST_ANSWER).await } => Ok(()),
        }
    }
}

async fn ready(State(metrics): State<Arc<Metrics>>) -> Response {
    if metrics.synced.get() == 1 {
        "ok\n".into_response()
    } else {
        let why = "not ready: the targets were not listed yet\n";
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

async fn rendered(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
