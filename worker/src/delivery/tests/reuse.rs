//! Keep-alive: many attempts, one connection.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::{Deliver as _, Outcome};
use super::fixtures::{Receiver, answer, patient_client, raw, read_request, request, target};

const ATTEMPTS: usize = 20;

#[tokio::test]
async fn attempts_one_after_another_share_a_connection_whatever_the_answer() {
    for (status, bytes) in [(204, 0), (200, 2), (200, 30_000), (500, 2), (400, 30_000)] {
        let receiver = Receiver::start(None, move |_| {
            let mut response = answer(status, "");
            *response.body_mut() = Full::new(Bytes::from(vec![b'a'; bytes]));
            response
        })
        .await;
        let client = patient_client();
        let prepared = client.prepare(&Arc::new(target(&receiver.url()))).unwrap();
        for _ in 0..ATTEMPTS {
            let attempt = client.attempt(&prepared, request()).await;
            assert_eq!(attempt.status, Some(status));
        }
        assert_eq!(receiver.connections(), 1, "{status} with {bytes} bytes");
    }
}

#[tokio::test]
async fn a_body_that_follows_its_head_later_does_not_cost_the_connection() {
    let (accepted, mut connections) = mpsc::channel(ATTEMPTS);
    let (url, _tasks) = raw(move |mut stream: TcpStream| {
        accepted.try_send(()).unwrap();
        async move {
            loop {
                read_request(&mut stream).await;
                for part in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "o", "k"] {
                    stream.write_all(part.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    let client = patient_client();
    let prepared = client.prepare(&Arc::new(target(&url))).unwrap();
    for _ in 0..ATTEMPTS {
        let attempt = client.attempt(&prepared, request()).await;
        assert_eq!(attempt.outcome, Outcome::Delivered);
    }
    assert!(connections.try_recv().is_ok() && connections.try_recv().is_err());
}

#[tokio::test]
async fn two_targets_of_one_identity_share_a_connection() {
    let receiver = Receiver::status(200).await;
    let client = patient_client();
    let one = client.prepare(&Arc::new(target(&receiver.url()))).unwrap();
    let other = client.prepare(&Arc::new(target(&receiver.url()))).unwrap();
    for prepared in [&one, &other, &one, &other] {
        let attempt = client.attempt(prepared, request()).await;
        assert_eq!(attempt.outcome, Outcome::Delivered);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn attempts_side_by_side_keep_their_connections() {
    let receiver = Receiver::status(200).await;
    let client = patient_client();
    let prepared = client.prepare(&Arc::new(target(&receiver.url()))).unwrap();
    for _ in 0..ATTEMPTS {
        let together = (0..8).map(|_| client.attempt(&prepared, request()));
        for attempt in join_all(together).await {
            assert_eq!(attempt.outcome, Outcome::Delivered);
        }
    }
    assert!(receiver.connections() <= 8);
}
