//! Carrying calls to the API server and answers back, or not, as the script says.
//!
//! Each client's connection has one connection to the API server, made when the first call is passed
//! on, and made anew when a watch was cut. HTTP/1.1 has one call under way on a connection, so two
//! calls never meet on it.

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{
    Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::json;
use tokio::{net::TcpStream, sync::Mutex, task::JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Action, Call, Script, Verb, lock, memory::Question};
use crate::certificates::Authority;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// From clients to here, and from here to the API server.
pub(super) struct Ways {
    server: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Ways {
    pub(super) fn new(
        server: SocketAddr,
        address: SocketAddr,
        authority: &Authority,
    ) -> Result<Self> {
        let identity = authority.server(&[&address.ip().to_string()])?;
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.certificate()?)
            .context("trust our own authority")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choose TLS versions")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server,
            acceptor: Arc::new(identity.server_config(&["http/1.1"])?).into(),
            connector: Arc::new(config).into(),
        })
    }

    async fn connect(&self, connections: &mut JoinSet<()>) -> Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect(self.server).await.context("connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.server.ip());
        let stream = self.connector.connect(name, stream).await?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        connections.spawn(async {
            // Why it broke is told by the answer too.
            let _ = connection.await;
        });
        Ok(requests)
    }
}

/// The connection to the API server that belongs to one client's connection.
#[derive(Default)]
struct Behind {
    requests: Option<SendRequest<Incoming>>,
    connections: JoinSet<()>,
}

impl Behind {
    async fn ask(&mut self, ways: &Ways, request: Request<Incoming>) -> Result<Response<Incoming>> {
        let mut idle = self.requests.take();
        if let Some(requests) = &mut idle
            && requests.ready().await.is_err()
        {
            idle = None;
        }
        let mut requests = match idle {
            Some(requests) => requests,
            None => ways.connect(&mut self.connections).await?,
        };
        let answer = requests.send_request(request).await?;
        self.requests = Some(requests);
        Ok(answer)
    }
}

/// Serves one client's connection to its end.
pub(super) async fn connection(ways: Arc<Ways>, script: Arc<Script>, client: TcpStream) {
    // Both fail when the client goes away, which is its right.
    let _ = client.set_nodelay(true);
    let Ok(client) = ways.acceptor.accept(client).await else {
        return;
    };
    let behind = Mutex::new(Behind::default());
    let service = service_fn(|request| serve(&ways, &script, &behind, request));
    // An error is the client's, or a loss that the script asked for.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(client), service)
        .await;
}

/// An error makes hyper close the connection without an answer.
async fn serve(
    ways: &Ways,
    script: &Script,
    behind: &Mutex<Behind>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    // Subscribed before the call is passed on, so that no cut is missed.
    let mut cuts = script.cuts.subscribe();
    let call = Call::of(request.method(), request.uri());
    let question = Question::of(&request);
    let mut ends_after = None;
    match script.decide(&call) {
        Action::Pass => {}
        Action::Delay(time) => tokio::time::sleep(time).await,
        Action::Fail(status) => return refused(request, status).await,
        Action::Lose => return Err(lost()),
        Action::LoseAnswer => {
            // Its head comes after the work is done.
            drop(behind.lock().await.ask(ways, request).await);
            return Err(lost());
        }
        Action::Replay => {
            if let Some(answer) = lock(&script.memory).recall(question.as_ref()) {
                return Ok(answer.map(full));
            }
        }
        Action::Cut(time) => ends_after = Some(time),
    }
    let answer = behind.lock().await.ask(ways, request).await;
    let answer = answer.map_err(io::Error::other)?;
    if call.verb != Verb::Watch {
        return kept(script, question, answer).await;
    }
    let end = async move {
        tokio::select! {
            () = elapsed(ends_after) => {}
            // Never an error: the script has the sender.
            _ = cuts.changed() => {}
        }
    };
    Ok(answer.map(|events| {
        let events = BodyStream::new(events).take_until(Box::pin(end));
        StreamBody::new(events).boxed_unsync()
    }))
}

/// Passes on an answer, and keeps it when that is wanted.
async fn kept(
    script: &Script,
    question: Option<Question>,
    answer: Response<Incoming>,
) -> io::Result<Response<Body>> {
    let is_awake = lock(&script.memory).is_awake();
    let Some(question) = question.filter(|_| is_awake) else {
        return Ok(answer.map(BodyExt::boxed_unsync));
    };
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let answer = Response::from_parts(head, body);
    lock(&script.memory).keep(question, &answer);
    Ok(answer.map(full))
}

/// Answers with a `Status` as the API server does.
async fn refused(request: Request<Incoming>, status: StatusCode) -> io::Result<Response<Body>> {
    // A client that is still sending would not see the answer.
    request.collect().await.map_err(io::Error::other)?;
    let text = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "refused by the proxy of the tests",
        "reason": reason(status),
        "code": status.as_u16(),
    });
    let mut answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer = answer.header(RETRY_AFTER, "1");
    }
    answer
        .body(full(text.to_string().into()))
        .map_err(io::Error::other)
}

/// The `reason` that goes with a status (`StatusReason` of k8s.io/apimachinery).
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "InternalError",
    }
}

async fn elapsed(after: Option<Duration>) {
    match after {
        Some(time) => tokio::time::sleep(time).await,
        None => pending().await,
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn lost() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
