//! An event as a lane reads it back from the retry topic.

use super::machine::Event;
use crate::source::record::Record;

/// See the module.
#[derive(Clone, Debug)]
pub enum ReadBack {
    /// The event as it was parked.
    Event(Record),
    /// The event as its source topic still has it: it was too large to be parked.
    Fetched(Record),
    /// The event at this offset of the source was too large to be parked, and its topic has it no more.
    Gone(i64),
}

impl ReadBack {
    /// The event, unless only its place is left.
    pub fn event(&self) -> Option<&Record> {
        match self {
            Self::Event(record) | Self::Fetched(record) => Some(record),
            Self::Gone(_) => None,
        }
    }
}

impl Event for ReadBack {
    fn offset(&self) -> i64 {
        match self {
            Self::Event(record) | Self::Fetched(record) => record.offset,
            Self::Gone(offset) => *offset,
        }
    }

    fn cost(&self) -> usize {
        self.event().map_or(0, Record::cost)
    }

    fn is_gone(&self) -> bool {
        self.event().is_none()
    }

    fn is_elsewhere(&self) -> bool {
        match self {
            Self::Event(_) => false,
            Self::Fetched(_) | Self::Gone(_) => true,
        }
    }
}
