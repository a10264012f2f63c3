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
/// Partitions of each topic at first.
pub(crate) const PARTITIONS: u8 = 3;
/// Partitions that a topic may come to have.
pub(crate) const PARTITIONS_MOST: u8 = 5;

/// Keys of one partition.
const KEYS: u64 = 8;
/// The most letters that fill a value.
const LETTERS: u64 = 120;

/// Of how many events one is poison: some receivers refuse it.
const POISON: u64 = 150;
/// Of how many events one is larger than what the workers can park as it is.
const LARGE: u64 = 1_500;
/// Letters of such an event: more than the limit of a topic by default, which the retry topic follows.
const LARGE_LETTERS: usize = 1_200_000;
/// What source topics must take.
pub(crate) const LARGEST_EVENT_BYTES: &str = "2000000";

/// A source partition: the topic's number and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) topic: u8,
    pub(crate) partition: u8,
}

impl Place {
    /// Those that there are at first.
    pub(crate) fn first() -> impl Iterator<Item = Self> {
        Self::every().filter(|place| place.partition < PARTITIONS)
    }

    /// Those that there may come to be.
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        (0..TOPICS)
            .flat_map(|topic| (0..PARTITIONS_MOST).map(move |partition| Self { topic, partition }))
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

    /// Whether some receivers refuse the event.
    pub(crate) fn is_poison(self, place: Place, offset: i64) -> bool {
        (self.dice(place, offset) / 7).is_multiple_of(POISON)
    }

    /// When it was written (milliseconds since the Unix epoch); none when what arrived is not what was
    /// written there, byte for byte.
    pub(crate) fn written_at(self, place: Place, event: &Delivered<'_>) -> Option<u64> {
        let [
            Header {
                name: "kind",
                value: kind,
            },
        ] = event.headers[..]
        else {
            return None;
        };
        self.wrote(place, event.offset, (event.key, event.data.get(), kind))
    }

    /// The same of an event's key, value and kind.
    pub(crate) fn wrote(
        self,
        place: Place,
        offset: i64,
        (key, value, kind): (&str, &str, &str),
    ) -> Option<u64> {
        let Written { at } = serde_json::from_str(value).ok()?;
        let same = value == self.value(place, offset, at)
            && key == self.key(place, offset)
            && kind == self.kind(place, offset);
        same.then_some(at)
    }

    fn value(self, place: Place, offset: i64, at: u64) -> String {
        let dice = self.dice(place, offset);
        let letters = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
        let length = match dice / 11 % LARGE {
            0 => LARGE_LETTERS,
            _ => (dice / 26 % LETTERS) as usize,
        };
        let text: String = letters.skip((dice % 26) as usize).take(length).collect();
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
        let wrote = |text: &str| source.written_at(PLACE, &serde_json::from_str(text).unwrap());
        assert_eq!(wrote(&written), Some(123));
        for (from, to) in [
            (r#""seq":7"#, r#""seq":8"#),
            (r#""key":"k"#, r#""key":"x"#),
            (r#""name":"kind""#, r#""name":"sort""#),
            (r#""at":123,"#, r#""at":123, "#),
            (r#""offset":7"#, r#""offset":8"#),
        ] {
            let altered = written.replace(from, to);
            assert_ne!(altered, written);
            assert_eq!(wrote(&altered), None, "{altered}");
        }
    }

    #[test]
    fn few_events_are_poison_and_fewer_are_large() {
        let source = Source::new(3);
        let poison = (0..15_000).filter(|offset| source.is_poison(PLACE, *offset));
        assert!((50..200).contains(&poison.count()));
        let size = |offset| source.value(PLACE, offset, 1).len();
        let large = (0..15_000).filter(|offset| size(*offset) > LARGE_LETTERS);
        assert!((3..30).contains(&large.count()));
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
