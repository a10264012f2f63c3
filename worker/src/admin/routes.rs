//! Which path answers what.
//!
//! Owns the bound on gathering reports: how many at once and how long. Every answer carries the
//! headers that keep a page of hostile texts harmless.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::Semaphore;

use super::Reporter;
use super::negotiate::prefers_page;
use super::page;
use super::problem::Problem;
use super::readiness;
use super::view::{TargetView, WorkerView};
use crate::background::Background;
use crate::report::{TargetReport, WorkerReport};
use crate::telemetry::exposition::{self, Gathered};
use crate::telemetry::process::Process;

/// Longest wait for a report, the wait for a turn included. A probe that waits longer than this learns
/// why; Kubernetes' default of 1 s does not (docs/admin.md).
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports that are gathered at once: each copies the counters and last attempts of every target.
const REPORTS_AT_ONCE: usize = 2;

/// No script, no request to anywhere, no frame; style only from the page itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the answers are made from.
struct Sources<R> {
    reporter: R,
    background: Background,
    turns: Semaphore,
}

type Shared<R> = State<Arc<Sources<R>>>;

pub(super) fn router<R: Reporter>(reporter: R, background: Background) -> Router {
    Router::new()
        .route("/", get(index::<R>))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz::<R>))
        .route("/metrics", get(metrics::<R>))
        .route("/targets", get(targets::<R>))
        .route("/targets/{namespace}/{name}", get(target::<R>))
        .route("/targets/{namespace}/{name}/retry", post(retry::<R>))
        .fallback(not_found)
        .method_not_allowed_fallback(other_method)
        .layer(axum::middleware::map_response(protect))
        .with_state(Arc::new(Sources {
            reporter,
            background,
            turns: Semaphore::new(REPORTS_AT_ONCE),
        }))
}

impl<R: Reporter> Sources<R> {
    async fn report(&self) -> Result<WorkerReport, Problem> {
        let gathered = async {
            // The semaphore is never closed; if it were, the report would come without a turn.
            let _turn = self.turns.acquire().await.ok();
            self.reporter.report().await
        };
        tokio::time::timeout(REPORT_TIMEOUT, gathered)
            .await
            .map_err(|_elapsed| {
                let seconds = REPORT_TIMEOUT.as_secs();
                let detail = format!("the worker's shards did not answer within {seconds} s");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            })
    }
}

async fn index<R: Reporter>(sources: Shared<R>) -> Result<Response, Problem> {
    let now = crate::clock::unix_millis();
    let report = sources.report().await?;
    let view = WorkerView::new(&report, now);
    Ok(Html(page::Index { view: &view, now }.to_string()).into_response())
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz<R: Reporter>(sources: Shared<R>) -> (StatusCode, String) {
    let missing = match sources.report().await {
        Ok(report) => readiness::missing(&report).join("\n"),
        Err(problem) => problem.detail,
    };
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let text = format!("not ready:\n{missing}\n");
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn metrics<R: Reporter>(sources: Shared<R>) -> Result<Response, Problem> {
    let gathered = Gathered {
        now: crate::clock::unix_millis(),
        report: sources.report().await?,
        background: sources.background.totals(),
        process: Process::read(),
    };
    let text = gathered.render().map_err(|error| {
        let detail = format!("the metrics could not be written: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response())
}

async fn targets<R: Reporter>(sources: Shared<R>, headers: HeaderMap) -> Result<Response, Problem> {
    if prefers_page(&headers) {
        return index(sources).await;
    }
    let now = crate::clock::unix_millis();
    let report = sources.report().await?;
    Ok(Json(WorkerView::new(&report, now)).into_response())
}

async fn target<R: Reporter>(
    sources: Shared<R>,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let now = crate::clock::unix_millis();
    let found = find(&sources, path).await?;
    let view = TargetView::new(&found);
    if prefers_page(&headers) {
        let page = page::Detail { view: &view, now };
        return Ok(Html(page.to_string()).into_response());
    }
    Ok(Json(view).into_response())
}

/// What waits for its next attempt is due now. Harmless when nothing does, and so is asking twice.
async fn retry<R: Reporter>(
    sources: Shared<R>,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    // A page of somebody else's, in the browser of a person who can reach this port.
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        let detail = "pages of other sites may not do this";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let found = find(&sources, path).await?;
    let target = &found.target;
    tracing::info!(
        event = "target.retry", namespace = %target.namespace, target = %target.name,
        "a person asks for an attempt now"
    );
    sources.reporter.retry(target.uid).await;
    Ok(StatusCode::ACCEPTED)
}

/// The target that a path names.
async fn find<R: Reporter>(
    sources: &Sources<R>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<TargetReport, Problem> {
    let Path((namespace, name)) =
        path.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let found = sources.report().await?.targets.into_values();
    let mut found =
        found.filter(|report| report.target.namespace == namespace && report.target.name == name);
    found.next().ok_or_else(|| {
        let detail =
            "this worker runs no target of that namespace and name; GET /targets lists them";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

async fn not_found() -> Problem {
    let detail = "the paths are /, /livez, /readyz, /metrics, /targets, /targets/NAMESPACE/NAME and \
         /targets/NAMESPACE/NAME/retry";
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn other_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "use GET, and POST only for /targets/NAMESPACE/NAME/retry",
    )
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
