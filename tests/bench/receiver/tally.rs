//! Exact counting: which events came, how often, and in which order.
//!
//! Owns one bit an event. An event is known by its mark ([`MARK`]) and by the path that it was sent
//! to, so the count depends on nothing that an arm says about itself.

use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::latencies::{Latencies, Stopwatch};
use crate::load::{MARK, STAMP};

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests with events.
    pub(crate) requests: u64,
    /// Different events: a repetition is none.
    pub(crate) events: u64,
    /// Events that had come before.
    pub(crate) repeated: u64,
    /// Events that came for the first time after a later one of their partition.
    pub(crate) disordered: u64,
    /// Requests whose body holds no mark, or something else in its place.
    pub(crate) garbled: u64,
    /// Connections that were ever opened, those for counts included.
    pub(crate) connections: u64,
}

impl Counts {
    /// What two receivers have counted together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            events: self.events + other.events,
            repeated: self.repeated + other.repeated,
            disordered: self.disordered + other.disordered,
            garbled: self.garbled + other.garbled,
            connections: self.connections + other.connections,
        }
    }
}

/// Path, topic and partition, as numbers.
type LaneKey = (u32, u32, u32);

#[derive(Debug, Default)]
struct Lane {
    /// One bit an offset.
    seen: Vec<u64>,
    /// The offset after the highest that was seen.
    next: u64,
}

/// Counts, and what it takes to count.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: Counts,
    event_bytes: usize,
    paths: FxHashMap<Vec<u8>, u32>,
    lanes: FxHashMap<LaneKey, Lane>,
    stopwatch: Stopwatch,
}

impl Tally {
    /// For events of this size.
    pub(crate) fn new(event_bytes: usize) -> Self {
        Self {
            counts: Counts::default(),
            event_bytes,
            paths: FxHashMap::default(),
            lanes: FxHashMap::default(),
            stopwatch: Stopwatch::default(),
        }
    }

    /// How long the stamped events were under way that came since this was last asked.
    pub(crate) fn latencies(&mut self) -> Latencies {
        self.stopwatch.take()
    }

    /// What was counted up to now.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Somebody connected.
    pub(crate) fn connected(&mut self) {
        self.counts.connections += 1;
    }

    /// A request came. The clock is the one that stamps are from, read only when there are some.
    pub(crate) fn request(&mut self, path: &[u8], body: &[u8], clock: fn() -> Duration) {
        let path = self.path(path);
        let mut rest = body;
        let mut events = 0;
        while let Some(start) = find(rest, MARK) {
            let value = &rest[start..];
            let Some(([topic, partition, offset], behind)) = numbers(&value[MARK.len()..]) else {
                break;
            };
            let Ok(key) = lane_key(path, topic, partition) else {
                break;
            };
            // The whole value must be there, so that a shortened body does not count.
            let Some(after) = value.get(self.event_bytes..) else {
                break;
            };
            let lane = self.lanes.entry(key).or_default();
            if lane.event(offset, &mut self.counts)
                && let Some(made) = stamp(behind)
            {
                self.stopwatch.add(clock().saturating_sub(made));
            }
            events += 1;
            rest = after;
        }
        self.counts.requests += 1;
        if events == 0 || find(rest, MARK).is_some() {
            self.counts.garbled += 1;
        }
    }

    fn path(&mut self, path: &[u8]) -> u32 {
        if let Some(known) = self.paths.get(path) {
            return *known;
        }
        let new = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        self.paths.insert(path.to_vec(), new);
        new
    }
}

