//! The three demo receivers: webhooks on one port of the loopback device, one path each.
//!
//! Owns what they saw. Each answers by its own rule and checks the order of what it accepted. They
//! keep no event.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, post};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::clock;

use super::order::{OrderWatch, Tally};

/// Header that names the target of a request.
const TARGET_HEADER: &str = "parcelhook-target";

/// Largest request, bytes: a transaction of 1 MiB, in a format that escapes it, and room.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// How long the slow receiver takes for a request.
pub(super) const SLOW_ANSWER: Duration = Duration::from_millis(800);

/// The flaky receiver's rhythm.
const MINUTE: Duration = Duration::from_secs(60);

/// It starts healthy, so that a person sees UP first.
const FAILS_FROM: Duration = Duration::from_secs(15);

/// 20 s later it is healthy for the rest of the minute.
const FAILS_UNTIL: Duration = Duration::from_secs(35);

/// The receivers by the last part of their URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Accepts everything at once.
    Steady,
    /// Answers 503 for 20 s of each minute.
    Flaky,
    /// Accepts everything, late.
    Slow,
}

impl Manner {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Steady, Self::Flaky, Self::Slow];

    /// The path without its slash.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Flaky => "flaky",
            Self::Slow => "slow",
        }
    }

    /// What a person should know about it.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::Steady => "accepts everything",
            Self::Flaky => "answers 503 for 20 s of each minute",
            Self::Slow => "takes 0.8 s for each request",
        }
    }

    /// How it answers a request that comes that long after the start.
    fn answer(self, elapsed: Duration) -> Answer {
        let within_minute =
            Duration::from_millis((elapsed.as_millis() % MINUTE.as_millis()) as u64);
        match self {
            Self::Steady => Answer::Accept(Duration::ZERO),
            Self::Slow => Answer::Accept(SLOW_ANSWER),
            Self::Flaky if (FAILS_FROM..FAILS_UNTIL).contains(&within_minute) => Answer::Refuse,
            Self::Flaky => Answer::Accept(Duration::ZERO),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// 204, after this time.
    Accept(Duration),
    /// 503.
    Refuse,
}

/// The receivers, bound to their port.
pub(super) struct Receivers {
    listener: TcpListener,
    address: SocketAddr,
    started: Instant,
    seen: Seen,
}

/// What the receivers saw. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<[Mutex<OrderWatch>; 3]>);

impl Seen {
    /// The counts of one receiver.
    pub(super) fn tally(&self, manner: Manner) -> Tally {
        self.with(manner, |watch| watch.tally())
    }

    fn with<R>(&self, manner: Manner, look: impl FnOnce(&mut OrderWatch) -> R) -> R {
        let mut watch = self.0[manner as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        look(&mut watch)
    }
}

impl Receivers {
    /// Takes a free port. The flaky receiver's minutes count from `started`.
    pub(super) async fn bind(started: Instant) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            started,
            seen: Seen::default(),
        })
    }

    /// Where they listen.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What they see from now on.
    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Answers requests until dropped.
    pub(super) async fn serve(self) -> io::Result<Infallible> {
        let mut router = Router::new();
        for manner in Manner::ALL {
            let path = format!("/{}", manner.name());
            router = router.route(&path, self.receiver(manner));
        }
        let router = router.layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
        axum::serve(self.listener, router).await?;
        Err(io::Error::other("the demo receivers ended by themselves"))
    }

    fn receiver(&self, manner: Manner) -> MethodRouter {
        let started = self.started;
        let receive = move |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
            let elapsed = clock::now().saturating_duration_since(started);
            match manner.answer(elapsed) {
                Answer::Refuse => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "this demo receiver is down for 20 s of each minute\n",
                ),
                Answer::Accept(after) => {
                    tokio::time::sleep(after).await;
                    accept(&seen, manner, &headers, &body);
                    (StatusCode::NO_CONTENT, "")
                }
            }
        };
        post(receive).put(receive).with_state(self.seen())
    }
}

fn accept(seen: &Seen, manner: Manner, headers: &HeaderMap, body: &[u8]) {
    let target = headers
        .get(TARGET_HEADER)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    seen.with(manner, |watch| match event_ids(body) {
        Some(ids) => ids.iter().for_each(|id| watch.event(target, id)),
        None => watch.unreadable(),
    });
}

