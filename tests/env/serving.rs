//! A server on a thread of its own, which ends when its handle is dropped.
//!
//! Not on the test's runtime: a test that blocks, or whose runtime has one thread, must not slow
//! down or silence the servers it measures.

use std::{
    future::Future,
    net::TcpListener,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use tokio::{sync::oneshot, task::JoinSet};

/// A running server.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Accepts connections on `listener` and runs `connection` for each, all at once, until the
    /// handle is dropped. Connections are numbered from 0 in the order of their acceptance.
    pub(crate) fn start<F>(
        name: &str,
        listener: TcpListener,
        connection: impl Fn(u64, tokio::net::TcpStream) -> F + Send + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        listener
            .set_nonblocking(true)
            .context("make the listener asynchronous")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("make a runtime")?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).context("hand over the listener")?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, connection) => {}
                        _ = stopped => {}
                    }
                });
            })
            .with_context(|| format!("start the thread of {name}"))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Never ends by itself; dropped, it closes the listener and every connection.
async fn accept<F>(
    listener: tokio::net::TcpListener,
    connection: impl Fn(u64, tokio::net::TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is that of one connection, which its client gave up before we took it.
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(number, stream));
                number += 1;
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread has ended already when nobody listens.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the server was printed by its thread; dropping must not panic again.
            let _ = thread.join();
        }
    }
}
