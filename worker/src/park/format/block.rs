//! Our headers, which come before the event's own: written one after the other, and taken apart.
//!
//! Owns how a value becomes text and back. Which headers a record has is decided in `encode` and in
//! [`crate::park::dead_letter`].

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parcelhook_crds::lane::LaneName;
use uuid::Uuid;

use super::{BODY, FormatError, Header, SELECTION, SOURCE, TARGET, TIMESTAMP, TOPIC_ID};
use crate::park::LaneAddress;
use crate::source::TopicId;
use crate::source::record::Timestamp;

/// Target, selection, source and topic id: what names a lane is in the first headers.
const IDENTITY_HEADERS: usize = 4;

/// More headers before [`BODY`] than any version has; the rest of a foreign record is not searched.
const MOST_HEADERS: usize = 64;

/// Longest text of a header that tells of a failure, bytes.
const TEXT_BYTES: usize = 1024;

/// Writes headers. Owns one buffer in which values become text.
pub(in crate::park) struct Block<P> {
    text: String,
    put: P,
}

impl<P: FnMut(&str, Option<&[u8]>)> Block<P> {
    /// Hands each header to `put`.
    pub(in crate::park) fn new(put: P) -> Self {
        Self {
            text: String::with_capacity(64),
            put,
        }
    }

    /// Writes the headers that name a lane.
    pub(in crate::park) fn lane(&mut self, lane: &LaneAddress) {
        self.line(TARGET, lane.name.target.as_hyphenated());
        self.selection(&lane.name.selection);
        self.line(SOURCE, &lane.source);
        if let Some(TopicId(id)) = &lane.topic_id {
            self.line(TOPIC_ID, id.as_hyphenated());
        }
    }

    /// Writes one header.
    pub(in crate::park) fn line(&mut self, name: &str, value: impl Display) {
        self.text.clear();
        // Writing into a String never fails.
        let _ = write!(self.text, "{value}");
        (self.put)(name, Some(self.text.as_bytes()));
    }

    /// Writes one header, unless there is no value.
    pub(in crate::park) fn line_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(name, value);
        }
    }

    /// Writes words for people, cut where they become long.
    pub(in crate::park) fn words(&mut self, name: &str, words: &str) {
        let end = words.floor_char_boundary(TEXT_BYTES);
        (self.put)(name, words.get(..end).map(str::as_bytes));
    }

    /// Writes when the event happened.
    pub(in crate::park) fn timestamp(&mut self, timestamp: Timestamp) {
        match timestamp {
            Timestamp::Missing => self.line(TIMESTAMP, "missing"),
            Timestamp::Created(millis) => {
                self.line(TIMESTAMP, format_args!("created {millis}"));
            }
            Timestamp::Appended(millis) => {
                self.line(TIMESTAMP, format_args!("appended {millis}"));
            }
        }
    }

    /// Ends our headers, and has those of an event follow.
    pub(in crate::park) fn end<'a>(
        mut self,
        body: &str,
        own: impl IntoIterator<Item = Header<'a>>,
    ) {
        (self.put)(BODY, Some(body.as_bytes()));
        for (name, value) in own {
            (self.put)(name, value);
        }
    }

    fn selection(&mut self, selection: &[u8; 16]) {
        self.text.clear();
        URL_SAFE_NO_PAD.encode_string(selection, &mut self.text);
        (self.put)(SELECTION, Some(self.text.as_bytes()));
    }
}

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneOf<'a> {
    /// Target and selection.
    pub name: LaneName,
    /// Topic that the events came from.
    pub topic: &'a str,
    /// Partition of it.
    pub partition: i32,
    /// The topic's id, when the cluster told one.
    pub topic_id: Option<TopicId>,
}

/// Whose record of the retry topic it is, by its first headers alone: what a scan asks of every
/// record before it decodes those that it wants. None for what is not ours.
pub fn lane_of<'a>(headers: impl Iterator<Item = Header<'a>>) -> Option<LaneOf<'a>> {
    let mut headers = headers.take(IDENTITY_HEADERS);
    let mut next = |name| match headers.next() {
        Some((found, Some(value))) if found == name => std::str::from_utf8(value).ok(),
        Some(_) | None => None,
    };
    let target = Uuid::try_parse(next(TARGET)?).ok()?;
    let mut selection = [0; 16];
    let decoded = URL_SAFE_NO_PAD.decode_slice(next(SELECTION)?, &mut selection);
    decoded.ok().filter(|length| *length == 16)?;
    let (topic, partition) = next(SOURCE)?.rsplit_once('/')?;
    let topic_id = match next(TOPIC_ID) {
        Some(id) => Some(TopicId(Uuid::try_parse(id).ok()?)),
        None => None,
    };
    Some(LaneOf {
        name: LaneName { target, selection },
        topic,
        partition: partition.parse().ok()?,
        topic_id,
    })
}

/// Our headers, found by name. What follows them is the event's own.
pub(super) struct Ours<H> {
    first: H,
    count: usize,
    own: H,
}

impl<'a, H: Iterator<Item = Header<'a>> + Clone> Ours<H> {
    /// Finds where our headers end.
    pub(super) fn of(headers: H) -> Result<Self, FormatError> {
        let mut own = headers.clone();
        let end = own
            .by_ref()
            .take(MOST_HEADERS)
            .position(|(name, _)| name == BODY);
        Ok(Self {
            first: headers,
            count: end.ok_or(FormatError::Foreign)? + 1,
            own,
        })
    }

    /// The event's own headers.
    pub(super) fn own(&self) -> H {
        self.own.clone()
    }

    /// A header's text, when it is there.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, FormatError> {
        let mut ours = self.first.clone().take(self.count);
        match ours.find(|(found, _)| *found == name) {
            None => Ok(None),
            Some((_, value)) => value
                .and_then(|value| std::str::from_utf8(value).ok())
                .map(Some)
                .ok_or(FormatError::Header(name)),
        }
    }

    /// A header that can be read from its text, when it is there.
    pub(super) fn maybe<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, FormatError> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| FormatError::Header(name)))
            .transpose()
    }

    /// A header that must be there.
    pub(super) fn must<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, FormatError> {
        self.maybe(name)?.ok_or(FormatError::Header(name))
    }

    /// When the event happened.
    pub(super) fn timestamp(&self) -> Result<Timestamp, FormatError> {
        let text = self.text(TIMESTAMP)?;
        let parse = |text: &str| {
            if text == "missing" {
                return Some(Timestamp::Missing);
            }
            let (kind, millis) = text.split_once(' ')?;
            let millis = millis.parse().ok()?;
            match kind {
                "created" => Some(Timestamp::Created(millis)),
                "appended" => Some(Timestamp::Appended(millis)),
                _ => None,
            }
        };
        text.and_then(parse).ok_or(FormatError::Header(TIMESTAMP))
    }
}
