//! Short names for long things: the first 128 bits of a SHA-256 over length-prefixed fields.
//!
//! The algorithm is fixed: ids that receivers stored must stay the same across releases. Fields are
//! length-prefixed, so that `("ab", "c")` and `("a", "bc")` differ.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Context, SHA256};

/// Bytes that are kept of the SHA-256.
pub(super) const DIGEST_BYTES: usize = 16;

/// A digest that is being fed.
pub(super) struct Digest(Context);

impl Digest {
    /// Starts a digest. `domain` keeps digests of different things apart.
    pub(super) fn new(domain: &str) -> Self {
        let mut digest = Self(Context::new(&SHA256));
        digest.field(domain.as_bytes());
        digest
    }

    /// Adds a field: its length as 64 bits, little-endian, then its bytes.
    pub(super) fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds a list: how many items, then each as a field.
    pub(super) fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.0.update(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.field(item);
        }
    }

    /// The first 128 bits.
    pub(super) fn finish(self) -> [u8; DIGEST_BYTES] {
        let hash = self.0.finish();
        let mut short = [0; DIGEST_BYTES];
        for (to, from) in short.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        short
    }
}

/// Appends 16 bytes as 22 characters of unpadded base64url: safe in headers, paths and JSON.
pub(super) fn push_base64url(out: &mut String, bytes: &[u8; DIGEST_BYTES]) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}
