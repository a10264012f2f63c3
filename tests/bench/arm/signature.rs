//! Standard Webhooks headers, as a loop would make them: id, timestamp, `v1` signature.
//!
//! Source: <https://www.standardwebhooks.com>, version 1.0.0.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use parcelhook_worker::clock;
use rdkafka::{Message as _, message::BorrowedMessage};
use ring::hmac;

/// The key of all signatures in the bench.
pub(crate) const KEY: &[u8] = b"thirty-two bytes, secret to none";

/// Signs with [`KEY`].
#[derive(Debug)]
pub(super) struct Signer(hmac::Key);

impl Signer {
    pub(super) fn new() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, KEY))
    }

    /// The three headers for an event that is sent with this body.
    pub(super) fn headers(
        &self,
        event: &BorrowedMessage<'_>,
        body: &[u8],
    ) -> [(&'static str, String); 3] {
        let id = format!("{}-{}-{}", event.topic(), event.partition(), event.offset());
        let timestamp = (clock::unix_millis() / 1_000).to_string();
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        let signature = format!("v1,{}", BASE64.encode(context.sign()));
        [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ]
    }
}
