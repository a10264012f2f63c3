//! Standard Webhooks signatures, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`.
//!
//! One signature a key, newest key first, so that a receiver may hold the old key or the new one while
//! a key rotates. Source: <https://www.standardwebhooks.com>, version 1.0.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use parcelhook_crds::secret::Secret;
use ring::hmac;

use super::PrepareError;

/// Keys a target may have: the present one and those that are being retired.
pub(crate) const MAX_KEYS: usize = 4;

const SCHEME: &[u8] = b"v1,";
/// A SHA-256 tag of 32 bytes in padded base64.
const TAG_BASE64_BYTES: usize = 44;
const ONE_BYTES: usize = SCHEME.len() + TAG_BASE64_BYTES;
/// All signatures and the spaces between them.
const MAX_HEADER_BYTES: usize = MAX_KEYS * (ONE_BYTES + 1) - 1;

/// The signing keys of one target, with their HMAC state prepared. Without keys nothing is signed.
pub(crate) struct Signer {
    keys: Vec<hmac::Key>,
}

impl Signer {
    /// Prepares `keys`, newest first.
    ///
    /// # Errors
    /// When a key is empty, or there are more than [`MAX_KEYS`].
    pub(crate) fn new(keys: &[Secret]) -> Result<Self, PrepareError> {
        let refuse = |message: &str| {
            Err(PrepareError {
                field: "spec.signing.keySecretRefs",
                message: message.to_owned(),
            })
        };
        if keys.len() > MAX_KEYS {
            return refuse("at most 4 keys can sign");
        }
        if keys.iter().any(|key| key.expose().is_empty()) {
            return refuse("a key is empty; put 24 to 64 random bytes into its Secret");
        }
        let keys = keys
            .iter()
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
            .collect();
        Ok(Self { keys })
    }

    /// Whether there is a key.
    pub(crate) fn signs(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The `webhook-signature` of these exact bytes; none without a key.
    ///
    /// Allocates the header value and nothing else.
    pub(crate) fn sign(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> Option<HeaderValue> {
        let mut header = [b' '; MAX_HEADER_BYTES];
        let mut used = 0;
        for (place, key) in header.chunks_mut(ONE_BYTES + 1).zip(&self.keys) {
            let mut context = hmac::Context::with_key(key);
            for part in [id, b".", timestamp, b".", body] {
                context.update(part);
            }
            let (scheme, tag) = place.split_at_mut(SCHEME.len());
            scheme.copy_from_slice(SCHEME);
            // The place is as long as a tag in base64, so this always fits.
            let _written = BASE64.encode_slice(context.sign(), &mut tag[..TAG_BASE64_BYTES]);
            used += place.len();
        }
        let text = header[..used].trim_ascii_end();
        // Base64 is always a valid header value.
        self.signs()
            .then(|| HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(base64: &str) -> Secret {
        Secret::new(BASE64.decode(base64).unwrap())
    }

    fn sign(keys: &[Secret], id: &str, timestamp: &str, body: &str) -> String {
        let signer = Signer::new(keys).unwrap();
        let header = signer
            .sign(id.as_bytes(), timestamp.as_bytes(), body.as_bytes())
            .unwrap();
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_published_vectors_are_reproduced() {
        let vectors = [
            (
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                "1649367553",
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ];
        for (secret, id, timestamp, body, expected) in vectors {
            assert_eq!(sign(&[key(secret)], id, timestamp, body), expected);
        }
    }

    #[test]
    fn each_key_signs_in_its_order_with_one_space_between() {
        let keys: Vec<Secret> = (1u8..=4).map(|byte| Secret::new(vec![byte; 24])).collect();
        let singly: Vec<String> = keys
            .iter()
            .map(|key| sign(std::slice::from_ref(key), "id", "1", "body"))
            .collect();
        for count in 1..=4 {
            assert_eq!(
                sign(&keys[..count], "id", "1", "body"),
                singly[..count].join(" ")
            );
        }
    }

    #[test]
    fn without_a_key_nothing_is_signed() {
        assert!(Signer::new(&[]).unwrap().sign(b"id", b"1", b"").is_none());
    }

    #[test]
    fn an_empty_key_and_a_fifth_key_are_refused() {
        assert!(Signer::new(&[Secret::new("")]).is_err());
        assert!(Signer::new(&vec![Secret::new("key"); 5]).is_err());
    }
}
