//! Errors of the admin API, as RFC 9457 describes them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A problem: what went wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) detail: String,
}

/// The document. Its `type` is left out, which means that the title is the status code's.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        // Strings and a number always serialize; an empty body would still have the status.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let head = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, head, body).into_response()
    }
}
