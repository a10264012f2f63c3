//! The receivers of a run: one for each target, on raw sockets, each with a mood.
//!
//! Every request is told to the witness when it has come, before anything is answered, and every
//! exchange has exactly one end: answered, or cut by one of both sides. A receiver that refuses
//! closes its listener and its connections, and comes back at the same address.

mod decode;
mod http;
mod mood;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use parcelhook_env::network;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub(crate) use self::{
    decode::{Decoder, WORKER_HEADER},
    mood::Mood,
};
use self::{
    http::Request,
    mood::{Asked, Ending, RETRY_AFTER_SECONDS},
};
use crate::{
    judge::{RequestNumber, Seen, Side},
    roster::{DISTURBED, STUBBORN},
    witness::Witness,
};

/// The pause before a listener that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_millis(50);

/// A running receiver; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    task: JoinHandle<()>,
}

/// What all connections of a receiver share.
#[derive(Debug)]
struct Shared {
    decoder: Decoder,
    witness: Arc<Witness>,
    mood: watch::Receiver<Mood>,
    /// Counts the requests of this receiver.
    served: AtomicU64,
}

/// Numbers the requests of all receivers.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl Receiver {
    /// Listens on a host of its own.
    pub(crate) fn start(
        tasks: &tokio::runtime::Handle,
        decoder: Decoder,
        mood: Mood,
        witness: Arc<Witness>,
    ) -> Result<Self> {
        let (listener, address) = network::listen(network::fresh_host())?;
        drop(listener);
        let (mood, moods) = watch::channel(mood);
        let shared = Arc::new(Shared {
            decoder,
            witness,
            mood: moods,
            served: AtomicU64::new(0),
        });
        let task = tasks.spawn(serve(address, shared));
        Ok(Self {
            address,
            mood,
            task,
        })
    }

    /// The URL to deliver to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Behaves so from now on.
    pub(crate) fn behave(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens whenever the mood allows it.
async fn serve(address: SocketAddr, shared: Arc<Shared>) {
    let mut mood = shared.mood.clone();
    // The sender is dropped with the receiver, which ends this task anyway.
    while mood.wait_for(|mood| *mood != Mood::Refusing).await.is_ok() {
        let refused = async {
            // Dropping the borrow at once: the sender must not wait for us.
            drop(mood.wait_for(|mood| *mood == Mood::Refusing).await);
        };
        tokio::select! {
            () = accept(address, &shared) => {}
            () = refused => {}
        }
    }
}

/// Never ends by itself; dropped, it closes the listener and every connection.
async fn accept(address: SocketAddr, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            // Our own connections of before may take a moment to go.
            Err(_) => tokio::time::sleep(OPEN_AGAIN).await,
        }
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is that of one connection, which its client gave up before we took it.
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, Arc::clone(shared)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    // An error is a client that has gone.
    while let Ok(Some(request)) = http::read(&mut stream).await {
        let stays_open = exchange(&mut stream, &shared, &request).await;
        if !matches!(stays_open, Ok(true)) {
            return;
        }
    }
}

/// An exchange that is told to be cut unless it is told to be answered.
struct Exchange<'a> {
    request: RequestNumber,
    shared: &'a Shared,
    /// Who cuts it when it ends now; none when it was answered.
    cut_by: Option<Side>,
}

impl Exchange<'_> {
    fn answered(&mut self, status: u16, retry_after_ms: u64) {
        self.cut_by = None;
        self.shared.witness.see(&Seen::Answered {
            request: self.request,
            status,
            retry_after_ms,
        });
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Some(by) = self.cut_by {
            let request = self.request;
            self.shared.witness.see(&Seen::Cut { request, by });
        }
    }
}

