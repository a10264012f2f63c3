//! Targets and receivers on loopback.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parcelhook_crds::compiled::{CompiledTarget, Endpoint};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::super::egress::Policy;
use super::super::{Attempt, Client, Deliver as _, Request};
use crate::targets::sample;

/// Long enough that no slow machine ever meets it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::delivery) fn target(url: &str) -> CompiledTarget {
    CompiledTarget {
        uid: uuid::Uuid::from_u128(7),
        namespace: "shop".to_owned(),
        endpoint: Endpoint {
            shown_url: "http://example.com/hook".to_owned(),
            ..sample::endpoint(url)
        },
        timeout: PATIENCE,
        ..sample::target()
    }
}

pub(in crate::delivery) fn request() -> Request {
    Request {
        id: HeaderValue::from_static("msg_1"),
        attempt: 3,
        content_type: Some(HeaderValue::from_static("application/json")),
        body: Bytes::from_static(b"{\"test\": 1}"),
        format_headers: vec![(
            HeaderName::from_static("parcelhook-tombstone"),
            HeaderValue::from_static("true"),
        )],
        traceparent: Some(HeaderValue::from_static("00-0af7-b7ad-01")),
    }
}

/// A client that may go to loopback.
pub(super) fn client() -> Client {
    let ranges = ["127.0.0.0/8", "::1/128"].map(|range| range.parse().unwrap());
    Client::new(Policy::new(ranges.to_vec()))
}

/// The same, and it waits for every body.
pub(super) fn patient_client() -> Client {
    client().patient(PATIENCE)
}

/// One attempt by a client of its own.
pub(super) async fn attempt(target: CompiledTarget) -> Attempt {
    let client = client();
    let prepared = client.prepare(&Arc::new(target)).unwrap();
    client.attempt(&prepared, request()).await
}

/// A request as a receiver saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: http::Method,
    pub(super) path: String,
    pub(super) version: http::Version,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
    /// The name that TLS asked for.
    pub(super) sni: Option<String>,
}

/// A well-behaved receiver.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

type Answer = Box<dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync>;

struct Shared {
    connections: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    answer: Answer,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Answers every request with `status`.
    pub(super) async fn status(status: u16) -> Self {
        Self::start(None, move |_| answer(status, "")).await
    }

    pub(super) async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            connections: AtomicUsize::new(0),
            seen: Mutex::default(),
            answer: Box::new(answer),
            tls,
        });
        let mut tasks = JoinSet::new();
        let accepting = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(accept(stream, Arc::clone(&accepting)));
            }
        });
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(super) fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/hook", self.address.port())
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

pub(super) fn answer(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn accept(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let Some(acceptor) = shared.tls.clone() else {
        return serve(stream, None, shared).await;
    };
    match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => {
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            serve(stream, sni, shared).await;
        }
        // What the peer still sends is read, or the kernel would answer it with a reset, which may
        // overtake the alert.
        Err((_, mut stream)) => {
            let _drained = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    }
}

async fn serve<S>(stream: S, sni: Option<String>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: http::Request<Incoming>| {
        let (shared, sni) = (Arc::clone(&shared), sni.clone());
        async move {
            let (head, body) = request.into_parts();
            let seen = Seen {
                method: head.method,
                path: head.uri.path().to_owned(),
                version: head.version,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
                sni,
            };
            let response = (shared.answer)(&seen);
            shared.seen.lock().unwrap().push(seen);
            Ok::<_, hyper::Error>(response)
        }
    });
    // A peer that goes away is the peer's right.
    let _ended = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A receiver that does what `script` does with each connection. Returns its URL; it ends with the set.
pub(super) async fn raw<F>(
    script: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(script(stream));
        }
    });
    (url, tasks)
}

/// Reads one request of [`request`] to its end.
pub(super) async fn read_request(stream: &mut TcpStream) {
    let body = request().body;
    let mut read = Vec::new();
    while !read.ends_with(&body) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
}
