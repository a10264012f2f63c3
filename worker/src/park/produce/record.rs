//! An order as a record: where it goes, and its key, value and headers.
//!
//! Owns the choice of topic and partition. Sends nothing.

use rdkafka::message::{Header, OwnedHeaders};

use super::super::{Names, Order, bucket, dead_letter, format};
use crate::park::dead_letter::Letter;
use crate::park::format::Encoded;

/// What librdkafka gets room for at first: ours and some of the event's own.
const HEADERS: usize = 24;

/// Where orders go.
#[derive(Clone, Debug)]
pub struct Destinations {
    retry: String,
    lanes: String,
    reports: String,
    dead_letter: String,
    lanes_partitions: i32,
}

/// A record that is about to be written.
pub(super) struct Record<'a> {
    topic: &'a str,
    partition: Option<i32>,
    body: Body<'a>,
}

enum Body<'a> {
    Parked(Encoded<'a>),
    Row(Vec<u8>, Option<Vec<u8>>),
    Letter(Letter<'a>),
}

impl Destinations {
    /// Our topics, and how many partitions the lanes topic has.
    pub fn new(names: &Names, lanes_partitions: i32) -> Self {
        Self {
            retry: names.retry(),
            lanes: names.lanes(),
            reports: names.reports(),
            dead_letter: names.dead_letter(),
            lanes_partitions,
        }
    }

    /// The record for an order; none for a run that has no events, or more than a reference can name.
    pub(super) fn record<'a>(&'a self, order: &'a Order) -> Option<Record<'a>> {
        Some(match order {
            Order::Park(run) => self.park(run.lane.bucket, format::encode(run)?),
            Order::ParkReference(run) => self.park(run.lane.bucket, format::reference(run)?),
            Order::Row(key, row) => {
                let value = row.as_ref().map(|row| row.encode());
                self.row(key, value)
            }
            Order::Terminator(key, terminator) => {
                let value = terminator.as_ref().map(|terminator| terminator.encode());
                self.row(key, value)
            }
            Order::DeadLetter(letter) => Record {
                topic: letter.topic.as_deref().unwrap_or(&self.dead_letter),
                // The key decides, as it did where the event came from.
                partition: None,
                body: Body::Letter(dead_letter::encode(letter)),
            },
        })
    }

    /// The record for what is told under a key of the reports topic, which has one partition.
    pub(super) fn report(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Record<'_> {
        Record {
            topic: &self.reports,
            partition: Some(0),
            body: Body::Row(key, value),
        }
    }

    fn park<'a>(&'a self, bucket: i32, encoded: Encoded<'a>) -> Record<'a> {
        Record {
            topic: &self.retry,
            partition: Some(bucket),
            body: Body::Parked(encoded),
        }
    }

    fn row<'a>(
        &'a self,
        key: &parcelhook_crds::lane::RowKey,
        value: Option<Vec<u8>>,
    ) -> Record<'a> {
        let scope = &key.scope;
        let partition = bucket::lanes_partition(
            &scope.group,
            &scope.topic,
            scope.partition,
            self.lanes_partitions,
        );
        Record {
            topic: &self.lanes,
            partition: Some(partition),
            body: Body::Row(key.encode(), value),
        }
    }
}

impl Record<'_> {
    pub(super) fn topic(&self) -> &str {
        self.topic
    }

    /// The partition; none leaves it to the key.
    pub(super) fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// The bucket of a park.
    pub(super) fn bucket(&self) -> Option<i32> {
        match self.body {
            Body::Parked(_) => self.partition,
            Body::Row(..) | Body::Letter(_) => None,
        }
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Parked(encoded) => encoded.key(),
            Body::Row(key, _) => Some(key),
            Body::Letter(letter) => letter.key(),
        }
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Parked(encoded) => encoded.value(),
            Body::Row(_, value) => value.as_deref(),
            Body::Letter(letter) => letter.value(),
        }
    }

    /// The headers, in librdkafka's own form.
    pub(super) fn headers(&self) -> Option<OwnedHeaders> {
        let mut headers = match &self.body {
            Body::Row(..) => return None,
            Body::Parked(_) | Body::Letter(_) => Some(OwnedHeaders::new_with_capacity(HEADERS)),
        };
        self.each_header(|key, value| {
            headers = headers
                .take()
                .map(|headers| headers.insert(Header { key, value }));
        });
        headers
    }

    /// Bytes of key, value and headers.
    pub(super) fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let mut size = length(self.key()) + length(self.value());
        self.each_header(|name, value| size += name.len() + length(value));
        size
    }

    fn each_header(&self, put: impl FnMut(&str, Option<&[u8]>)) {
        match &self.body {
            Body::Parked(encoded) => encoded.headers(put),
            Body::Letter(letter) => letter.headers(put),
            Body::Row(..) => {}
        }
    }
}
