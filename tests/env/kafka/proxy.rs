//! A way into a broker on which chosen requests of chosen clients get lost.
//!
//! It passes everything on until a test says otherwise. Clients are told apart by their `client.id`,
//! so tests that share a broker do not meet here. A request that is lost gets no answer and its
//! connection stays open, as when a network drops packets; all others on the same connection pass.
//! What a network does to whole links is said in [`super::link`].
//! Only what clients ask is read, and only its header (Kafka's protocol guide, "Request Header").

use std::{
    collections::HashMap,
    fmt,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::Notify,
};

use super::link::Links;
use crate::serving::Serving;

/// Larger requests are none of a consumer's. At the limit the connection is closed.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// The fixed part of a request's header: key, version, correlation id, length of the client's id.
const HEADER_BYTES: usize = 2 + 2 + 4 + 2;

/// Read of an answer at once.
const ANSWER_BYTES: usize = 64 << 10;

/// What a request asks for, as far as a test may want it lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Events.
    Fetch,
    /// First and last offsets of logs.
    ListOffsets,
    /// To keep how far the group has come.
    OffsetCommit,
    /// To stay a member of the group.
    Heartbeat,
    /// Everything else.
    Other,
}

impl Api {
    /// By its key in the protocol.
    fn of(key: i16) -> Self {
        match key {
            1 => Self::Fetch,
            2 => Self::ListOffsets,
            8 => Self::OffsetCommit,
            12 => Self::Heartbeat,
            _ => Self::Other,
        }
    }
}

type Loses = Box<dyn FnMut(Api) -> bool + Send>;

/// Which client loses what, by its `client.id`. All brokers of a cluster share one.
#[derive(Clone, Default)]
pub(super) struct Losses(Arc<Mutex<HashMap<String, Loses>>>);

impl Losses {
    pub(super) fn set(&self, client: &str, loses: impl FnMut(Api) -> bool + Send + 'static) {
        self.by_client().insert(client.to_owned(), Box::new(loses));
    }

    pub(super) fn end(&self, client: &str) {
        self.by_client().remove(client);
    }

    fn take(&self, client: &str, api: Api) -> bool {
        let mut by_client = self.by_client();
        by_client.get_mut(client).is_some_and(|loses| loses(api))
    }

    fn by_client(&self) -> MutexGuard<'_, HashMap<String, Loses>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Losses {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Losses").finish_non_exhaustive()
    }
}

/// All that can go wrong on the way.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) losses: Losses,
    pub(super) links: Links,
}

/// The way into one broker.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    _serving: Serving,
}

impl Proxy {
    /// Takes what comes to `listener`, at its address, to where the broker listens or will listen.
    pub(super) fn start(
        (listener, address): (TcpListener, SocketAddr),
        broker: SocketAddr,
        faults: &Faults,
    ) -> Result<Self> {
        let faults = faults.clone();
        let serving = Serving::start("kafka-proxy", listener, move |_, client| {
            let faults = faults.clone();
            async move {
                // An error is the end of one side; the other one sees its connection close.
                let _ended = connection(client, broker, &faults).await;
            }
        })?;
        Ok(Self {
            address,
            _serving: serving,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Carries both directions until one of them ends.
async fn connection(client: TcpStream, broker: SocketAddr, faults: &Faults) -> Result<()> {
    let broker = TcpStream::connect(broker).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    // Who is there is known with the first request.
    let (id, known) = (OnceLock::new(), Notify::new());
    let cut = async {
        known.notified().await;
        faults.links.cut(id.get().map_or("", String::as_str)).await
    };
    tokio::select! {
        asked = requests((from_client, to_broker), faults, (&id, &known)) => asked,
        answered = answers(from_broker, to_client, faults, &id) => answered,
        cut = cut => cut,
    }
}

async fn requests(
    (mut client, mut broker): (OwnedReadHalf, OwnedWriteHalf),
    faults: &Faults,
    (first_id, known): (&OnceLock<String>, &Notify),
) -> Result<()> {
    let mut request = Vec::new();
    loop {
        let length = client.read_u32().await?;
        let bytes = usize::try_from(length)?;
        ensure!(bytes <= REQUEST_BYTES_MAX, "a request of {bytes} bytes");
        request.resize(bytes, 0);
        client.read_exact(&mut request).await?;
        let (api, id) = header(&request).context("no header of a request")?;
        if first_id.get().is_none() {
            first_id.get_or_init(|| id.to_owned());
            known.notify_one();
        }
        faults.links.request_passes(id).await?;
        if !faults.losses.take(id, api) {
            broker.write_u32(length).await?;
            broker.write_all(&request).await?;
        }
    }
}

async fn answers(
    mut broker: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    faults: &Faults,
    id: &OnceLock<String>,
) -> Result<()> {
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    while broker.read_buf(&mut answer).await? > 0 {
        if let Some(id) = id.get() {
            faults.links.answer_passes(id).await?;
        }
        client.write_all(&answer).await?;
        answer.clear();
    }
    Ok(())
}

/// What is asked, and by whom; a client without an id has an empty one.
fn header(request: &[u8]) -> Option<(Api, &str)> {
    let fixed = request.first_chunk::<HEADER_BYTES>()?;
    let key = i16::from_be_bytes([fixed[0], fixed[1]]);
    let id_bytes = i16::from_be_bytes([fixed[8], fixed[9]]).max(0);
    let id = request.get(HEADER_BYTES..)?;
    let id = id.get(..usize::try_from(id_bytes).ok()?)?;
    Some((Api::of(key), std::str::from_utf8(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_what_it_asks_and_who_asks() {
        let fetch = b"\x00\x01\x00\x0b\x00\x00\x00\x07\x00\x03one\x00rest";
        assert_eq!(header(fetch), Some((Api::Fetch, "one")));
        let nobody = b"\x00\x03\x00\x0c\x00\x00\x00\x07\xff\xff\x00rest";
        assert_eq!(header(nobody), Some((Api::Other, "")));
    }

    #[test]
    fn what_is_cut_short_is_no_request() {
        for request in [
            &b""[..],
            b"\x00\x01\x00\x0b",
            b"\x00\x01\x00\x0b\x00\x00\x00\x07\x00\x03on",
        ] {
            assert_eq!(header(request), None, "{request:?}");
        }
    }

    #[test]
    fn only_the_named_client_loses_and_only_until_the_end() {
        let losses = Losses::default();
        losses.set("one", |api| api == Api::Fetch);
        assert!(losses.take("one", Api::Fetch));
        assert!(!losses.take("one", Api::Heartbeat));
        assert!(!losses.take("other", Api::Fetch));
        losses.end("one");
        assert!(!losses.take("one", Api::Fetch));
    }
}
