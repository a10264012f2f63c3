//! Connections of the admin port, bounded in number and in age.
//!
//! Owns the permits. A client that sends its request byte by byte, or never reads the answer, holds a
//! connection no longer than its age allows, so it cannot keep the probes out for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections at once: some scrapers, probes and people. Further ones wait in the backlog.
const MAX_CONNECTIONS: usize = 64;

/// Age at which a connection is closed. Longer than any answer takes; a scraper connects anew.
const MAX_AGE: Duration = Duration::from_secs(60);

/// A listener that accepts while it has permits.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    max_age: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::with_bounds(listener, MAX_CONNECTIONS, MAX_AGE)
    }

    fn with_bounds(listener: TcpListener, max_connections: usize, max_age: Duration) -> Self {
        Self {
            listener,
            permits: Arc::new(Semaphore::new(max_connections)),
            max_age,
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; if it were, the connection would go on without a permit.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        // The trait's own accept waits out errors such as too many open files.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            expires: Box::pin(tokio::time::sleep(self.max_age)),
            _permit: permit,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection; gives its permit back when dropped.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    expires: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn check_age(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.expires.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_age(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_age(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn bounded(max_connections: usize, max_age: Duration) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded::with_bounds(listener, max_connections, max_age);
        (bounded, address)
    }

    #[tokio::test]
    async fn a_connection_that_is_too_old_is_closed() {
        let (mut bounded, address) = bounded(1, Duration::ZERO).await;
        let _client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = Listener::accept(&mut bounded).await;
        let error = connection.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_next_connection_waits_for_a_permit() {
        let (mut bounded, address) = bounded(1, MAX_AGE).await;
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let (held, _) = Listener::accept(&mut bounded).await;
        {
            let mut next = std::pin::pin!(Listener::accept(&mut bounded));
            assert!(futures::poll!(next.as_mut()).is_pending());
        }
        assert_eq!(bounded.permits.available_permits(), 0);
        drop(held);
        let _next = Listener::accept(&mut bounded).await;
    }
}
