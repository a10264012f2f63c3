//! Format `Raw`: the body is the record's value, byte for byte and without a copy.
//!
//! Key, headers and coordinates are not sent; the transaction id names the one event.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::EncodedBody;
use super::media_type::MediaType;
use crate::source::record::Record;

/// Header of a request whose event has no value at all, unlike an empty one.
const TOMBSTONE: HeaderName = HeaderName::from_static("parcelhook-tombstone");

pub(super) fn encode(record: &Record) -> EncodedBody {
    match record.value_bytes() {
        Some(body) => EncodedBody {
            body,
            content_type: Some(content_type(record)),
            headers: Vec::new(),
        },
        None => EncodedBody {
            body: Bytes::new(),
            content_type: None,
            headers: vec![(TOMBSTONE, HeaderValue::from_static("true"))],
        },
    }
}

/// The declared type when it is one, else the truth about the bytes.
fn content_type(record: &Record) -> HeaderValue {
    let declared = MediaType::declared(record)
        .and_then(|media_type| HeaderValue::from_str(media_type.as_str()).ok());
    declared.unwrap_or_else(|| {
        HeaderValue::from_static(if record.is_json() {
            "application/json"
        } else {
            "application/octet-stream"
        })
    })
}
