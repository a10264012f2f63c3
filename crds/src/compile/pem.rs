//! What can be said about PEM (RFC 7468) without cryptography: that there is a block of the right
//! kind and that it is base64. Whether it is a good certificate, TLS decides.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A kind of PEM block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    labels: &'static [&'static str],
    missing: &'static str,
}

/// A certificate.
pub(super) const CERTIFICATE: Kind = Kind {
    labels: &["CERTIFICATE"],
    missing: "holds no PEM block 'CERTIFICATE'",
};

/// A private key that is not encrypted: PKCS #8, PKCS #1 or SEC 1.
pub(super) const PRIVATE_KEY: Kind = Kind {
    labels: &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"],
    missing: "holds no PEM block 'PRIVATE KEY'; an encrypted key cannot be used",
};

/// Checks that there is a block of the kind, and that each of that kind is whole.
pub(super) fn check(bytes: &[u8], kind: Kind) -> Result<(), &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "is no PEM: it is not text")?;
    let mut found = false;
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let Some(label) = label(line, "-----BEGIN ") else {
            continue;
        };
        let mut body = String::new();
        let ended = lines.by_ref().find_map(|line| {
            let end = label_of_end(line);
            if end.is_none() {
                body.push_str(line.trim());
            }
            end
        });
        if !kind.labels.contains(&label) {
            continue;
        }
        if ended != Some(label) {
            return Err("holds a PEM block without its END line");
        }
        match STANDARD.decode(&body) {
            Ok(content) if !content.is_empty() => found = true,
            Ok(_) | Err(_) => return Err("holds a PEM block that is empty or no base64"),
        }
    }
    if found { Ok(()) } else { Err(kind.missing) }
}

fn label_of_end(line: &str) -> Option<&str> {
    label(line, "-----END ")
}

fn label<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix("-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\nAAAA\n-----END {label}-----\n")
    }

    #[test]
    fn pem_is_good_when_it_has_a_whole_block_of_the_kind() {
        let cases = [
            (block("CERTIFICATE"), CERTIFICATE, true),
            (
                block("CERTIFICATE").replace('\n', "\r\n"),
                CERTIFICATE,
                true,
            ),
            (
                format!("# a bundle\n{}{0}", block("CERTIFICATE")),
                CERTIFICATE,
                true,
            ),
            (block("PRIVATE KEY"), PRIVATE_KEY, true),
            (block("RSA PRIVATE KEY"), PRIVATE_KEY, true),
            (
                format!("{}{}", block("EC PARAMETERS"), block("EC PRIVATE KEY")),
                PRIVATE_KEY,
                true,
            ),
            (String::new(), CERTIFICATE, false),
            ("MIIB".to_owned(), CERTIFICATE, false),
            (block("PRIVATE KEY"), CERTIFICATE, false),
            (block("CERTIFICATE"), PRIVATE_KEY, false),
            (block("ENCRYPTED PRIVATE KEY"), PRIVATE_KEY, false),
            (
                block("CERTIFICATE").replace("AAAA", "A!"),
                CERTIFICATE,
                false,
            ),
            (
                block("CERTIFICATE").replace("AAAA\n", ""),
                CERTIFICATE,
                false,
            ),
            (
                block("CERTIFICATE").replace("END", "ENDE"),
                CERTIFICATE,
                false,
            ),
        ];
        for (text, kind, good) in cases {
            assert_eq!(check(text.as_bytes(), kind).is_ok(), good, "{text}");
        }
        assert!(check(b"\xff", CERTIFICATE).is_err());
    }
}
