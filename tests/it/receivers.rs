//! Receivers: what they record, and how they answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parcelhook_env::{
    certificates::Authority,
    check::Expected,
    eventually, fetch,
    receiver::{Answer, Gate, Receiver},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

const SOON: Duration = Duration::from_secs(30);

type Sender = http1::SendRequest<Full<Bytes>>;

/// A connection that requests are sent on, one after the other; it lives as long as `tasks`.
async fn connect(
    tasks: &mut JoinSet<()>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tasks.spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn post(path: &str, body: impl Into<Bytes>) -> Result<Request<Full<Bytes>>> {
    let request = Request::post(path)
        .header("host", "receiver")
        .header("x", "y");
    Ok(request.body(Full::new(body.into()))?)
}

async fn send(sender: &mut Sender, path: &str, body: &str) -> Result<(StatusCode, String)> {
    sender.ready().await?;
    let answer = sender.send_request(post(path, body.to_owned())?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn requests_are_recorded_as_they_came() -> Result<()> {
    let receiver = Receiver::start()?;
    let mut tasks = JoinSet::new();
    let mut first = connect(&mut tasks, TcpStream::connect(receiver.address()).await?).await?;
    let mut second = connect(&mut tasks, TcpStream::connect(receiver.address()).await?).await?;
    send(&mut first, "/a?b=c", "one").await?;
    send(&mut second, "/b", "two").await?;
    send(&mut first, "/c", "three").await?;

    let requests = receiver.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|r| (r.number, r.path.as_str(), &r.body[..], r.header("x")))
        .collect();
    assert_eq!(
        seen,
        [
            (0, "/a?b=c", &b"one"[..], Some("y")),
            (1, "/b", b"two", Some("y")),
            (2, "/c", b"three", Some("y")),
        ]
    );
    assert_eq!(requests[0].connection, requests[2].connection);
    assert_ne!(requests[0].connection, requests[1].connection);
    assert_eq!(receiver.connections(), 2);
    for request in requests {
        assert_eq!(request.version, Version::HTTP_11);
        assert_eq!(request.answered(), Some(StatusCode::OK));
        assert!(!request.tls);
    }
    Ok(())
}

#[tokio::test]
async fn answers_follow_the_script() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(
        Answer::status(503)?
            .header("retry-after", "3")?
            .body("busy"),
    );
    receiver.answer_number(1, Answer::status(404)?);
    let mut tasks = JoinSet::new();
    let mut sender = connect(&mut tasks, TcpStream::connect(receiver.address()).await?).await?;
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned());
    assert_eq!(send(&mut sender, "/", "").await?, unavailable);
    assert_eq!(send(&mut sender, "/", "").await?.0, StatusCode::NOT_FOUND);
    assert_eq!(send(&mut sender, "/", "").await?, unavailable);
    receiver.answer_by(|request| match request.path.as_str() {
        "/good" => Answer::ok(),
        _ => Answer::ok().then_close(),
    });
    assert_eq!(send(&mut sender, "/good", "").await?.0, StatusCode::OK);
    assert_eq!(send(&mut sender, "/close", "").await?.0, StatusCode::OK);
    assert!(send(&mut sender, "/good", "").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_hang_up_is_no_answer() -> Result<()> {
    let receiver = Receiver::start()?;
    receiver.answer(Answer::hang_up());
    let mut tasks = JoinSet::new();
    let mut sender = connect(&mut tasks, TcpStream::connect(receiver.address()).await?).await?;
    assert!(send(&mut sender, "/", "").await.is_err());
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].answered(), None);
    Ok(())
}

