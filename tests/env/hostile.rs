//! Receivers that do what no receiver should, on raw sockets.
//!
//! Each takes as many connections as come and treats all alike. What is endless is so for the
//! client; here it ends at a bound, or when the client hangs up.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{network, serving::Serving};

/// The most that an endless answer sends on one connection: more than any client should read.
const ENDLESS_BYTES: usize = 1 << 30;

/// Bytes of headers of [`Behaviour::HugeHead`].
const HUGE_HEAD_BYTES: usize = 10 << 20;

/// The pause between two bytes of [`Behaviour::SlowHead`].
const SLOW_PAUSE: Duration = Duration::from_millis(100);

/// The most of a request's head that is read before it is answered; ours are far smaller.
const REQUEST_HEAD_BYTES: usize = 64 << 10;

/// What a hostile receiver does to each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// 200, then a body without end.
    EndlessBody,
    /// A head of one byte every 100 ms, without end.
    SlowHead,
    /// 200 with 10 MiB of headers.
    HugeHead,
    /// 200 with half of the promised body, then a reset.
    ResetInBody,
    /// The head of a 200 without its end, then a reset.
    ResetInHead,
    /// The whole head of a 200 that promises a body, then a reset.
    ResetAfterHead,
    /// Closes when the request has come, without an answer.
    CloseUnanswered,
    /// An answer that is not HTTP/1.1: a bare page, as HTTP/0.9 had it.
    Garbage,
    /// Reads the request and never answers.
    Silence,
    /// Accepts the connection and never says a word, so that no TLS handshake ends.
    NeverShakesHands,
}

/// A running hostile receiver; ends when it is dropped.
#[derive(Debug)]
pub struct Hostile {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    _serving: Serving,
}

impl Hostile {
    /// Listens on a host of its own.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start(behaviour: Behaviour) -> Result<Self> {
        let (listener, address) = network::listen(network::fresh_host())?;
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        let serving = Serving::start("hostile", listener, move |_, stream| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                // Every error is the client hanging up on us.
                let _ = behave(behaviour, stream).await;
            }
        })?;
        Ok(Self {
            address,
            connections,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same over TLS, which it never finishes to set up.
    pub fn https_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn behave(behaviour: Behaviour, mut stream: TcpStream) -> std::io::Result<()> {
    if behaviour != Behaviour::NeverShakesHands {
        read_request(&mut stream).await?;
    }
    match behaviour {
        Behaviour::EndlessBody => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            let chunk = [b"10000\r\n", &[b'x'; 0x1_0000][..], b"\r\n"].concat();
            repeat(&mut stream, &chunk).await
        }
        Behaviour::SlowHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nslow: ").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(SLOW_PAUSE).await;
            }
        }
        Behaviour::HugeHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            let header = [b"huge: ", &[b'x'; 1_016][..], b"\r\n"].concat();
            for _ in 0..HUGE_HEAD_BYTES / header.len() {
                stream.write_all(&header).await?;
            }
            stream.write_all(b"content-length: 0\r\n\r\n").await
        }
        Behaviour::ResetInBody => {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ";
            reset(stream, answer).await
        }
        Behaviour::ResetInHead => reset(stream, b"HTTP/1.1 200 OK\r\ncontent-le").await,
        Behaviour::ResetAfterHead => {
            reset(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await
        }
        Behaviour::CloseUnanswered => stream.shutdown().await,
        Behaviour::Garbage => {
            stream.write_all(b"<html>It works!</html>\n").await?;
            stream.shutdown().await
        }
        Behaviour::Silence | Behaviour::NeverShakesHands => until_hung_up(&mut stream).await,
    }
}

/// Reads a request with its body, as far as its `content-length` says. A client that is still
/// sending when the answer comes would see another fault than the one that is meant.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if head.len() > REQUEST_HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut missing = content_length(&head[..end]).saturating_sub(head.len() - end);
    let mut buffer = vec![0; 64 << 10];
    while missing > 0 {
        match stream.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => missing = missing.saturating_sub(read),
        }
    }
    Ok(())
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

async fn repeat(stream: &mut TcpStream, chunk: &[u8]) -> std::io::Result<()> {
    for _ in 0..ENDLESS_BYTES / chunk.len() {
        stream.write_all(chunk).await?;
    }
    Ok(())
}

/// Sends `answer`, then RST instead of FIN: a zero linger time makes closing a reset.
async fn reset(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer).await?;
    stream.set_zero_linger()
}

async fn until_hung_up(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut ignored = vec![0; 4 << 10];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