/// The ids of the events of a request: a batch of CloudEvents, one, or `{"events":[…]}`.
fn event_ids(body: &[u8]) -> Option<Vec<Cow<'_, str>>> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body<'a> {
        Batch(#[serde(borrow)] Vec<Event<'a>>),
        Json {
            #[serde(borrow)]
            events: Vec<Event<'a>>,
        },
        One(#[serde(borrow)] Event<'a>),
    }
    let events = match serde_json::from_slice(body).ok()? {
        Body::Batch(events) | Body::Json { events } => events,
        Body::One(event) => vec![event],
    };
    Some(events.into_iter().map(|event| event.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: Answer = Answer::Accept(Duration::ZERO);

    #[test]
    fn the_flaky_receiver_is_down_for_20_s_of_each_minute_and_starts_healthy() {
        for (seconds, expected) in [
            (0.0, ACCEPT),
            (14.999, ACCEPT),
            (15.0, Answer::Refuse),
            (34.999, Answer::Refuse),
            (35.0, ACCEPT),
            (60.0, ACCEPT),
            (75.0, Answer::Refuse),
            (3600.0 + 34.9, Answer::Refuse),
            (3600.0 + 35.0, ACCEPT),
        ] {
            let elapsed = Duration::from_secs_f64(seconds);
            assert_eq!(Manner::Flaky.answer(elapsed), expected, "{seconds} s");
        }
        let down = (0..60)
            .filter(|second| Manner::Flaky.answer(Duration::from_secs(*second)) == Answer::Refuse)
            .count();
        assert_eq!(down, 20);
    }

    #[test]
    fn the_others_accept_at_any_time() {
        for seconds in 0..120 {
            let elapsed = Duration::from_secs(seconds);
            assert_eq!(Manner::Steady.answer(elapsed), ACCEPT);
            assert_eq!(Manner::Slow.answer(elapsed), Answer::Accept(SLOW_ANSWER));
        }
    }

    #[test]
    fn ids_are_found_in_every_format_that_has_them() {
        for (body, expected) in [
            (
                r#"[{"id":"o/0/1","data":{"id":7}},{"id":"o/0/2"}]"#,
                Some(vec!["o/0/1", "o/0/2"]),
            ),
            (
                r#"{"events":[{"id":"o/0/1","data":null}]}"#,
                Some(vec!["o/0/1"]),
            ),
            (
                r#"{"specversion":"1.0","id":"o\/0\/1"}"#,
                Some(vec!["o/0/1"]),
            ),
            ("[]", Some(vec![])),
            (r#"{"order":"ord-1"}"#, None),
            ("plain", None),
            ("", None),
        ] {
            let ids = event_ids(body.as_bytes());
            let ids = ids.map(|ids| ids.into_iter().map(Cow::into_owned).collect::<Vec<_>>());
            let expected = expected.map(|ids| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(ids, expected, "{body}");
        }
    }

    async fn status(address: SocketAddr, path: &str, body: &'static str) -> u16 {
        use http_body_util::Full;
        use hyper_util::rt::TokioIo;
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let request = http::Request::post(path)
            .header("host", address.to_string())
            .header(TARGET_HEADER, "default/steady")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        tokio::select! {
            response = sender.send_request(request) => response.unwrap().status().as_u16(),
            ended = connection => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn a_receiver_counts_what_it_accepted_and_nothing_else() {
        let started = clock::now().checked_sub(FAILS_FROM).unwrap();
        let receivers = Receivers::bind(started).await.unwrap();
        let (address, seen) = (receivers.address(), receivers.seen());
        let requests = async {
            let body = r#"[{"id":"orders/0/0"},{"id":"orders/0/1"}]"#;
            assert_eq!(status(address, "/steady", body).await, 204);
            assert_eq!(status(address, "/flaky", body).await, 503);
            assert_eq!(status(address, "/steady", "raw").await, 204);
            assert_eq!(status(address, "/unknown", body).await, 404);
        };
        tokio::select! {
            ended = receivers.serve() => panic!("{ended:?}"),
            () = requests => {}
        }
        let steady = seen.tally(Manner::Steady);
        assert_eq!((steady.received, steady.unchecked, steady.late), (2, 1, 0));
        assert_eq!(seen.tally(Manner::Flaky), Tally::default());
    }
}
