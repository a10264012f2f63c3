//! One plain HTTP request, for the pages of processes under test.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{ACCEPT, HOST},
    request::Builder,
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a page may take. Ours answer in milliseconds, also on a loaded machine in seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Page {
    /// The status code.
    pub status: StatusCode,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// GETs `path` from `address`, on a connection of its own.
///
/// # Errors
/// When there is no whole answer within 30 s.
pub async fn get(address: SocketAddr, path: &str) -> Result<Page> {
    get_as(address, path, "*/*").await
}

/// As [`get`], preferring the media type `accept`.
///
/// # Errors
/// As [`get`].
pub async fn get_as(address: SocketAddr, path: &str, accept: &str) -> Result<Page> {
    let request = Request::get(path).header(ACCEPT, accept);
    ask(address, request, Bytes::new())
        .await
        .with_context(|| format!("GET http://{address}{path}"))
}

/// POSTs nothing to `path` at `address`, on a connection of its own.
///
/// # Errors
/// As [`get`].
pub async fn post(address: SocketAddr, path: &str) -> Result<Page> {
    post_body(address, path, Bytes::new()).await
}

/// POSTs a body to `path` at `address`, on a connection of its own.
///
/// # Errors
/// As [`get`].
pub async fn post_body(address: SocketAddr, path: &str, body: impl Into<Bytes>) -> Result<Page> {
    ask(address, Request::post(path), body.into())
        .await
        .with_context(|| format!("POST http://{address}{path}"))
}

async fn ask(address: SocketAddr, request: Builder, body: Bytes) -> Result<Page> {
    tokio::time::timeout(PATIENCE, exchange(address, request, body))
        .await
        .map_err(anyhow::Error::from)
        .flatten()
}

async fn exchange(address: SocketAddr, request: Builder, body: Bytes) -> Result<Page> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = request
        .header(HOST, address.to_string())
        .body(Full::new(body))?;
    let answer = async move {
        let answer = requests.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::Ok(Page {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    // The connection does the work. It ends once `requests` is dropped, so after the answer; why it
    // broke before is told by the answer too.
    let (answer, _told) = futures::join!(answer, connection);
    answer
}
