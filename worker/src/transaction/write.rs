//! Appends pieces of JSON text to a body: strings, base64, integers, times, percent-encoding.
//!
//! A body is a `String` while it is written, so it is valid UTF-8 by its type, and nothing here can
//! fail or allocate beyond the body's own growth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::source::record::Timestamp;

/// Appends the text as a JSON string, quotes included.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends the text as it stands inside a JSON string (RFC 8259, section 7).
pub(super) fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(must_be_escaped) {
        // `at` is an ASCII byte, so both cuts are between characters.
        let (plain, tail) = rest.split_at(at);
        let (special, tail) = tail.split_at(1);
        out.push_str(plain);
        match special {
            "\"" => out.push_str("\\\""),
            "\\" => out.push_str("\\\\"),
            "\n" => out.push_str("\\n"),
            "\r" => out.push_str("\\r"),
            "\t" => out.push_str("\\t"),
            control => {
                out.push_str("\\u00");
                control.bytes().for_each(|byte| push_hex(out, byte, b'a'));
            }
        }
        rest = tail;
    }
    out.push_str(rest);
}

fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Appends the bytes as a JSON string of standard, padded base64.
pub(super) fn push_base64(out: &mut String, bytes: &[u8]) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// Appends the bytes percent-encoded (RFC 3986): all but letters, digits and `-._~`.
pub(super) fn push_percent(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            push_hex(out, byte, b'A');
        }
    }
}

/// Two hexadecimal digits; `ten` is the letter for 10.
fn push_hex(out: &mut String, byte: u8, ten: u8) {
    for digit in [byte >> 4, byte & 0xf] {
        let digit = if digit < 10 {
            b'0' + digit
        } else {
            ten + digit - 10
        };
        out.push(char::from(digit));
    }
}

/// Appends a decimal number.
pub(super) fn push_integer(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    let mut rest = number.unsigned_abs();
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let skipped = digits.len() - used;
    push_ascii(out, digits.get(skipped..).unwrap_or_default());
}

/// Appends ASCII in one go; a character at a time costs several times as much, for each event.
fn push_ascii(out: &mut String, ascii: &[u8]) {
    debug_assert!(ascii.is_ascii(), "only ASCII is appended: {ascii:?}");
    out.push_str(std::str::from_utf8(ascii).unwrap_or_default());
}

/// The time of a record in UTC. None when Kafka has none, or one that RFC 3339 cannot write (a
/// producer may set any 64-bit number; the years are 0000 to 9999, and the calendar library ends with
/// the last but one day of 9999).
pub(super) fn utc(timestamp: Timestamp) -> Option<DateTime> {
    let instant = jiff::Timestamp::from_millisecond(timestamp.millis()?).ok()?;
    let time = Offset::UTC.to_datetime(instant);
    (time.year() >= 0).then_some(time)
}

/// Appends a JSON string with the time as RFC 3339 with milliseconds, such as
/// `"2023-11-14T22:13:20.000Z"`.
pub(super) fn push_time(out: &mut String, time: DateTime) {
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    for (at, two_digits) in [
        (1, time.year() / 100),
        (3, time.year() % 100),
        (6, time.month().into()),
        (9, time.day().into()),
        (12, time.hour().into()),
        (15, time.minute().into()),
        (18, time.second().into()),
        // Three digits: the middle one is written twice.
        (21, time.millisecond() / 10),
        (22, time.millisecond() % 100),
    ] {
        let number = (two_digits.unsigned_abs() % 100) as u8;
        text[at] = b'0' + number / 10;
        text[at + 1] = b'0' + number % 10;
    }
    push_ascii(out, &text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    fn time(millis: i64) -> Option<String> {
        utc(Timestamp::Created(millis)).map(|time| written(|out| push_time(out, time)))
    }

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        for (millis, text) in [
            (0, Some("\"1970-01-01T00:00:00.000Z\"")),
            (1_700_000_000_007, Some("\"2023-11-14T22:13:20.007Z\"")),
            (951_782_400_000, Some("\"2000-02-29T00:00:00.000Z\"")),
            (-1, Some("\"1969-12-31T23:59:59.999Z\"")),
            (-62_167_219_200_000, Some("\"0000-01-01T00:00:00.000Z\"")),
            (-62_167_219_200_001, None),
            (253_402_207_200_000, Some("\"9999-12-30T22:00:00.000Z\"")),
            (253_402_300_800_000, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(time(millis).as_deref(), text, "{millis}");
        }
        assert_eq!(utc(Timestamp::Missing), None);
    }

    #[test]
    fn percent_encoding_leaves_only_unreserved_characters() {
        assert_eq!(
            written(|out| push_percent(out, "aZ09-._~ +&=%€".as_bytes())),
            "aZ09-._~%20%2B%26%3D%25%E2%82%AC"
        );
    }

    proptest! {
        #[test]
        fn a_string_reads_back_as_it_was(text in any::<String>()) {
            let json = written(|out| push_string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn an_integer_is_written_as_the_standard_library_does(number in any::<i64>()) {
            prop_assert_eq!(written(|out| push_integer(out, number)), number.to_string());
        }

        #[test]
        fn a_time_is_written_as_the_calendar_library_does(
            millis in -62_167_219_200_000_i64..253_402_200_000_000,
        ) {
            let instant = jiff::Timestamp::from_millisecond(millis).unwrap();
            prop_assert_eq!(time(millis), Some(format!("\"{instant:.3}\"")));
        }
    }

    #[test]
    fn the_smallest_and_the_largest_integer_are_written() {
        for number in [i64::MIN, -1, 0, 9, 10, i64::MAX] {
            assert_eq!(written(|out| push_integer(out, number)), number.to_string());
        }
    }
}
