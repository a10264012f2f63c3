//! From text to values: one small parser a kind. Each refusal says what is expected. Pure.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::LogFormat;

pub(super) use parcelhook_kafka::value::{name, prefix, switch};

/// Most delivering threads. Far above the cores of any machine: a typing error, not a wish.
const MAX_SHARDS: usize = 256;

/// Smallest byte budget: an event of Kafka's usual limit must fit.
const MIN_BYTE_BUDGET: usize = 1 << 20;

/// Largest byte budget. A worker with more is better split in two.
const MAX_BYTE_BUDGET: usize = 64 << 30;

/// Shortest and longest time for letting go.
const SHUTDOWN_GRACE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(300);

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("must be text or json, not '{other}'")),
    }
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "is not a log filter ({error}); write a level such as info, or info,parcelhook_worker::lane=debug"
        )),
    }
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080, not '{text}'"
        )
    })
}

/// A network whose address has no bits beyond its prefix: else it is unclear which was meant.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(format!(
            "must be a network; for this one address write {}",
            IpNet::from(address)
        ));
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| format!("must be a network such as 10.0.0.0/8 or fd00::/8, not '{text}'"))?;
    if network.trunc() != network {
        return Err(format!(
            "{network} has bits beyond its prefix; write {}",
            network.trunc()
        ));
    }
    Ok(network)
}

pub(super) fn shards(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse::<NonZeroUsize>();
    number
        .ok()
        .filter(|number| number.get() <= MAX_SHARDS)
        .ok_or_else(|| format!("must be a number from 1 to {MAX_SHARDS}, not '{text}'"))
}

/// Bytes, with Kubernetes' binary suffixes.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let (digits, shift) = ["Ki", "Mi", "Gi"]
        .into_iter()
        .zip([10, 20, 30])
        .find_map(|(suffix, shift)| Some((text.strip_suffix(suffix)?, shift)))
        .unwrap_or((text, 0));
    let number = digits.parse::<usize>().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if (MIN_BYTE_BUDGET..=MAX_BYTE_BUDGET).contains(&bytes) => Ok(bytes),
        Some(_) => Err(format!("must be from 1Mi to 64Gi, not {text}")),
        None => Err(format!(
            "must be a number of bytes such as 16Mi or 1Gi, not '{text}'"
        )),
    }
}

pub(super) fn grace(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)
        .ok_or_else(|| format!("must be a duration such as 6s, 500ms or 1m30s, not '{text}'"))?;
    if !SHUTDOWN_GRACE.contains(&parsed) {
        return Err(format!("must be from 1s to 5m, not {text}"));
    }
    Ok(parsed)
}

/// Kubernetes' durations (GEP-2257): one to four of a number of at most five digits and a unit.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    for _part in 0..4 {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        if digits > 5 {
            return None;
        }
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let (after, millis) = units
            .into_iter()
            .find_map(|(unit, millis)| Some((rest.strip_prefix(unit)?, millis)))?;
        total += Duration::from_millis(number * millis);
        rest = after;
        if rest.is_empty() {
            return Some(total);
        }
    }
    None
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
    fn a_duration_is_numbers_with_units() {
        let millis = Duration::from_millis;
        table(
            grace,
            [
                ("6s", millis(6_000)),
                ("1500ms", millis(1_500)),
                ("1m30s", millis(90_000)),
                ("0h1m0s500ms", millis(60_500)),
            ],
            &[
                ("6", "such as 6s"),
                ("", "such as 6s"),
                ("s", "such as 6s"),
                ("-6s", "such as 6s"),
                ("1.5s", "such as 6s"),
                ("6 s", "such as 6s"),
                ("100000s", "such as 6s"),
                ("1s1s1s1s1s", "such as 6s"),
                ("999ms", "from 1s to 5m"),
                ("301s", "from 1s to 5m"),
            ],
        );
    }

    #[test]
    fn bytes_have_binary_suffixes() {
        table(
            bytes,
            [
                ("16Mi", 16 << 20),
                ("1048576", 1 << 20),
                ("2048Ki", 2 << 20),
                ("1Gi", 1 << 30),
            ],
            &[
                ("16M", "such as 16Mi"),
                ("16 Mi", "such as 16Mi"),
                ("-1Mi", "such as 16Mi"),
                ("99999999999999999999", "such as 16Mi"),
                ("18446744073709551615Gi", "such as 16Mi"),
                ("1023Ki", "from 1Mi"),
                ("65Gi", "to 64Gi"),
            ],
        );
    }

    #[test]
    fn a_network_is_written_without_doubt() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        table(
            network,
            [
                ("10.0.0.0/8", net("10.0.0.0/8")),
                ("::1/128", net("::1/128")),
            ],
            &[
                ("127.0.0.1", "write 127.0.0.1/32"),
                ("::1", "write ::1/128"),
                ("10.1.2.3/8", "write 10.0.0.0/8"),
                ("10.0.0.0/33", "such as 10.0.0.0/8"),
                ("example.org", "such as 10.0.0.0/8"),
            ],
        );
    }

    #[test]
    fn an_address_to_listen_on_is_no_name() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        table(
            listen,
            [
                ("127.0.0.1:0", address("127.0.0.1:0")),
                ("[::]:8080", address("[::]:8080")),
            ],
            &[
                ("8080", "an IP address"),
                (":8080", "an IP address"),
                ("localhost:80", "an IP address"),
            ],
        );
    }

    #[test]
    fn words_are_taken_from_closed_sets() {
        table(
            log_format,
            [("text", LogFormat::Text), ("json", LogFormat::Json)],
            &[("xml", "text or json")],
        );
        table(
            log_level,
            [
                ("debug", "debug".to_owned()),
                ("info,a::b=trace", "info,a::b=trace".to_owned()),
            ],
            &[("info,=", "log filter"), ("a=loud", "log filter")],
        );
        let shard = |number| NonZeroUsize::new(number).unwrap();
        table(
            shards,
            [("1", shard(1)), ("256", shard(256))],
            &[("0", "1 to 256"), ("257", "1 to 256"), ("two", "1 to 256")],
        );
    }
}
