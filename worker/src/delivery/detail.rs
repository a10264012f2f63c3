//! What is kept of a failed attempt's response, for people: little, printable, and without secrets.
//!
//! A response is hostile. It may drive the terminal that prints it, and it may echo the request: a
//! receiver's debug page shows its reader the credentials that came with the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parcelhook_crds::compiled::{Authentication, CompiledTarget};
use parcelhook_crds::secret::Secret;
use url::Url;

/// Bytes that are kept.
const MAX_BYTES: usize = 1024;
/// Bytes that are looked at: more than are kept, so that a secret across the cut is found whole.
pub(crate) const MAX_RAW_BYTES: usize = 16 * 1024;
/// Shorter values are no secrets, and hiding them would hide half the text.
const MIN_SECRET_BYTES: usize = 4;
const HIDDEN: &str = "[redacted]";

/// The secrets that go out with a target's requests and may come back. No `Debug`.
pub(crate) struct Redactor {
    /// Longest first, so that a secret within another one leaves no rest.
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Collects the credentials, and those parts of the URL that are not shown anyway.
    pub(crate) fn new(target: &CompiledTarget, url: &Url) -> Self {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        match &target.authentication {
            Some(Authentication::Bearer(token)) => secrets.push(token.expose().to_vec()),
            Some(Authentication::Basic { username, password }) => {
                let pair = [username.expose(), b":", password.expose()].concat();
                secrets.push(BASE64.encode(pair).into_bytes());
                secrets.push(password.expose().to_vec());
            }
            Some(Authentication::Header { name: _, value }) => {
                secrets.push(value.expose().to_vec())
            }
            None => {}
        }
        let shown = &target.endpoint.shown_url;
        secrets.extend(
            url_parts(url)
                .filter(|part| !shown.contains(part.as_str()))
                .map(String::into_bytes),
        );
        secrets.retain(|secret| secret.len() >= MIN_SECRET_BYTES);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let secrets = secrets.into_iter().map(Secret::new).collect();
        Self { secrets }
    }

    /// At most 1 KiB of `raw`: text, without control characters, without the secrets. None when nothing
    /// is left.
    pub(crate) fn clean(&self, raw: &[u8]) -> Option<String> {
        let raw = &raw[..raw.len().min(MAX_RAW_BYTES)];
        let mut text = printable(&String::from_utf8_lossy(raw));
        for secret in &self.secrets {
            if let Ok(secret) = std::str::from_utf8(secret.expose())
                && text.contains(secret)
            {
                text = text.replace(secret, HIDDEN);
            }
        }
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The URL's host, path and query, and the values within the query, as they are written and decoded.
fn url_parts(url: &Url) -> impl Iterator<Item = String> {
    let whole = [url.host_str(), Some(url.path()), url.query()];
    let written = url
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(_, value)| value.to_owned());
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    let whole = whole.into_iter().flatten().map(str::to_owned);
    whole.chain(written).chain(decoded)
}

/// Drops terminal sequences, control characters and what reverses the direction of text; any white space
/// becomes a plain space.
fn printable(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_until(&mut rest, |char| ('@'..='~').contains(&char)),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            char if char.is_whitespace() => kept.push(' '),
            char if char.is_control() => {}
            char => kept.push(char),
        }
    }
    kept
}

/// After an escape: a control sequence ends with a letter, a string (title, link) with BEL or a second
/// escape, anything else is one character.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        Some('[') => skip_until(rest, |char| ('@'..='~').contains(&char)),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            skip_until(rest, |char| matches!(char, '\u{7}' | '\u{1b}' | '\u{9c}'));
        }
        Some(_) | None => {}
    }
}

fn skip_until(rest: &mut std::str::Chars<'_>, last: impl Fn(char) -> bool) {
    for char in rest.by_ref() {
        if last(char) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures;
    use super::*;

    fn clean(raw: &[u8]) -> Option<String> {
        let target = fixtures::target("http://example.com/hook");
        let url = Url::parse("http://example.com/hook").unwrap();
        Redactor::new(&target, &url).clean(raw)
    }

    #[test]
    fn nothing_that_drives_a_terminal_is_kept() {
        let table: [(&[u8], Option<&str>); 14] = [
            (b"plain", Some("plain")),
            (b"  two\r\nlines\t ", Some("two  lines")),
            (b"", None),
            (b" \r\n", None),
            (b"\x1b[31mred\x1b[0m", Some("red")),
            (b"\x1b[2J\x1b[1;1Hhome", Some("home")),
            (b"\x1b]0;title\x07text", Some("text")),
            (b"\x1b]8;;http://x\x1b\\link", Some("\\link")),
            (b"\x1b]never ends", None),
            (b"\x1bc reset", Some("reset")),
            ("\u{9b}31mred".as_bytes(), Some("red")),
            (b"a\x00b\x08c\x7f", Some("abc")),
            ("a\u{202e}b\u{2066}c".as_bytes(), Some("abc")),
            (b"caf\xe9", Some("caf\u{fffd}")),
        ];
        for (raw, expected) in table {
            assert_eq!(clean(raw).as_deref(), expected, "{raw:?}");
        }
    }

    #[test]
    fn at_most_one_kibibyte_is_kept_and_no_character_is_cut() {
        assert_eq!(clean(&[b'a'; 70_000]).unwrap().len(), MAX_BYTES);
        let text = clean("€".repeat(1000).as_bytes()).unwrap();
        assert_eq!(text, "€".repeat(MAX_BYTES / 3));
    }

    #[test]
    fn a_receiver_that_echoes_the_request_shows_no_secret() {
        let address = "https://h.example/hooks/T0ken?key=q%75ery&x=1";
        let mut target = fixtures::target(address);
        "https://[secret]".clone_into(&mut target.endpoint.shown_url);
        let secret = |text: &str| Secret::new(text);
        let authentications = [
            Authentication::Bearer(secret("bear-er")),
            Authentication::Basic {
                username: secret("user"),
                password: secret("pass-word"),
            },
            Authentication::Header {
                name: "x-key".to_owned(),
                value: secret("key-value"),
            },
        ];
        for authentication in authentications {
            target.authentication = Some(authentication);
            let redactor = Redactor::new(&target, &Url::parse(address).unwrap());
            let echo = format!(
                "{address} /hooks/T0ken key=query bear-er pass-word {} key-value",
                BASE64.encode("user:pass-word")
            );
            let text = redactor.clean(echo.as_bytes()).unwrap();
            let shown = |secret: &str| text.contains(secret);
            assert!(
                !["T0ken", "h.example", "query", "q%75ery"]
                    .into_iter()
                    .any(shown)
            );
            let credentials = ["bear-er", "pass-word", "key-value"];
            assert_eq!(credentials.into_iter().filter(|c| shown(c)).count(), 2);
        }
    }

    #[test]
    fn a_secret_across_the_cut_is_found() {
        let mut target = fixtures::target("http://example.com/hook");
        target.authentication = Some(Authentication::Bearer(Secret::new("hunter2")));
        let url = Url::parse("http://example.com/hook").unwrap();
        let raw = [&[b'a'; MAX_BYTES - 3][..], b"hunter2"].concat();
        let text = Redactor::new(&target, &url).clean(&raw).unwrap();
        assert!(!text.contains("hun"));
    }

    #[test]
    fn what_is_shown_anyway_is_not_hidden() {
        assert_eq!(clean(b"Cannot POST /hook").unwrap(), "Cannot POST /hook");
    }
}
