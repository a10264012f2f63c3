//! What the admin port answers, asked over real connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::view::WorkerView;
use super::*;
use crate::report::WorkerReport;
use crate::telemetry::captured::Captured;

/// Answers with the fixture, with an empty report, or not at all.
#[derive(Clone, Default)]
struct Fake {
    empty: Arc<AtomicBool>,
    mute: Arc<AtomicBool>,
    retried: Arc<Mutex<Vec<Uuid>>>,
}

impl Reporter for Fake {
    async fn report(&self) -> WorkerReport {
        if self.mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.empty.load(Ordering::SeqCst) {
            WorkerReport::default()
        } else {
            fixture::report()
        }
    }

    async fn retry(&self, target: Uuid) {
        self.retried.lock().unwrap().push(target);
    }
}

/// A served admin port.
struct Served {
    fake: Fake,
    background: Background,
    address: SocketAddr,
    client: reqwest::Client,
}

struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Served {
    fn new() -> Self {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let fake = Fake::default();
        let background = Background::new();
        let admin = Admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = admin.address();
        let stop = background.stopping();
        admin.serve(&background, fake.clone(), stop).unwrap();
        Self {
            fake,
            background,
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let response = self
            .client
            .get(url)
            .header(ACCEPT, accept)
            .send()
            .await
            .unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.background.stop();
    }
}

#[test]
fn the_json_of_a_report_stays_as_it_is() {
    let view = WorkerView::new(&fixture::report(), fixture::NOW);
    let json = serde_json::to_string_pretty(&view).unwrap();
    let json = json.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(json);
}

#[tokio::test]
async fn a_down_target_leaves_the_worker_live_and_ready() {
    let served = Served::new();
    for path in ["/livez", "/readyz"] {
        let answer = served.get(path, "*/*").await;
        assert_eq!(
            (answer.status, &*answer.body),
            (StatusCode::OK, "ok\n"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let served = Served::new();
    served.fake.empty.store(true, Ordering::SeqCst);
    let answer = served.get("/readyz", "*/*").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body,
        "not ready:\nthe targets were not loaded yet\n\
         the consumer group has not answered with an assignment yet\n"
    );
    assert_eq!(served.get("/livez", "*/*").await.status, StatusCode::OK);
}

#[tokio::test]
async fn shards_that_do_not_answer_are_named_while_the_worker_stays_live() {
    let served = Served::new();
    served.fake.mute.store(true, Ordering::SeqCst);
    let paths = ["/readyz", "/metrics", "/targets", "/"];
    let answers = futures::future::join_all(paths.map(|path| served.get(path, "*/*"))).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            answer.body.contains("did not answer within 2 s"),
            "{}",
            answer.body
        );
    }
    assert_eq!(served.get("/livez", "*/*").await.status, StatusCode::OK);
    served.fake.mute.store(false, Ordering::SeqCst);
    assert_eq!(served.get("/readyz", "*/*").await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_come_in_the_format_that_they_say() {
    let served = Served::new();
    let answer = served.get("/metrics", "*/*").await;
    assert_eq!(
        answer.headers[CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(answer.body.ends_with("# EOF\n"));
    for line in [
        "parcelhook_target_up{namespace=\"shop\",target=\"billing\"} 0\n",
        "parcelhook_worker_background_in_flight{task=\"admin\"} 1\n",
        "process_resident_memory_bytes ",
    ] {
        assert!(answer.body.contains(line), "{line}");
    }
}

#[tokio::test]
async fn targets_are_json_for_programs_and_a_page_for_browsers() {
    let served = Served::new();
    let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (path, accept, kind) in [
        ("/targets", "*/*", "application/json"),
        ("/targets", browser, "text/html; charset=utf-8"),
        ("/", "*/*", "text/html; charset=utf-8"),
        ("/targets/shop/billing", "*/*", "application/json"),
        ("/targets/shop/billing", browser, "text/html; charset=utf-8"),
    ] {
        let answer = served.get(path, accept).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers[CONTENT_TYPE], kind, "{path} {accept}");
        assert!(answer.body.contains("billing"), "{path} {accept}");
        assert!(!answer.body.contains(fixture::SECRET), "{path} {accept}");
    }
}

#[tokio::test]
async fn every_answer_forbids_script() {
    let served = Served::new();
    for path in ["/", "/targets", "/metrics", "/livez", "/nowhere"] {
        let answer = served.get(path, "text/html").await;
        let policy = answer.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{path}");
        assert_eq!(
            answer.headers["x-content-type-options"], "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let served = Served::new();
    for path in ["/nowhere", "/targets/shop/unknown"] {
        let answer = served.get(path, "*/*").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            answer.headers[CONTENT_TYPE], "application/problem+json",
            "{path}"
        );
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["status"], 404, "{path}");
        assert_eq!(problem["title"], "Not Found", "{path}");
    }
    let url = format!("http://{}/targets", served.address);
    let posted = served.client.post(url).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.headers()[CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn the_port_closes_when_it_is_told_to() {
    let served = Served::new();
    assert_eq!(served.get("/livez", "*/*").await.status, StatusCode::OK);
    let deadline = crate::clock::now() + std::time::Duration::from_secs(60);
    let leftover = served.background.shutdown(deadline).await;
    assert_eq!(leftover, crate::background::Leftover::default());
}

#[test]
fn the_address_is_logged_for_who_asked_for_any_port() {
    let lines = Captured::default();
    let _guard = lines.capture();
    let served = Served::new();
    let address = served.address;
    let text = lines.text();
    assert!(
        text.contains(&format!("admin listening on {address} address={address}")),
        "{text}"
    );
}

#[test]
fn a_taken_address_is_named_with_the_fix() {
    let first = Admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = Admin::bind(first.address()).unwrap_err().to_string();
    assert!(error.contains(&first.address().to_string()), "{error}");
    assert!(error.contains("--admin-listen"), "{error}");
}

#[tokio::test]
async fn a_person_may_have_a_target_tried_now_and_nobody_elses_page_may() {
    let served = Served::new();
    let url = |path: &str| format!("http://{}/targets/{path}", served.address);
    let post = async |path: &str, site: Option<&str>| {
        let mut request = served.client.post(url(path));
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        request.send().await.unwrap().status()
    };
    assert_eq!(post("shop/billing/retry", None).await, StatusCode::ACCEPTED);
    assert_eq!(served.fake.retried.lock().unwrap().len(), 1);
    assert_eq!(post("shop/none/retry", None).await, StatusCode::NOT_FOUND);
    let foreign = post("shop/billing/retry", Some("cross-site")).await;
    assert_eq!(foreign, StatusCode::FORBIDDEN);
    assert_eq!(
        post("shop/billing", None).await,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let read = served.client.get(url("shop/billing/retry")).send().await;
    assert_eq!(read.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(served.fake.retried.lock().unwrap().len(), 1);
}
