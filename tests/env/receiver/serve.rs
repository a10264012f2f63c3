//! Serving one connection: TLS if there is any, HTTP/1.1 or HTTP/2, each request recorded and then
//! answered as the script says.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Response, header::CONNECTION};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::{
    answer::{Answer, Ending, Script},
    journal::{Connection, Journal},
};

/// What all connections of a receiver share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) journal: Journal,
    pub(super) script: Script,
}

pub(super) async fn connection(
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    number: u64,
    stream: TcpStream,
) {
    shared.journal.count_connection();
    // Both end when the client goes away, which is its right.
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        number,
        tls: tls.is_some(),
    };
    match tls {
        None => exchange(&shared, connection, stream).await,
        Some(acceptor) => {
            // A client that does not trust us ends here; it was counted, and made no request.
            if let Ok(stream) = acceptor.accept(stream).await {
                exchange(&shared, connection, stream).await;
            }
        }
    }
}

async fn exchange(
    shared: &Arc<Shared>,
    connection: Connection,
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) {
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { serve(&shared, connection, request).await }
    });
    // An error is the client's, or the hang-up that the script asked for.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error makes hyper close the connection, or reset the stream, without an answer.
async fn serve(
    shared: &Shared,
    connection: Connection,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let _served = shared.journal.serve();
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        shared.journal.count_cut_short();
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let request = shared.journal.record(head, body.to_bytes(), connection);
    let answer = shared.script.answer(&request);
    answer.due().await;
    let response = respond(answer);
    request.set_answered(response.as_ref().map(Response::status));
    response.ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
}

fn respond(answer: Answer) -> Option<Response<Full<Bytes>>> {
    let (status, close) = match answer.ending {
        Ending::HangUp => return None,
        Ending::Status(status) => (status, false),
        Ending::StatusThenClose(status) => (status, true),
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = status;
    *response.headers_mut() = answer.headers;
    if close {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Some(response)
}
