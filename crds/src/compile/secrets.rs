//! Reading values out of Secrets: what each kind of value may hold.
//!
//! Secrets are written by people and editors, so exactly one trailing line break is cut from texts.
//! Any other control byte is an error, because it would change the request's head. Errors are
//! collected here and never show a value.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{CompileError, pem};
use crate::secret::Secret;

/// Longest text: a request's head has to carry it, and servers take 8 KiB or little more of that.
const TEXT_MAX_BYTES: usize = 8 * 1024;
/// Longest PEM: the most that a Kubernetes Secret holds.
const PEM_MAX_BYTES: usize = 1024 * 1024;
/// Lengths of a decoded key, from the Standard Webhooks specification.
const SIGNING_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Base64 as people paste it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where Secrets are read from: a directory, or the API server's answers.
pub trait SecretSource {
    /// The value of one key; `None` when the Secret lacks that key.
    fn get(&self, name: &str, key: &str) -> Result<Option<Secret>, SecretLookupError>;
}

/// Why a Secret's keys are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretLookupError {
    /// There is no such Secret.
    #[error("not found")]
    NotFound,
    /// It could not be read, for the reason given, which must hold nothing of its content.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads values and keeps what went wrong.
pub(super) struct Resolver<'a, S> {
    source: &'a S,
    errors: Vec<CompileError>,
}

impl<'a, S: SecretSource> Resolver<'a, S> {
    pub(super) fn new(source: &'a S) -> Self {
        Self {
            source,
            errors: Vec::new(),
        }
    }

    pub(super) fn into_errors(self) -> Vec<CompileError> {
        self.errors
    }

    pub(super) fn refuse(&mut self, error: CompileError) {
        self.errors.push(error);
    }

    pub(super) fn refuse_value(
        &mut self,
        field: &str,
        name: &str,
        key: &str,
        message: impl Into<String>,
    ) {
        self.refuse(CompileError::InvalidSecretValue {
            field: field.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// A token, password, URL or header value, without its one trailing line break.
    pub(super) fn text(&mut self, field: &str, name: &str, key: &str) -> Option<Secret> {
        let value = self.bytes(field, name, key)?;
        match text(value.expose()) {
            Ok(text) => Some(Secret::new(text)),
            Err(message) => {
                self.refuse_value(field, name, key, message);
                None
            }
        }
    }

    /// A user name: a text without a colon, which ends it in Basic credentials (RFC 7617).
    pub(super) fn username(&mut self, field: &str, name: &str, key: &str) -> Option<Secret> {
        let username = self.text(field, name, key)?;
        if username.expose().contains(&b':') {
            self.refuse_value(field, name, key, "must not contain a colon");
            return None;
        }
        Some(username)
    }

    /// The bytes of a Standard Webhooks signing key.
    pub(super) fn signing_key(&mut self, field: &str, name: &str, key: &str) -> Option<Secret> {
        let written = self.text(field, name, key)?;
        match signing_key(written.expose()) {
            Ok(bytes) => Some(Secret::new(bytes)),
            Err(message) => {
                self.refuse_value(field, name, key, message);
                None
            }
        }
    }

    /// PEM with at least one block of a kind.
    pub(super) fn pem(
        &mut self,
        field: &str,
        name: &str,
        key: &str,
        kind: pem::Kind,
    ) -> Option<Secret> {
        let value = self.bytes(field, name, key)?;
        if value.expose().len() > PEM_MAX_BYTES {
            let message = format!("must be at most {PEM_MAX_BYTES} bytes");
            self.refuse_value(field, name, key, message);
            return None;
        }
        if let Err(message) = pem::check(value.expose(), kind) {
            self.refuse_value(field, name, key, message);
            return None;
        }
        Some(value)
    }

    fn bytes(&mut self, field: &str, name: &str, key: &str) -> Option<Secret> {
        let (field, name) = (field.to_owned(), name.to_owned());
        let error = match self.source.get(&name, key) {
            Ok(Some(value)) => return Some(value),
            Ok(None) => CompileError::SecretKeyNotFound {
                field,
                name,
                key: key.to_owned(),
            },
            Err(SecretLookupError::NotFound) => CompileError::SecretNotFound { field, name },
            Err(SecretLookupError::Unreadable(cause)) => {
                CompileError::SecretUnreadable { field, name, cause }
            }
        };
        // A Secret of which two keys are wanted is missing once.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
        None
    }
}

fn text(value: &[u8]) -> Result<&[u8], String> {
    let text = value
        .strip_suffix(b"\r\n")
        .or_else(|| value.strip_suffix(b"\n"))
        .unwrap_or(value);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > TEXT_MAX_BYTES {
        return Err(format!("must be at most {TEXT_MAX_BYTES} bytes"));
    }
    if text.iter().any(u8::is_ascii_control) {
        return Err(
            "contains a control byte, such as a tab or a second line break; remove it".to_owned(),
        );
    }
    Ok(text)
}

fn signing_key(written: &[u8]) -> Result<Vec<u8>, String> {
    let encoded = written.strip_prefix(b"whsec_").unwrap_or(written);
    let key = BASE64
        .decode(encoded)
        .map_err(|_| "is no signing key: write 'whsec_' and the key in base64".to_owned())?;
    if SIGNING_KEY_BYTES.contains(&key.len()) {
        return Ok(key);
    }
    Err(format!(
        "is no signing key: it has {} bytes, and must have from {} to {}",
        key.len(),
        SIGNING_KEY_BYTES.start(),
        SIGNING_KEY_BYTES.end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_trailing_line_break_is_cut() {
        for (value, expected) in [
            (&b"token"[..], Some(&b"token"[..])),
            (b"token\n", Some(b"token")),
            (b"token\r\n", Some(b"token")),
            (b"pass word ", Some(b"pass word ")),
            (b"p\xc3\xa4ss\n", Some(b"p\xc3\xa4ss")),
            (b"token\n\n", None),
            (b"token\r", None),
            (b"to\nken", None),
            (b"to\tken", None),
            (b"to\0ken", None),
            (b"token\x7f", None),
            (b"", None),
            (b"\n", None),
        ] {
            assert_eq!(text(value).ok(), expected, "{value:?}");
        }
        assert!(text(&[b'x'; TEXT_MAX_BYTES]).is_ok());
        assert!(text(&[b'x'; TEXT_MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn signing_keys_are_base64_of_24_to_64_bytes_with_or_without_prefix() {
        let encode = |bytes: usize| BASE64.encode(vec![7; bytes]);
        for bytes in [24, 25, 32, 64] {
            let padded = encode(bytes);
            let bare = padded.trim_end_matches('=');
            for written in [
                padded.clone(),
                format!("whsec_{padded}"),
                format!("whsec_{bare}"),
            ] {
                assert_eq!(
                    signing_key(written.as_bytes()),
                    Ok(vec![7; bytes]),
                    "{written}"
                );
            }
        }
        for written in [
            encode(23),
            encode(65),
            "whsec_".to_owned(),
            "whsec_!".to_owned(),
            "whpk_AAAA".to_owned(),
        ] {
            assert!(signing_key(written.as_bytes()).is_err(), "{written}");
        }
    }
}
