//! The Retry-After header: how long a target asks us to wait.
//!
//! Both forms of RFC 9110 section 10.2.3 are read; what is neither is ignored, for a receiver's typing
//! error must not stop its deliveries.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

/// Reads a Retry-After header that arrived at `now`, milliseconds since the Unix epoch.
///
/// A date that has passed asks for no wait. No wait is longer than `cap`, so that a receiver cannot
/// stop its deliveries for good.
pub(crate) fn parse(value: &HeaderValue, now: i64, cap: Duration) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = seconds(text).or_else(|| until(text, now))?;
    Some(wait.min(cap))
}

/// Digits only: no sign, no fraction. More than fits is for ever, and so the cap.
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().map_or(Duration::MAX, Duration::from_secs))
}

fn until(text: &str, now: i64) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    let date = date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = Duration::from_millis(u64::try_from(now).unwrap_or(0));
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
    const NOW: i64 = 784_111_777_000;
    const CAP: Duration = Duration::from_secs(512);

    #[test]
    fn seconds_and_dates_are_read_and_anything_else_is_ignored() {
        let table: [(&str, Option<u64>); 25] = [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("007", Some(7)),
            ("512", Some(512)),
            ("513", Some(512)),
            ("86400", Some(512)),
            ("18446744073709551616", Some(512)),
            ("99999999999999999999999999999999999999", Some(512)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun Nov  6 08:49:47 1994", Some(10)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(512)),
            ("", None),
            (" ", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1e3", None),
            ("soon", None),
            ("10, 20", None),
            ("Sun, 06 Nov 1994", None),
        ];
        for (text, expected) in table {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(
                parse(&value, NOW, CAP),
                expected.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_ignored() {
        let value = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
        assert_eq!(parse(&value, NOW, CAP), None);
    }

    #[test]
    fn a_clock_before_1970_is_taken_as_1970() {
        let value = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:05 GMT");
        assert_eq!(parse(&value, -1, CAP), Some(Duration::from_secs(5)));
    }
}
