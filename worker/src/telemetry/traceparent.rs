//! W3C trace context: the `traceparent` header, read strictly.
//!
//! Producers write this header into their events, so it is untrusted: what does not parse is
//! dropped, and what does is rendered anew, never copied. Rules: <https://www.w3.org/TR/trace-context/>,
//! section 3.2.

use std::fmt;

use http::HeaderValue;

/// Length of a version 00 header.
const LENGTH: usize = 55;

/// The flag that says the caller recorded the trace; the only one of version 00.
const SAMPLED: u8 = 0x01;

/// A valid trace context. Neither id is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    sampled: bool,
}

impl TraceParent {
    /// Makes a context from ids; none when one is all zeros, which the rules forbid.
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8], sampled: bool) -> Option<Self> {
        (trace_id != [0; 16] && parent_id != [0; 8]).then_some(Self {
            trace_id,
            parent_id,
            sampled,
        })
    }

    /// Reads a header value. A later version is read by the rules of version 00, as the standard
    /// asks: its further fields must be set off by a dash.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, further) = value.split_at_checked(LENGTH)?;
        let [version] = hex(head.get(0..2)?)?;
        let allowed = match version {
            0 => further.is_empty(),
            0xff => false,
            _later => further.is_empty() || further.starts_with(b"-"),
        };
        let dashes = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
        if !allowed || !dashes {
            return None;
        }
        let [flags] = hex(head.get(53..55)?)?;
        Self::new(
            hex(head.get(3..35)?)?,
            hex(head.get(36..52)?)?,
            flags & SAMPLED != 0,
        )
    }

    /// The header of version 00.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }

    /// The id of the whole trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that sent it.
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// Whether the sender recorded the trace.
    pub fn sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let parent_id = u64::from_be_bytes(self.parent_id);
        let flags = u8::from(self.sampled) * SAMPLED;
        write!(f, "00-{trace_id:032x}-{parent_id:016x}-{flags:02x}")
    }
}

/// Reads exactly `2 * N` lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    #[test]
    fn only_what_the_standard_allows_is_read() {
        let zeros = |count| "0".repeat(count);
        let good = format!("00-{TRACE}-{PARENT}-01");
        let table = [
            (good.clone(), true, "version 00"),
            (format!("00-{TRACE}-{PARENT}-00"), true, "not sampled"),
            (format!("00-{TRACE}-{PARENT}-ff"), true, "unknown flags"),
            (format!("cc-{TRACE}-{PARENT}-01"), true, "later version"),
            (
                format!("cc-{TRACE}-{PARENT}-01-what"),
                true,
                "later, longer",
            ),
            (
                format!("cc-{TRACE}-{PARENT}-01what"),
                false,
                "later, no dash",
            ),
            (format!("00-{TRACE}-{PARENT}-01-what"), false, "00, longer"),
            (format!("ff-{TRACE}-{PARENT}-01"), false, "version ff"),
            (format!("00-{}-{PARENT}-01", zeros(32)), false, "no trace"),
            (format!("00-{TRACE}-{}-01", zeros(16)), false, "no parent"),
            (good.to_uppercase(), false, "upper case"),
            (good.replace('-', "_"), false, "other separators"),
            (format!(" {good}"), false, "space before"),
            (format!("{good} "), false, "space behind"),
            (good[..54].to_owned(), false, "too short"),
            (format!("00-{TRACE}-{PARENT}-0g"), false, "no digit"),
            (format!("0x-{TRACE}-{PARENT}-01"), false, "no version"),
            (String::new(), false, "empty"),
        ];
        for (value, valid, case) in table {
            let parsed = TraceParent::parse(value.as_bytes());
            assert_eq!(parsed.is_some(), valid, "{case}: {value}");
        }
    }

    #[test]
    fn what_is_rendered_is_version_00_with_only_its_flag() {
        let later = format!("cc-{TRACE}-{PARENT}-ff-what");
        let parsed = TraceParent::parse(later.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), format!("00-{TRACE}-{PARENT}-01"));
        assert_eq!(parsed.header().unwrap(), parsed.to_string().as_str());
    }

    proptest! {
        #[test]
        fn rendering_and_reading_agree(trace: [u8; 16], parent: [u8; 8], sampled: bool) {
            if let Some(made) = TraceParent::new(trace, parent, sampled) {
                let read = TraceParent::parse(made.to_string().as_bytes()).unwrap();
                prop_assert_eq!(read, made);
            }
        }

        #[test]
        fn any_bytes_are_survived(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(read) = TraceParent::parse(&value) {
                prop_assert_eq!(read.to_string().len(), LENGTH);
            }
        }
    }
}
