//! Event ids, as they stand in the bodies of requests.
//!
//! An id starts with `topic/partition/offset`; what follows a further `/` is not looked at. Ids are
//! read from the three formats that carry them in the body: `Json`
//! (`{"events":[{"id":…},…]}`), `CloudEvents` (`{"specversion":…,"id":…}`) and `CloudEventsBatch`
//! (an array of those).

use std::{borrow::Cow, collections::HashSet, fmt, sync::Arc};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::Lane;

/// Which event it is. Clones share the topic's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl EventId {
    /// The lane it belongs to.
    pub fn lane(&self) -> Lane {
        (Arc::clone(&self.topic), self.partition)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Reads ids, and keeps each topic's name once.
#[derive(Debug, Default)]
pub struct Interner {
    topics: HashSet<Arc<str>>,
}

/// A body that is an object: one event, or an envelope around several.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    events: Option<Vec<Identified<'a>>>,
    #[serde(borrow)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Interner {
    /// The ids of the events in a body, in their order.
    ///
    /// # Errors
    /// When the body is in none of the three formats, or an id is none.
    pub fn read(&mut self, body: &[u8]) -> Result<Vec<EventId>> {
        let ids = ids(body).with_context(|| {
            let start = &body[..body.len().min(200)];
            format!("read events from {:?}", String::from_utf8_lossy(start))
        })?;
        ids.iter().map(|event| self.parse(&event.id)).collect()
    }

    /// One id.
    ///
    /// # Errors
    /// When it does not start with `topic/partition/offset`.
    pub fn parse(&mut self, id: &str) -> Result<EventId> {
        let mut segments = id.split('/');
        let mut segment = || segments.next().filter(|segment| !segment.is_empty());
        let parsed = (|| {
            let topic = segment()?;
            let partition = segment()?.parse().ok()?;
            let offset = segment()?.parse().ok()?;
            Some((topic, partition, offset))
        })();
        let (topic, partition, offset) =
            parsed.with_context(|| format!("{id:?} is not topic/partition/offset"))?;
        Ok(EventId {
            topic: self.intern(topic),
            partition,
            offset,
        })
    }

    fn intern(&mut self, topic: &str) -> Arc<str> {
        if let Some(known) = self.topics.get(topic) {
            return Arc::clone(known);
        }
        let new: Arc<str> = topic.into();
        self.topics.insert(Arc::clone(&new));
        new
    }
}

fn ids(body: &[u8]) -> Result<Vec<Identified<'_>>> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Ok(serde_json::from_slice(body)?);
    }
    match serde_json::from_slice(body)? {
        Object {
            events: Some(events),
            ..
        } => Ok(events),
        Object {
            specversion: Some(_),
            id: Some(id),
            ..
        } => Ok(vec![Identified { id }]),
        Object { .. } => bail!("neither `events` nor `specversion` and `id`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_every_format_that_carries_ids() {
        for (format, body, expected) in [
            (
                "Json",
                r#"{"events":[{"id":"t/0/1/AAEC","topic":"t","data":{"id":"no"}},{"id":"t/0/2"}]}"#,
                vec!["t/0/1", "t/0/2"],
            ),
            ("Json, nothing", r#"{"events":[]}"#, vec![]),
            (
                "CloudEvents",
                r#"{"specversion":"1.0","id":"t/3/9","data":[{"id":"no"}]}"#,
                vec!["t/3/9"],
            ),
            (
                "CloudEventsBatch",
                r#" [{"specversion":"1.0","id":"a.b-c_d/3/9/x/y"},{"id":"t\u0031/0/0"}]"#,
                vec!["a.b-c_d/3/9", "t1/0/0"],
            ),
        ] {
            let read = Interner::default().read(body.as_bytes()).unwrap();
            let read: Vec<String> = read.iter().map(ToString::to_string).collect();
            assert_eq!(read, expected, "{format}");
        }
    }

    #[test]
    fn a_body_without_readable_ids_is_an_error_and_not_empty() {
        for body in [
            "",
            "null",
            "{}",
            r#"{"id":"t/0/1"}"#,
            r#"{"specversion":"1.0"}"#,
            r#"{"events":[{}]}"#,
            r#"{"events":[{"id":"t/0"}]}"#,
            r#"{"events":[{"id":"t/x/0"}]}"#,
            r#"{"events":[{"id":"/0/0"}]}"#,
            r#"{"events":[{"id":"t/0/1"}"#,
        ] {
            let read = Interner::default().read(body.as_bytes());
            assert!(read.is_err(), "{body:?}: {read:?}");
        }
    }

    #[test]
    fn a_topics_name_is_kept_once() {
        let mut interner = Interner::default();
        let (one, two) = (
            interner.parse("t/0/1").unwrap(),
            interner.parse("t/9/2").unwrap(),
        );
        assert!(Arc::ptr_eq(&one.topic, &two.topic));
    }
}
