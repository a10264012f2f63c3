//! The receiver's process: HTTP/1.1 with as little as it takes.
//!
//! One thread. It reads a head up to its empty line, of the fields only `content-length`, then the
//! body, and answers, perhaps after a delay. Chunked bodies are refused: no arm sends them.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::{Buf as _, BytesMut};
use clap::{Args, ValueEnum};
use parcelhook_worker::clock;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::tally::Tally;

/// What stands before the address in its first line.
pub(super) const LISTENING: &str = "receiving on ";
/// The path whose answer are the counts.
pub(super) const COUNTS: &str = "/counts";
/// The path whose answer are the latencies since it was last asked for.
pub(super) const LATENCIES: &str = "/latencies";

/// Room for what a connection has read. A longer body makes its own connection's room larger.
const ROOM_BYTES: usize = 8 * 1024;
/// A head over this is no request of ours.
const MAX_HEAD_BYTES: usize = 16 * 1024;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// What it does with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mood {
    /// Takes and counts it.
    Well,
    /// Answers 503.
    Unavailable,
    /// Never answers.
    Silent,
}

impl Mood {
    /// As it stands on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Unavailable => "unavailable",
            Self::Silent => "silent",
        }
    }

    /// What it answers, if it does.
    fn answer(self) -> Option<&'static [u8]> {
        match self {
            Self::Well => Some(OK),
            Self::Unavailable => Some(UNAVAILABLE),
            Self::Silent => None,
        }
    }
}

/// How to receive.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Settings {
    /// Bytes of an event's value.
    #[arg(long)]
    event_bytes: usize,
    /// Milliseconds from the end of a request to its answer.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// What it does with requests.
    #[arg(long, value_enum, default_value_t = Mood::Well)]
    mood: Mood,
    /// Where it listens; otherwise on any port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// Receives until the process is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve(settings: &Settings) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make a runtime")?;
    runtime.block_on(accept(*settings))
}

async fn accept(settings: Settings) -> Result<()> {
    let listener = TcpListener::bind(settings.listen).await.context("listen")?;
    let address = listener.local_addr().context("read the port")?;
    writeln!(io::stdout(), "{LISTENING}{address}").context("tell the port")?;
    let tally = Arc::new(Mutex::new(Tally::new(settings.event_bytes)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is that of one connection, or of too many; both pass.
                let Ok((stream, _)) = accepted else { continue };
                lock(&tally).connected();
                connections.spawn(connection(stream, Arc::clone(&tally), settings));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection to its end. Its client learns of an error by the end.
async fn connection(mut stream: TcpStream, tally: Arc<Mutex<Tally>>, settings: Settings) {
    let _told_by_the_end = answer_all(&mut stream, &tally, settings).await;
}

async fn answer_all(
    stream: &mut TcpStream,
    tally: &Mutex<Tally>,
    settings: Settings,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(ROOM_BYTES);
    loop {
        let Some(head) = read_head(stream, &mut input).await? else {
            return Ok(());
        };
        while input.len() < head.bytes + head.body_bytes {
            input.reserve(head.bytes + head.body_bytes - input.len());
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
        let path = &input[head.path.clone()];
        if path == COUNTS.as_bytes() {
            let counts = lock(tally).counts();
            tell(stream, &counts).await?;
        } else if path == LATENCIES.as_bytes() {
            let latencies = lock(tally).latencies();
            tell(stream, &latencies).await?;
        } else {
            let body = &input[head.bytes..head.bytes + head.body_bytes];
            if settings.mood == Mood::Well {
                lock(tally).request(path, body, clock::since_boot);
            }
            if settings.delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(settings.delay_ms)).await;
            }
            let Some(answer) = settings.mood.answer() else {
                // Until the client hangs up.
                return stream.read_buf(&mut input).await.map(drop);
            };
            stream.write_all(answer).await?;
        }
        input.advance(head.bytes + head.body_bytes);
    }
}

async fn tell(stream: &mut TcpStream, answer: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_string(answer)?;
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await
}

/// Where things are in what was read.
struct Head {
    path: std::ops::Range<usize>,
    /// Up to and with the empty line.
    bytes: usize,
    body_bytes: usize,
}

/// Reads until a head is whole; `None` when the connection ends between two requests.
async fn read_head(stream: &mut TcpStream, input: &mut BytesMut) -> io::Result<Option<Head>> {
    loop {
        if let Some(end) = input.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = parse(&input[..end + 4]);
            return head.map(Some).ok_or(io::ErrorKind::InvalidData.into());
        }
        if input.len() > MAX_HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        input.reserve(ROOM_BYTES);
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(head: &[u8]) -> Option<Head> {
    const LENGTH: &[u8] = b"content-length:";
    let line = head.split(|byte| *byte == b'\r').next()?;
    let start = line.iter().position(|byte| *byte == b' ')? + 1;
    let length = line[start..].iter().position(|byte| *byte == b' ')?;
    let mut body_bytes = 0;
    for field in head.split(|byte| *byte == b'\n') {
        let (name, value) = field.split_at(field.len().min(LENGTH.len()));
        if name.eq_ignore_ascii_case(LENGTH) {
            body_bytes = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
        }
    }
    Some(Head {
        path: start..start + length,
        bytes: head.len(),
        body_bytes,
    })
}