#[tokio::test]
async fn a_gate_holds_answers_back_until_it_is_opened() -> Result<()> {
    let receiver = Receiver::start()?;
    let gate = Gate::new();
    receiver.answer(Answer::ok().behind(&gate));
    let mut clients = JoinSet::new();
    for _ in 0..3 {
        let address = receiver.address();
        clients.spawn(async move { fetch::get(address, "/held").await });
    }
    receiver.arrived(3, SOON).await?;
    assert_eq!((receiver.at_once(), receiver.most_at_once()), (3, 3));
    assert!(receiver.requests().iter().all(|r| r.answered().is_none()));
    assert!(clients.try_join_next().is_none());
    gate.open();
    for answer in clients.join_all().await {
        assert_eq!(answer?.status, StatusCode::OK);
    }
    eventually("no request being served", SOON, async || {
        ensure!(receiver.at_once() == 0, "{} are", receiver.at_once());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn http_2_is_spoken_and_many_requests_share_a_connection() -> Result<()> {
    let receiver = Receiver::start()?;
    let stream = TokioIo::new(TcpStream::connect(receiver.address()).await?);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let mut answers = JoinSet::new();
    for n in 0..20 {
        let mut sender = sender.clone();
        let request = post(&format!("http://receiver/{n}"), "body")?;
        answers.spawn(async move { sender.send_request(request).await });
    }
    for answer in answers.join_all().await {
        assert_eq!(answer?.status(), StatusCode::OK);
    }
    assert_eq!((receiver.count(), receiver.connections()), (20, 1));
    assert!(
        receiver
            .requests()
            .iter()
            .all(|r| r.version == Version::HTTP_2)
    );
    Ok(())
}

/// A TLS connection to `address` of a client that trusts `authority` and expects the host's name.
async fn connect_tls(
    authority: &Authority,
    address: SocketAddr,
    protocol: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::from(address.ip());
    let stream = TcpStream::connect(address).await?;
    Ok(connector.connect(name, stream).await?)
}

#[tokio::test]
async fn tls_is_spoken_to_those_who_trust_the_authority() -> Result<()> {
    let authority = Authority::new("ours")?;
    let receiver = Receiver::builder().tls(&authority).start()?;
    assert!(receiver.url("/x").starts_with("https://127."));
    let mut tasks = JoinSet::new();
    let stream = connect_tls(&authority, receiver.address(), "http/1.1").await?;
    let mut sender = connect(&mut tasks, stream).await?;
    assert_eq!(send(&mut sender, "/", "x").await?.0, StatusCode::OK);
    assert!(receiver.requests()[0].tls);

    let stranger = Authority::new("theirs")?;
    let refused = connect_tls(&stranger, receiver.address(), "http/1.1").await;
    let error = format!("{:#}", refused.err().context("trusted a stranger")?);
    assert!(error.contains("UnknownIssuer"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_by_clients() -> Result<()> {
    let authority = Authority::new("ours")?;
    let receiver = Receiver::builder()
        .tls(&authority)
        .certificate_for("wrong.example")
        .start()?;
    let refused = connect_tls(&authority, receiver.address(), "http/1.1").await;
    let error = format!("{:#}", refused.err().context("accepted")?);
    assert!(error.contains("not valid for"), "{error}");
    assert_eq!(receiver.count(), 0);
    Ok(())
}

#[tokio::test]
async fn http_2_is_offered_over_tls_unless_told_otherwise() -> Result<()> {
    let authority = Authority::new("ours")?;
    let both = Receiver::builder().tls(&authority).start()?;
    let stream = connect_tls(&authority, both.address(), "h2").await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let old = Receiver::builder().tls(&authority).only_http1().start()?;
    let refused = connect_tls(&authority, old.address(), "h2").await;
    assert!(refused.is_err());
    Ok(())
}

#[tokio::test]
async fn the_checker_reads_what_was_accepted_and_nothing_else() -> Result<()> {
    for compact in [false, true] {
        let builder = Receiver::builder();
        let receiver = if compact { builder.compact() } else { builder }.start()?;
        let mut tasks = JoinSet::new();
        let mut sender = connect(&mut tasks, TcpStream::connect(receiver.address()).await?).await?;
        receiver.answer_number(0, Answer::status(500)?);
        for body in [
            r#"{"events":[{"id":"t/0/0/x"},{"id":"t/0/1/x"}]}"#,
            r#"{"events":[{"id":"t/0/0/x"},{"id":"t/0/1/x"}]}"#,
            r#"[{"specversion":"1.0","id":"t/0/2/x"}]"#,
        ] {
            send(&mut sender, "/hook", body).await?;
        }
        let mut expected = Expected::default();
        expected.add("t", 0, 0..3);
        let verdict = expected
            .compare(&receiver.accepted()?)
            .kept_exactly_once()?;
        assert_eq!(verdict.delivered, 3);
        assert_eq!(receiver.accepted_at("/other")?, []);
        assert_eq!(receiver.requests()[2].body.is_empty(), compact);
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_breaks_off_is_counted_and_not_recorded() -> Result<()> {
    let receiver = Receiver::start()?;
    let mut stream = TcpStream::connect(receiver.address()).await?;
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf ")
        .await?;
    drop(stream);
    eventually("a request cut short", SOON, async || {
        ensure!(receiver.cut_short() == 1, "{}", receiver.cut_short());
        Ok(())
    })
    .await?;
    assert_eq!(receiver.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_dropped_receiver_no_longer_listens() -> Result<()> {
    let receiver = Receiver::start()?;
    let address = receiver.address();
    assert!(fetch::get(address, "/").await.is_ok());
    drop(receiver);
    assert!(TcpStream::connect(address).await.is_err());
    Ok(())
}
