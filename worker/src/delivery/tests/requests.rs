//! What arrives at a receiver, and what follows from its answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderValue, Response};
use parcelhook_crds::compiled::{Authentication, Method, RetryAfterPolicy};
use parcelhook_crds::secret::Secret;
use ring::hmac;

use super::super::egress::Policy;
use super::super::{Client, Deliver as _, Outcome, Reason};
use super::fixtures::{Receiver, Seen, answer, attempt, client, request, target};
use crate::clock;

fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    let mut values = seen.headers.get_all(name).iter();
    let value = values.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(values.next().is_none(), "{name} twice");
    value.to_str().unwrap()
}

#[tokio::test]
async fn a_receiver_sees_the_body_and_every_header() {
    let receiver = Receiver::status(204).await;
    let mut target = target(&receiver.url());
    target.endpoint.method = Method::Put;
    target.endpoint.headers = vec![("X-Mine".to_owned(), "1".to_owned())];
    target.authentication = Some(Authentication::Bearer(Secret::new("token")));
    let before = clock::unix_millis() / 1000;
    let attempt = attempt(target).await;

    assert_eq!(attempt.outcome, Outcome::Delivered);
    assert_eq!(
        (attempt.reason, attempt.status),
        (Reason::Delivered, Some(204))
    );
    assert_eq!(attempt.detail, None);
    let [seen] = &receiver.seen()[..] else {
        panic!("one request");
    };
    assert_eq!(
        (&seen.method, seen.path.as_str()),
        (&http::Method::PUT, "/hook")
    );
    assert_eq!(seen.body, request().body);
    for (name, value) in [
        ("webhook-id", "msg_1"),
        ("idempotency-key", "msg_1"),
        ("parcelhook-target", "shop/orders"),
        ("parcelhook-attempt", "3"),
        ("parcelhook-tombstone", "true"),
        ("traceparent", "00-0af7-b7ad-01"),
        ("content-type", "application/json"),
        ("content-length", "11"),
        (
            "user-agent",
            concat!("parcelhook/", env!("CARGO_PKG_VERSION")),
        ),
        ("authorization", "Bearer token"),
        ("x-mine", "1"),
        ("host", &receiver.address.to_string()),
    ] {
        assert_eq!(header(seen, name), value, "{name}");
    }
    let timestamp: i64 = header(seen, "webhook-timestamp").parse().unwrap();
    assert!((before..=clock::unix_millis() / 1000).contains(&timestamp));
    for absent in ["webhook-signature", "accept-encoding", "referer", "cookie"] {
        assert!(!seen.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn every_signature_verifies_over_what_arrived() {
    let receiver = Receiver::status(200).await;
    let keys = [[1u8; 24], [2; 24]];
    let mut target = target(&receiver.url());
    target.signing_keys = keys.iter().map(|key| Secret::new(&key[..])).collect();
    attempt(target).await;

    let seen = &receiver.seen()[0];
    let id_and_time = [
        header(seen, "webhook-id"),
        header(seen, "webhook-timestamp"),
    ]
    .join(".");
    let signed = [id_and_time.as_bytes(), b".", &seen.body].concat();
    let signatures: Vec<_> = header(seen, "webhook-signature").split(' ').collect();
    assert_eq!(signatures.len(), keys.len());
    for (signature, key) in signatures.iter().zip(keys) {
        let tag = BASE64
            .decode(signature.strip_prefix("v1,").unwrap())
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::verify(&key, &signed, &tag).unwrap();
    }
}

#[tokio::test]
async fn a_failure_keeps_its_status_and_the_words_of_the_receiver() {
    let receiver = Receiver::start(None, |_| answer(400, "no such \x1b[1mfield\x1b[0m")).await;
    let attempt = attempt(target(&receiver.url())).await;
    assert_eq!(attempt.outcome, Outcome::Rejected);
    assert_eq!(
        (attempt.reason, attempt.status),
        (Reason::Rejected, Some(400))
    );
    assert_eq!(attempt.detail.as_deref(), Some("no such field"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::status(200).await;
    let location = HeaderValue::from_str(&elsewhere.url()).unwrap();
    let receiver = Receiver::start(None, move |_| {
        let mut response = answer(307, "");
        response.headers_mut().insert("location", location.clone());
        response
    })
    .await;
    let attempt = attempt(target(&receiver.url())).await;
    assert_eq!(attempt.outcome, Outcome::Misconfigured);
    assert_eq!(attempt.reason, Reason::Redirected);
    assert_eq!((receiver.connections(), elsewhere.connections()), (1, 0));
}

fn busy(_: &Seen) -> Response<http_body_util::Full<bytes::Bytes>> {
    let mut response = answer(503, "");
    let wait = HeaderValue::from_static("3600");
    response.headers_mut().insert("retry-after", wait);
    response
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_the_longest_backoff() {
    let receiver = Receiver::start(None, busy).await;
    let target = target(&receiver.url());
    let longest = target.retry.max_backoff;
    assert_eq!(
        attempt(target).await.outcome,
        Outcome::Throttled {
            retry_after: Some(longest)
        }
    );
}

#[tokio::test]
async fn a_target_may_ignore_retry_after() {
    let receiver = Receiver::start(None, busy).await;
    let mut target = target(&receiver.url());
    target.retry.retry_after = RetryAfterPolicy::Ignore;
    assert_eq!(
        attempt(target).await.outcome,
        Outcome::Unavailable { retry_after: None }
    );
}

#[tokio::test]
async fn loopback_is_refused_unless_the_operator_opened_it() {
    let receiver = Receiver::status(200).await;
    let port = receiver.address.port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "0177.1", "localhost"] {
        let target = Arc::new(target(&format!("http://{host}:{port}/")));
        let closed = Client::new(Policy::default());
        let prepared = closed.prepare(&target).unwrap();
        let attempt = closed.attempt(&prepared, request()).await;
        assert_eq!(attempt.outcome, Outcome::Misconfigured, "{host}");
        assert_eq!(attempt.reason, Reason::EgressDenied, "{host}");
        assert_eq!(receiver.connections(), 0, "{host}");
    }
    for host in ["127.0.0.1", "0177.1", "localhost"] {
        let attempt = attempt(target(&format!("http://{host}:{port}/"))).await;
        assert_eq!(attempt.outcome, Outcome::Delivered, "{host}");
    }
}

/// The environment of a running process cannot be changed safely, so a second one is started.
#[test]
fn the_proxies_of_the_environment_are_ignored() {
    let path = "delivery::tests::requests::a_receiver_sees_the_body_and_every_header";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", path]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let echo = Receiver::start(None, |seen| {
        let text = format!("{:?} {}", seen.headers, seen.path);
        let mut response = answer(500, "");
        *response.body_mut() = http_body_util::Full::new(text.into());
        response
    })
    .await;
    // A label of 64 bytes never gets as far as a name server.
    let nowhere = format!("http://hunter2-{}.invalid", "a".repeat(57));
    let urls = [
        format!("{}/hunter2?key=hunter2", echo.url()),
        format!("{nowhere}/hunter2?key=hunter2"),
        "http://127.0.0.1:1/hunter2?key=hunter2".to_owned(),
        "https://127.0.0.1:1/hunter2?key=hunter2".to_owned(),
        "http://10.0.0.1/hunter2?key=hunter2".to_owned(),
    ];
    let reasons = [
        Reason::HttpStatus,
        Reason::NameNotResolved,
        Reason::ConnectionRefused,
        Reason::ConnectionRefused,
        Reason::EgressDenied,
    ];
    let client = client();
    for (url, reason) in urls.iter().zip(reasons) {
        let mut target = target(url);
        target.authentication = Some(Authentication::Bearer(Secret::new("hunter2")));
        target.signing_keys = vec![Secret::new("hunter2")];
        let prepared = client.prepare(&Arc::new(target)).unwrap();
        let attempt = client.attempt(&prepared, request()).await;
        assert_eq!(attempt.reason, reason, "{url}: {:?}", attempt.detail);
        assert!(attempt.detail.is_some(), "{url}");
        let shown = format!("{attempt:?} {prepared:?} {client:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
