//! Exact counting: which events came, how often, and in which order.
//!
//! Owns one bit an event. An event is known by its mark ([`MARK`]) and by the path that it was sent
//! to, so the count depends on nothing that an arm says about itself.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::load::MARK;

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
}

impl Tally {
    /// For events of this size.
    pub(crate) fn new(event_bytes: usize) -> Self {
        Self {
            counts: Counts::default(),
            event_bytes,
            paths: FxHashMap::default(),
            lanes: FxHashMap::default(),
        }
    }

    /// What was counted up to now.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Somebody connected.
    pub(crate) fn connected(&mut self) {
        self.counts.connections += 1;
    }

    /// A request came.
    pub(crate) fn request(&mut self, path: &[u8], body: &[u8]) {
        let path = self.path(path);
        let mut rest = body;
        let mut events = 0;
        while let Some(start) = find(rest, MARK) {
            let value = &rest[start..];
            let Some([topic, partition, offset]) = numbers(&value[MARK.len()..]) else {
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
            lane.event(offset, &mut self.counts);
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
    fn event(&mut self, offset: u64, counts: &mut Counts) {
        let (word, bit) = ((offset / 64) as usize, 1 << (offset % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            counts.repeated += 1;
            return;
        }
        self.seen[word] |= bit;
        counts.events += 1;
        if offset < self.next {
            counts.disordered += 1;
        } else {
            self.next = offset + 1;
        }
    }
}

fn lane_key(path: u32, topic: u64, partition: u64) -> Result<LaneKey, std::num::TryFromIntError> {
    Ok((path, topic.try_into()?, partition.try_into()?))
}

/// Three numbers with slashes between them and a quotation mark after them.
fn numbers(text: &[u8]) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let mut rest = text;
    for (number, end) in numbers.iter_mut().zip([b'/', b'/', b'"']) {
        let length = rest.iter().take(20).position(|byte| *byte == end)?;
        *number = std::str::from_utf8(&rest[..length]).ok()?.parse().ok()?;
        rest = &rest[length + 1..];
    }
    Some(numbers)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: usize = 40;

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
            tally.request(b"/0", &body(marks));
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
        tally.request(b"/0", &body(&["0/0/0"]));
        tally.request(b"/1", &body(&["0/0/0"]));
        assert_eq!((tally.counts().events, tally.counts().repeated), (2, 0));
    }

    #[test]
    fn a_body_without_whole_events_is_garbled() {
        let whole = body(&["0/0/0"]);
        for bad in [&b"{}"[..], &body(&["0/x/0"]), &whole[..VALUE]] {
            let mut tally = Tally::new(VALUE);
            tally.request(b"/", bad);
            let text = String::from_utf8_lossy(bad);
            assert_eq!(
                (tally.counts().garbled, tally.counts().events),
                (1, 0),
                "{text}"
            );
        }
    }
}