/// Answers a request, or not. Returns whether the connection stays open.
async fn exchange(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
) -> std::io::Result<bool> {
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let mut arrived = match shared.decoder.read(number, request) {
        Ok(arrived) => arrived,
        Err(what) => {
            let target = shared.decoder.target;
            shared.witness.see(&Seen::Foreign { target, what });
            http::answer(stream, 500, "").await?;
            return Ok(false);
        }
    };
    let asked = Asked {
        number: shared.served.fetch_add(1, Ordering::Relaxed),
        since_start: shared.witness.elapsed(),
        is_poison: shared.decoder.is_poison(&arrived),
    };
    let mood = *shared.mood.borrow();
    let reply = mood.reply(asked);
    arrived.processed = reply.processed;
    // Cut by us when this is dropped at any wait below, because the receiver refuses.
    let mut exchange = Exchange {
        request: number,
        shared,
        cut_by: Some(Side::Receiver),
    };
    shared.witness.see(&Seen::Arrived(arrived));
    let gave_up = match (reply.ending, reply.delay) {
        (Ending::Never, _) => {
            http::hung_up(stream).await;
            true
        }
        (_, Duration::ZERO) => false,
        (_, delay) => tokio::time::timeout(delay, http::hung_up(stream))
            .await
            .is_ok(),
    };
    if gave_up || !http::is_there(stream) {
        exchange.cut_by = Some(Side::Worker);
        return Ok(false);
    }
    end(stream, &mut exchange, reply.ending).await
}

/// Ends an exchange whose client is still there. What is told comes before what is sent.
async fn end(
    stream: &mut TcpStream,
    exchange: &mut Exchange<'_>,
    ending: Ending,
) -> std::io::Result<bool> {
    match ending {
        Ending::Status(429) => {
            exchange.answered(429, RETRY_AFTER_SECONDS * 1_000);
            let wait = format!("retry-after: {RETRY_AFTER_SECONDS}\r\n");
            http::answer(stream, 429, &wait).await?;
            Ok(true)
        }
        Ending::Status(status) => {
            exchange.answered(status, 0);
            http::answer(stream, status, "").await?;
            Ok(true)
        }
        Ending::HeadThenReset => {
            exchange.answered(200, 0);
            http::only_head(stream).await?;
            // A zero linger time makes closing a reset.
            stream.set_zero_linger()?;
            Ok(false)
        }
        Ending::HeadThenTrickle => {
            exchange.answered(200, 0);
            http::head_and_trickle(stream).await?;
            Ok(false)
        }
        Ending::HalfALine => {
            http::half_a_line(stream).await?;
            Ok(false)
        }
        Ending::Reset | Ending::Never => {
            stream.set_zero_linger()?;
            Ok(false)
        }
    }
}

/// The receivers of all targets.
#[derive(Debug)]
pub(crate) struct Receivers(Vec<Receiver>);

impl Receivers {
    /// Starts one for each target, behaving as the roster says.
    pub(crate) fn start(
        source: crate::source::Source,
        topics: &std::collections::BTreeMap<String, u8>,
        witness: &Arc<Witness>,
    ) -> Result<Self> {
        let tasks = tokio::runtime::Handle::current();
        let receivers = crate::roster::all().map(|(target, named)| {
            let decoder = Decoder {
                source,
                topics: topics.clone(),
                target,
            };
            Receiver::start(&tasks, decoder, named.mood, Arc::clone(witness))
        });
        Ok(Self(receivers.collect::<Result<_>>()?))
    }

    /// That of a target.
    pub(crate) fn of(&self, target: u8) -> Result<&Receiver> {
        let receiver = self.0.get(usize::from(target));
        receiver.with_context(|| format!("no target {target}"))
    }

    /// Lets all behave well, or all but the one that refuses events for good.
    pub(crate) fn calm(&self, stubborn_too: bool) {
        for (target, receiver) in (0..).zip(&self.0) {
            if stubborn_too || target != STUBBORN {
                receiver.behave(Mood::Healthy);
            }
        }
    }

    /// Lets all hang that faults disturb.
    pub(crate) fn hang(&self) {
        for (target, receiver) in (0..).zip(&self.0) {
            if DISTURBED.contains(&target) {
                receiver.behave(Mood::Hanging);
            }
        }
    }

    /// Lets each behave as the roster says.
    pub(crate) fn as_usual(&self) {
        for (receiver, target) in self.0.iter().zip(&crate::roster::TARGETS) {
            receiver.behave(target.mood);
        }
    }
}
