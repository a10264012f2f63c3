//! As much of HTTP/1.1 as a receiver needs that must decide about every byte and every reset itself.

use std::{
    io::{Error, ErrorKind, Result},
    time::Duration,
};

use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The most of a request's head; the worker's are far smaller.
const HEAD_BYTES: usize = 64 << 10;
/// The most of a request's body: `transaction.maxBytes` and what the format adds.
const BODY_BYTES: usize = 16 << 20;

/// The pause between the bytes of a slow body.
const TRICKLE: Duration = Duration::from_millis(200);

/// A whole request.
#[derive(Debug)]
pub(super) struct Request {
    head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A header's value; names are lower case on the wire or not.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// Reads the next request of a connection; none when the client has closed it in between.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Option<Request>> {
    let mut bytes = Vec::with_capacity(4 << 10);
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > HEAD_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return match bytes.is_empty() {
                true => Ok(None),
                false => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    let length: usize = length.ok_or(ErrorKind::InvalidData)?;
    if length > BODY_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(Request { head, body }))
}

/// Sends an answer without a body.
pub(super) async fn answer(stream: &mut TcpStream, status: u16, headers: &str) -> Result<()> {
    let text = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await
}

/// Sends the head of a 200 whose body never comes.
pub(super) async fn only_head(stream: &mut TcpStream) -> Result<()> {
    let head = b"HTTP/1.1 200 -\r\ncontent-length: 10\r\n\r\n";
    stream.write_all(head).await
}

/// Sends the head of a 200 whose body comes byte by byte, until the client hangs up.
pub(super) async fn head_and_trickle(stream: &mut TcpStream) -> Result<()> {
    let head = b"HTTP/1.1 200 -\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await?;
    while timeout(TRICKLE, hung_up(stream)).await.is_err() {
        stream.write_all(b"x").await?;
    }
    Ok(())
}

/// Sends what could become an answer.
pub(super) async fn half_a_line(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"HTTP/1.1 20").await
}

/// Waits until the client hangs up. It has nothing to say before it has an answer.
pub(super) async fn hung_up(stream: &mut TcpStream) {
    let mut byte = [0; 1];
    // Both an end and an error are the client's leave.
    let _ = stream.read(&mut byte).await;
}

/// Whether the client has not hung up yet, by the kernel's own word at this moment.
pub(super) fn is_there(stream: &TcpStream) -> bool {
    let mut byte = [0; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match recv(stream, &mut byte, flags) {
        Ok((read, _)) => read > 0,
        Err(error) => error == rustix::io::Errno::AGAIN,
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn requests_of_one_connection_are_read_one_by_one() {
        let (mut client, mut server) = pair().await;
        for body in ["one", ""] {
            let length = body.len();
            let text = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\nA: b\r\n\r\n{body}");
            client.write_all(text.as_bytes()).await.unwrap();
            let request = read(&mut server).await.unwrap().unwrap();
            assert_eq!(
                (request.body, request.head.is_empty()),
                (body.into(), false)
            );
        }
        drop(client);
        assert!(read(&mut server).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_client_that_hung_up_is_noticed_at_once() {
        let (client, server) = pair().await;
        assert!(is_there(&server));
        drop(client);
        assert!(!is_there(&server));
    }
}
