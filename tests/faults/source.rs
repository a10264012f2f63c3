//! What the load writes, as a pure function of the seed: which event lies at which offset.
//!
//! Each partition is written in order by one idempotent producer, so the offset of event n is n. A
//! judge therefore needs no list of what was produced: it asks here what should lie at an offset, who
//! wants it, and whether what arrived is what was written.

use parcelhook_env::kafka::Event;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// Topics.
pub(crate) const TOPICS: u8 = 2;
/// Partitions of each topic.
pub(crate) const PARTITIONS: u8 = 3;

/// Keys of one partition.
const KEYS: u64 = 8;
/// The most letters that fill a value.
const LETTERS: u64 = 120;

/// A source partition: the topic's number and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) topic: u8,
    pub(crate) partition: u8,
}

impl Place {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..TOPICS)
            .flat_map(|topic| (0..PARTITIONS).map(move |partition| Self { topic, partition }))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.topic, self.partition)
    }
}

/// Which events a target wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taste {
    /// All.
    Everything,
    /// Those whose header `kind` is `a`: about half.
    KindA,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    seed: u64,
}

/// An event in a body of format `Json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Delivered<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u8,
    pub(crate) offset: i64,
    key: &'a str,
    #[serde(borrow)]
    headers: Vec<Header<'a>>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(rename = "id")]
    _id: IgnoredAny,
}

#[derive(Debug, Deserialize)]
struct Header<'a> {
    name: &'a str,
    value: &'a str,
}

/// The body that [`Delivered`] events come in.
#[derive(Debug, Deserialize)]
pub(crate) struct Body<'a> {
    #[serde(borrow)]
    pub(crate) events: Vec<Delivered<'a>>,
}

#[derive(Deserialize)]
struct Written {
    at: u64,
}

impl Source {
    /// What the load of this seed writes.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Event `offset` of a partition, written at `at` (milliseconds since the Unix epoch).
    pub(crate) fn event(self, place: Place, offset: i64, at: u64) -> Event {
        Event::new(self.value(place, offset, at))
            .key(self.key(place, offset))
            .header("kind", self.kind(place, offset))
            .to(place.partition.into())
    }

    /// Whether somebody of this taste wants the event.
    pub(crate) fn wanted(self, taste: Taste, place: Place, offset: i64) -> bool {
        match taste {
            Taste::Everything => true,
            Taste::KindA => self.kind(place, offset) == "a",
        }
    }

    /// The first offset from `from` on that somebody of this taste wants.
    pub(crate) fn next_wanted(self, taste: Taste, place: Place, from: i64) -> i64 {
        let mut offsets = from..;
        let found = offsets.find(|offset| self.wanted(taste, place, *offset));
        found.unwrap_or(i64::MAX)
    }

    /// Whether what arrived is what was written there, byte for byte.
    pub(crate) fn wrote(self, place: Place, event: &Delivered<'_>) -> bool {
        let Ok(Written { at }) = serde_json::from_str(event.data.get()) else {
            return false;
        };
        let [
            Header {
                name: "kind",
                value,
            },
        ] = event.headers[..]
        else {
            return false;
        };
        event.data.get() == self.value(place, event.offset, at)
            && event.key == self.key(place, event.offset)
            && value == self.kind(place, event.offset)
    }

    fn value(self, place: Place, offset: i64, at: u64) -> String {
        let dice = self.dice(place, offset);
        let letters = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
        let text: String = letters
            .skip((dice % 26) as usize)
            .take((dice / 26 % LETTERS) as usize)
            .collect();
        format!(r#"{{"at":{at},"place":"{place}","seq":{offset},"text":"{text}"}}"#)
    }

    fn key(self, place: Place, offset: i64) -> String {
        format!("k{}", self.dice(place, offset) % KEYS)
    }

    fn kind(self, place: Place, offset: i64) -> &'static str {
        if self.dice(place, offset) >> 63 == 0 {
            "a"
        } else {
            "b"
        }
    }

    /// A number that looks like chance and is always the same for the same event.
    fn dice(self, place: Place, offset: i64) -> u64 {
        let event = u64::from(place.topic) << 56 ^ u64::from(place.partition) << 48;
        let mixed = self.seed ^ event ^ offset.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fastrand::Rng::with_seed(mixed).u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        topic: 1,
        partition: 2,
    };

    fn body(event: &Event) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        format!(
            r#"{{"id":"x","topic":"t","partition":2,"offset":7,"timestamp":null,"key":"{}","headers":[{{"name":"kind","value":"{}"}}],"data":{}}}"#,
            text(event.key.as_ref().unwrap()),
            text(&event.headers[0].1),
            text(event.value.as_ref().unwrap()),
        )
    }

    #[test]
    fn an_event_is_recognized_and_any_change_of_it_is_noticed() {
        let source = Source::new(3);
        let written = body(&source.event(PLACE, 7, 123));
        let wrote = |text: &str| source.wrote(PLACE, &serde_json::from_str(text).unwrap());
        assert!(wrote(&written));
        for (from, to) in [
            (r#""seq":7"#, r#""seq":8"#),
            (r#""key":"k"#, r#""key":"x"#),
            (r#""name":"kind""#, r#""name":"sort""#),
            (r#""at":123,"#, r#""at":123, "#),
            (r#""offset":7"#, r#""offset":8"#),
        ] {
            let altered = written.replace(from, to);
            assert_ne!(altered, written);
            assert!(!wrote(&altered), "{altered}");
        }
    }

    #[test]
    fn about_half_of_the_events_are_of_kind_a() {
        let source = Source::new(3);
        let wanted = |offset: &i64| source.wanted(Taste::KindA, PLACE, *offset);
        let count = (0..1_000).filter(wanted).count();
        assert!((400..600).contains(&count), "{count}");
        let next = source.next_wanted(Taste::KindA, PLACE, 10);
        assert!(wanted(&next) && (10..next).all(|offset| !wanted(&offset)));
    }
}
