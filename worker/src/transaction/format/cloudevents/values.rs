//! What CloudEvents allows as the value of an attribute.
//!
//! A receiver refuses an event with one wrong attribute, and with it the transaction around it, so a
//! producer's values are checked before they become attributes.

/// The bytes as a CloudEvents string (section "Type System"): UTF-8 without control characters and
/// noncharacters.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let forbidden = |character: char| {
        let code = u32::from(character);
        character.is_control() || code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
    };
    (!text.chars().any(forbidden)).then_some(text)
}

/// A `traceparent` of W3C Trace Context, version 00 or one that is written like it.
pub(super) fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length| hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next(), parts.next(), parts.next(), parts.next());
    version.is_some_and(|version| hex(version, 2) && version != "ff")
        && trace.is_some_and(|trace| is_id(trace, 32))
        && span.is_some_and(|span| is_id(span, 16))
        && flags.is_some_and(|flags| hex(flags, 2))
        && parts.next().is_none()
}

/// An RFC 3339 time such as `2018-04-05T17:31:00Z`; the calendar library alone accepts more forms.
pub(super) fn is_rfc3339(text: &str) -> bool {
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, like)| match like {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte.eq_ignore_ascii_case(&like),
                })
    };
    let (Some(time), Some(rest)) = (text.get(..19), text.get(19..)) else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    shaped(time, "0000-00-00T00:00:00")
        && (shaped(zone, "Z") || shaped(zone, "+00:00") || shaped(zone, "-00:00"))
        && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_checked_strictly() {
        for (text, valid) in [
            ("2018-04-05T17:31:00Z", true),
            ("2018-04-05T17:31:00.123456789+02:00", true),
            ("2018-04-05t17:31:00z", true),
            ("2018-04-05T17:31:00", false),
            ("2018-04-05 17:31:00Z", false),
            ("2018-04-05T17:31Z", false),
            ("2018-04-05T17:31:00.Z", false),
            ("2018-02-30T17:31:00Z", false),
            ("2018-04-05T17:31:00Z[UTC]", false),
            ("20180405T173100Z", false),
            ("2018-04-05T17:31:0\u{fc}Z", false),
            ("", false),
        ] {
            assert_eq!(is_rfc3339(text), valid, "{text}");
        }
    }

    #[test]
    fn traces_are_checked_strictly() {
        for (text, valid) in [
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                true,
            ),
            (
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                false,
            ),
        ] {
            assert_eq!(is_traceparent(text), valid, "{text}");
        }
    }

    #[test]
    fn a_string_has_no_control_characters_and_no_noncharacters() {
        for (bytes, allowed) in [
            (&b""[..], true),
            (b"order 17", true),
            ("Z\u{fc}rich \u{1f600}".as_bytes(), true),
            (b"a\nb", false),
            (b"\x7f", false),
            ("\u{85}".as_bytes(), false),
            ("\u{fdd0}".as_bytes(), false),
            ("\u{1ffff}".as_bytes(), false),
            (b"\xff", false),
        ] {
            assert_eq!(text(bytes).is_some(), allowed, "{}", bytes.escape_ascii());
        }
    }
}