impl Lane {
    /// Whether it came for the first time.
    fn event(&mut self, offset: u64, counts: &mut Counts) -> bool {
        let (word, bit) = ((offset / 64) as usize, 1 << (offset % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            counts.repeated += 1;
            return false;
        }
        self.seen[word] |= bit;
        counts.events += 1;
        if offset < self.next {
            counts.disordered += 1;
        } else {
            self.next = offset + 1;
        }
        true
    }
}

fn lane_key(path: u32, topic: u64, partition: u64) -> Result<LaneKey, std::num::TryFromIntError> {
    Ok((path, topic.try_into()?, partition.try_into()?))
}

/// Three numbers with slashes between them and a quotation mark after them, and the text from that on.
fn numbers(text: &[u8]) -> Option<([u64; 3], &[u8])> {
    let mut numbers = [0; 3];
    let mut rest = text;
    for (number, end) in numbers.iter_mut().zip([b'/', b'/', b'"']) {
        let length = rest.iter().take(20).position(|byte| *byte == end)?;
        *number = std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?;
        rest = &rest[length..];
        rest = rest.strip_prefix(b"/").unwrap_or(rest);
    }
    Some((numbers, rest))
}

/// The stamp at the beginning of `text`, if there is one: microseconds.
fn stamp(text: &[u8]) -> Option<Duration> {
    let digits = text.strip_prefix(STAMP)?;
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    let micros = std::str::from_utf8(&digits[..length]).ok()?.parse();
    Some(Duration::from_micros(micros.ok()?))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: usize = 40;

    fn noon() -> Duration {
        Duration::from_secs(12 * 60 * 60)
    }

    /// A body with a value for each mark.
    fn body(marks: &[&str]) -> Vec<u8> {
        let values = marks.iter().map(|mark| {
            let mut value = format!(r#"{{"event":"{mark}","text":""#);
            while value.len() < VALUE - 2 {
                value.push('x');
            }
            value + r#""}"#
        });
        let list = values.collect::<Vec<_>>().join(r#"},{"id":"1","data":"#);
        format!(r#"{{"events":[{{"data":{list}}}]}}"#).into_bytes()
    }

    fn counts(requests: &[&[&str]]) -> Counts {
        let mut tally = Tally::new(VALUE);
        for marks in requests {
            tally.request(b"/0", &body(marks), noon);
        }
        tally.counts()
    }

    #[test]
    fn events_are_counted_once_whatever_the_request() {
        let counted = counts(&[&["0/0/0", "0/0/1"], &["0/1/0"], &["0/0/1", "0/0/2"]]);
        let expected = Counts {
            requests: 3,
            events: 4,
            repeated: 1,
            ..Counts::default()
        };
        assert_eq!(counted, expected);
    }

    #[test]
    fn order_is_that_within_a_partition() {
        let counted = counts(&[&["0/0/5"], &["0/1/0"], &["1/0/0"], &["0/0/3", "0/0/6"]]);
        assert_eq!((counted.events, counted.disordered), (5, 1));
    }

    #[test]
    fn two_paths_are_two_receivers() {
        let mut tally = Tally::new(VALUE);
        tally.request(b"/0", &body(&["0/0/0"]), noon);
        tally.request(b"/1", &body(&["0/0/0"]), noon);
        assert_eq!((tally.counts().events, tally.counts().repeated), (2, 0));
    }

    #[test]
    fn what_is_stamped_is_timed_when_it_comes_first() {
        let mut tally = Tally::new(VALUE);
        // A quarter of a second before noon.
        let stamped = body(&[r#"0/0/0","at":43199750000,"#]);
        for _ in 0..2 {
            tally.request(b"/0", &stamped, noon);
        }
        tally.request(b"/0", &body(&["0/0/1"]), noon);
        let latencies = tally.latencies();
        assert_eq!((latencies.events, latencies.p99_ms), (1, 250.0));
        assert_eq!(tally.latencies().events, 0);
    }

    #[test]
    fn a_body_without_whole_events_is_garbled() {
        let whole = body(&["0/0/0"]);
        for bad in [&b"{}"[..], &body(&["0/x/0"]), &whole[..VALUE]] {
            let mut tally = Tally::new(VALUE);
            tally.request(b"/", bad, noon);
            let text = String::from_utf8_lossy(bad);
            assert_eq!(
                (tally.counts().garbled, tally.counts().events),
                (1, 0),
                "{text}"
            );
        }
    }
}
