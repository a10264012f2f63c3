//! From text to values, as settings of worker and operator alike have them. Each refusal says what is
//! expected. Pure.

use crate::connection::SaslMechanism;

/// Longest prefix, and longest name of an installation or group: together they stay below the 249
/// bytes of a topic name.
const MAX_PREFIX_BYTES: usize = 100;
const MAX_NAME_BYTES: usize = 63;

/// True or false.
///
/// # Errors
/// For other words.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("must be true or false, not '{other}'")),
    }
}

/// A way to prove a password.
///
/// # Errors
/// For one that is not known.
pub fn mechanism(text: &str) -> Result<SaslMechanism, String> {
    let known = SaslMechanism::ALL;
    known
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| {
            let names = known.map(SaslMechanism::name).join(", ");
            format!("must be one of {names}, not '{text}'")
        })
}

/// `host:port`, `[v6]:port`; the port is never guessed.
///
/// # Errors
/// What is missing.
pub fn server(text: &str) -> Result<String, String> {
    let wrong =
        |why: &str| format!("must be HOST:PORT, such as kafka-0.example.org:9092; '{text}' {why}");
    if text.contains("://") {
        return Err(wrong(
            "names a protocol: leave it out, and set kafka.tls for TLS",
        ));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(wrong("has no port"));
    };
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if bare_v6 {
        return Err(wrong("needs brackets around its IPv6 address"));
    }
    if host.is_empty() || host.contains(|letter: char| letter.is_whitespace() || letter == '/') {
        return Err(wrong("has no proper host"));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(wrong("has no proper port")),
    }
}

/// The beginning of topic names: Kafka's letters, dots included.
///
/// # Errors
/// When it is none.
pub fn prefix(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let whole = text.len() <= MAX_PREFIX_BYTES
        && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && !text.ends_with('.')
        && text.chars().all(good);
    if whole {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must be at most {MAX_PREFIX_BYTES} letters, digits, '.', '_' or '-', beginning with a letter or digit and not ending with '.', not '{text}'"
    ))
}

/// A part of the consumer group's name. It has no dot, so that no two groups get one name.
///
/// # Errors
/// When it is none.
pub fn name(text: &str) -> Result<String, String> {
    let good =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let whole = (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.chars().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if whole {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must be at most {MAX_NAME_BYTES} lower-case letters, digits or '-', beginning and ending with a letter or digit, not '{text}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a parser against a table: what it takes, and a part of what it says to the rest.
    fn table<T: PartialEq + std::fmt::Debug>(
        parse: fn(&str) -> Result<T, String>,
        good: impl IntoIterator<Item = (&'static str, T)>,
        bad: &[(&str, &str)],
    ) {
        for (text, expected) in good {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for (text, part) in bad {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_broker_has_a_host_and_a_port() {
        let good = ["kafka:9092", "127.0.0.1:1", "[::1]:9092"];
        table(
            server,
            good.map(|text| (text, text.to_owned())),
            &[
                ("kafka", "has no port"),
                ("kafka:", "no proper port"),
                ("kafka:0", "no proper port"),
                ("kafka:65536", "no proper port"),
                (":9092", "no proper host"),
                ("SSL://kafka:9092", "set kafka.tls"),
                ("::1:9092", "brackets"),
                ("a b:9092", "no proper host"),
            ],
        );
    }

    #[test]
    fn names_make_one_consumer_group_each() {
        let long = "a".repeat(64);
        table(
            name,
            [("default", "default".to_owned()), ("a-1", "a-1".to_owned())],
            &[
                ("", "at most"),
                ("a.b", "at most"),
                ("A", "at most"),
                ("-a", "at most"),
                (&long, "63"),
            ],
        );
        table(
            prefix,
            [
                ("parcelhook", "parcelhook".to_owned()),
                ("Org.x_1", "Org.x_1".to_owned()),
            ],
            &[
                (".", "at most"),
                ("a.", "at most"),
                ("_a", "at most"),
                ("a b", "at most"),
                ("ä", "at most"),
            ],
        );
    }

    #[test]
    fn words_are_taken_from_closed_sets() {
        table(
            switch,
            [("true", true), ("false", false)],
            &[("yes", "true or false")],
        );
        table(
            mechanism,
            SaslMechanism::ALL.map(|mechanism| (mechanism.name(), mechanism)),
            &[("GSSAPI", "SCRAM-SHA-512"), ("plain", "PLAIN")],
        );
    }
}
