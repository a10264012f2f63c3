//! Hostile receivers: each misbehaves in its own way and in no other.

use std::time::Duration;

use anyhow::{Result, ensure};
use parcelhook_env::{
    eventually,
    hostile::{Behaviour, Hostile},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const SOON: Duration = Duration::from_secs(30);

/// What a hostile receiver sends after a request, up to `limit` bytes, and how it ends.
async fn provoke(behaviour: Behaviour, limit: usize) -> Result<(Vec<u8>, std::io::Result<()>)> {
    let hostile = Hostile::start(behaviour)?;
    let mut stream = TcpStream::connect(hostile.address()).await?;
    stream
        .write_all(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody")
        .await?;
    let mut answer = Vec::new();
    let mut limited = (&mut stream).take(limit as u64);
    let end = loop {
        match limited.read_buf(&mut answer).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    assert_eq!(hostile.connections(), 1);
    Ok((answer, end))
}

#[tokio::test]
async fn hostile_receivers_send_what_they_should_not() -> Result<()> {
    for (behaviour, limit, start) in [
        (Behaviour::EndlessBody, 5 << 20, "HTTP/1.1 200 OK\r\n"),
        (Behaviour::HugeHead, 10 << 20, "HTTP/1.1 200 OK\r\nhuge: "),
        (Behaviour::SlowHead, 30, "HTTP/1.1 200 OK\r\nslow: xxxx"),
        (Behaviour::Garbage, 6, "<html>"),
    ] {
        let (answer, _) = provoke(behaviour, limit).await?;
        assert!(answer.starts_with(start.as_bytes()), "{behaviour:?}");
        assert_eq!(answer.len(), limit, "{behaviour:?}");
    }
    Ok(())
}

#[tokio::test]
async fn hostile_receivers_break_off_where_they_should_not() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    for (behaviour, sent, reset) in [
        (
            Behaviour::ResetInHead,
            "HTTP/1.1 200 OK\r\ncontent-le",
            true,
        ),
        (Behaviour::ResetAfterHead, head, true),
        (Behaviour::ResetInBody, &format!("{head}half "), true),
        (Behaviour::CloseUnanswered, "", false),
    ] {
        let (answer, end) = provoke(behaviour, 1 << 10).await?;
        assert_eq!(String::from_utf8_lossy(&answer), sent, "{behaviour:?}");
        assert_eq!(end.is_err(), reset, "{behaviour:?}: {end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn silent_receivers_take_the_request_and_say_nothing() -> Result<()> {
    for behaviour in [Behaviour::Silence, Behaviour::NeverShakesHands] {
        let hostile = Hostile::start(behaviour)?;
        let mut stream = TcpStream::connect(hostile.address()).await?;
        stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await?;
        eventually("the connection", SOON, async || {
            ensure!(hostile.connections() == 1, "{}", hostile.connections());
            Ok(())
        })
        .await?;
        // Whether it would speak later cannot be awaited; that it ends only with us can.
        drop(hostile);
        let mut said = Vec::new();
        let _ended = stream.read_to_end(&mut said).await;
        assert_eq!(said, b"", "{behaviour:?}");
    }
    Ok(())
}
