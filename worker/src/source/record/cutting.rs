//! The records of one run, cut out of what was fetched.
//!
//! Owns the memory that small records share while it is filled. To allocate and free for each record,
//! mostly on two threads, costs more than to copy it; so they share allocations of `CHUNK_BYTES`. A
//! record that stays behind pins the chunk of its neighbours and no more.

use bytes::Bytes;

use super::{Record, Timestamp, append};

/// Bytes of records that share one allocation; a larger record has one of its own.
const CHUNK_BYTES: usize = 8 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Cutting {
    /// The last of them, as many as there are ends, do not have their bytes yet.
    records: Vec<Record>,
    chunk: Vec<u8>,
    ends: Vec<usize>,
}

impl Cutting {
    /// Cuts a record. `headers` yields name and value; a Kafka header value may be null. Returns what it
    /// counts against the byte budget ([`Record::cost`]).
    pub fn cut<'a>(
        &mut self,
        (offset, timestamp): (i64, Timestamp),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> usize {
        let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        if self.chunk.len() + size > CHUNK_BYTES {
            self.seal();
        }
        if self.chunk.is_empty() {
            self.chunk.reserve(size.max(CHUNK_BYTES));
        }
        let start = self.chunk.len();
        let parts = append(&mut self.chunk, key, value, headers);
        self.ends.push(self.chunk.len());
        let record = Record::of(offset, timestamp, Bytes::new(), parts);
        self.records.push(record);
        self.chunk.len() - start + super::RECORD_OVERHEAD_BYTES
    }

    /// How many were cut.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none was cut.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All of them, in the order in which they were cut.
    pub fn finish(mut self) -> Vec<Record> {
        self.seal();
        self.records
    }

    /// Gives the records that wait for their bytes what they share.
    fn seal(&mut self) {
        let mut chunk = std::mem::take(&mut self.chunk);
        // What is barely filled, as when few records come, must not hold what it does not need.
        if chunk.len() < chunk.capacity() / 4 * 3 {
            chunk.shrink_to_fit();
        }
        let chunk = Bytes::from(chunk);
        let first = self.records.len() - self.ends.len();
        let mut start = 0;
        for (record, end) in self.records.iter_mut().skip(first).zip(self.ends.drain(..)) {
            record.data = chunk.slice(start..end);
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Headers = Vec<(String, Option<Vec<u8>>)>;

    fn bytes(most: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..most))
    }

    proptest! {
        #[test]
        fn records_are_what_they_would_be_alone(
            records in prop::collection::vec(
                (
                    bytes(20),
                    prop_oneof![bytes(300), bytes(3 * CHUNK_BYTES)],
                    prop::collection::vec(("[a-z]{0,5}", bytes(40)), 0..4),
                ),
                0..60,
            ),
        ) {
            let mut cutting = Cutting::default();
            let mut alone = Vec::new();
            for (offset, (key, value, headers)) in (0..).zip(&records) {
                let headers: &Headers = headers;
                let headers = headers.iter().map(|(name, value)| (&**name, value.as_deref()));
                let (key, value) = (key.as_deref(), value.as_deref());
                let timestamp = Timestamp::Created(offset);
                let record = Record::new(offset, timestamp, key, value, headers.clone());
                let cost = cutting.cut((offset, timestamp), key, value, headers);
                prop_assert_eq!(cost, record.cost());
                alone.push(record);
            }
            prop_assert_eq!(cutting.len(), alone.len());
            for (together, alone) in cutting.finish().iter().zip(&alone) {
                prop_assert_eq!(together.offset, alone.offset);
                prop_assert_eq!(together.cost(), alone.cost());
                prop_assert_eq!((together.key(), together.value()), (alone.key(), alone.value()));
                prop_assert_eq!(together.value_bytes(), alone.value_bytes());
                prop_assert!(together.headers().eq(alone.headers()));
            }
        }
    }
}
