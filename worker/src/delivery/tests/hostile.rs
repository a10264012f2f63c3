//! Receivers that misbehave: whatever they do, an attempt ends, with the right outcome and little kept.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::{Attempt, Outcome, Reason};
use super::fixtures::{attempt, raw, read_request, target};

const UNAVAILABLE: Outcome = Outcome::Unavailable { retry_after: None };

/// An attempt against a receiver that reads the request and then does `script`.
async fn against<F>(script: impl Fn(TcpStream) -> F + Clone + Send + Sync + 'static) -> Attempt
where
    F: Future<Output = ()> + Send + 'static,
{
    let (url, _tasks) = raw(move |mut stream| {
        let script = script.clone();
        async move {
            read_request(&mut stream).await;
            script(stream).await;
        }
    })
    .await;
    attempt(target(&url)).await
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_2xx_head_is_delivered_whatever_the_body_does() {
    let reset = against(async |mut stream: TcpStream| {
        write(
            &mut stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab",
        )
        .await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(reset.outcome, Outcome::Delivered);
    let stalled = against(async |mut stream: TcpStream| {
        write(
            &mut stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab",
        )
        .await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(stalled.outcome, Outcome::Delivered);
}

#[tokio::test]
async fn a_connection_that_ends_before_the_head_is_a_reset() {
    let reset = against(async |stream: TcpStream| stream.set_zero_linger().unwrap()).await;
    let closed = against(async |stream: TcpStream| drop(stream)).await;
    let halfway = against(async |mut stream: TcpStream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-").await;
    })
    .await;
    for attempt in [reset, closed, halfway] {
        assert_eq!(attempt.outcome, UNAVAILABLE, "{attempt:?}");
        assert_eq!(attempt.reason, Reason::ConnectionReset, "{attempt:?}");
        assert_eq!(attempt.status, None);
    }
}

#[tokio::test]
async fn what_is_not_http_is_malformed() {
    for text in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
    ] {
        let attempt = against(async move |mut stream: TcpStream| {
            write(&mut stream, text).await;
            std::future::pending::<()>().await;
        })
        .await;
        assert_eq!(attempt.outcome, UNAVAILABLE, "{text:?} {attempt:?}");
        assert_eq!(attempt.reason, Reason::MalformedResponse, "{text:?}");
    }
}

#[tokio::test]
async fn ten_megabytes_of_headers_are_not_read() {
    let one_long = against(async |mut stream: TcpStream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\nx: ").await;
        let _closed = stream.write_all(&vec![b'a'; 10 << 20]).await;
    })
    .await;
    let many_short = against(async |mut stream: TcpStream| {
        write(&mut stream, "HTTP/1.1 200 OK\r\n").await;
        let _closed = stream.write_all(&b"x: 1234\r\n".repeat(1 << 20)).await;
    })
    .await;
    for attempt in [one_long, many_short] {
        assert_eq!(attempt.outcome, UNAVAILABLE, "{attempt:?}");
        assert_eq!(attempt.reason, Reason::MalformedResponse, "{attempt:?}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_and_its_connection_closed() {
    for status in ["200 OK", "500 Oh"] {
        let (closed, mut closings) = mpsc::channel::<()>(1);
        let (url, _tasks) = raw(move |mut stream| {
            let closed = closed.clone();
            async move {
                read_request(&mut stream).await;
                write(&mut stream, &format!("HTTP/1.1 {status}\r\n\r\n")).await;
                while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
                closed.send(()).await.unwrap();
            }
        })
        .await;
        let attempt = attempt(target(&url)).await;
        assert!(attempt.status.is_some());
        assert!(attempt.detail.is_none_or(|kept| kept.len() == 1024));
        closings.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_failure_with_a_stalled_body_is_reported_with_what_came() {
    let attempt = against(async |mut stream: TcpStream| {
        write(
            &mut stream,
            "HTTP/1.1 500 Oh\r\ncontent-length: 99\r\n\r\nfirst words",
        )
        .await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(attempt.reason, Reason::HttpStatus);
    assert_eq!(attempt.detail.as_deref(), Some("first words"));
}

#[tokio::test]
async fn a_head_that_never_ends_meets_the_deadline() {
    let silent = raw(async |mut stream: TcpStream| {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    });
    let interim = raw(async |mut stream: TcpStream| {
        read_request(&mut stream).await;
        while stream
            .write_all(b"HTTP/1.1 102 Processing\r\n\r\n")
            .await
            .is_ok()
        {}
    });
    for (url, _tasks) in [silent.await, interim.await] {
        let mut target = target(&url);
        target.timeout = Duration::from_millis(300);
        let attempt = attempt(target).await;
        assert_eq!(attempt.outcome, UNAVAILABLE, "{attempt:?}");
        assert_eq!(attempt.reason, Reason::Timeout, "{attempt:?}");
    }
}
