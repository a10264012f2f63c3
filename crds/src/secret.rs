//! A secret value: what was read from a Secret, and is never printed.
//!
//! Owns the bytes and wipes them when dropped. `Debug` shows a placeholder, there is no `Display`
//! and no way to serialize it by accident: a caller must say `expose`.

use secrecy::{ExposeSecret, SecretBox};

/// Bytes that never appear in logs, metrics, status, errors or `Debug`.
pub struct Secret(SecretBox<[u8]>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(SecretBox::from(bytes.into().into_boxed_slice()))
    }

    /// The bytes themselves. Only the code that puts them on the wire calls this.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(self.expose())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "[redacted] Some([redacted])"
        );
    }
}
