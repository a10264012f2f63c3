//! What was handed to the client and not answered yet.
//!
//! Pure. Owns who waits for what, and the bounds: of everything, of parks, and of the parks of one
//! bucket. A bucket whose leader is away fills its own share and holds up only its own lanes; rows,
//! terminators and dead letters find room when parks have none.

use std::collections::BTreeMap;

/// What a record costs beside its bytes: librdkafka's structures for it and for some twenty headers,
/// each an allocation of its own.
pub const RECORD_OVERHEAD_BYTES: usize = 2 * 1024;

/// What a record weighs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Bytes of key, value and headers.
    pub(super) bytes: usize,
    /// The bucket of a park; none for all else.
    pub(super) bucket: Option<i32>,
}

/// Entries by number, which rises. `W` waits for the answer.
#[derive(Debug)]
pub(super) struct Book<W> {
    next: usize,
    open: BTreeMap<usize, (Load, W)>,
    bytes: usize,
    parked: usize,
    buckets: BTreeMap<i32, usize>,
    limit: usize,
}

impl<W> Default for Book<W> {
    fn default() -> Self {
        Self::new(super::QUEUE_BYTES)
    }
}

impl<W> Book<W> {
    fn new(limit: usize) -> Self {
        Self {
            next: 0,
            open: BTreeMap::new(),
            bytes: 0,
            parked: 0,
            buckets: BTreeMap::new(),
            limit,
        }
    }

    /// What is open, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Opens an entry, or gives back who would have waited when there is no room.
    pub(super) fn open(&mut self, load: Load, waiting: W) -> Result<usize, W> {
        let load = Load {
            bytes: load.bytes + RECORD_OVERHEAD_BYTES,
            ..load
        };
        if !self.has_room(load) {
            return Err(waiting);
        }
        self.bytes += load.bytes;
        if let Some(bucket) = load.bucket {
            self.parked += load.bytes;
            *self.buckets.entry(bucket).or_default() += load.bytes;
        }
        let id = self.next;
        self.next += 1;
        self.open.insert(id, (load, waiting));
        Ok(id)
    }

    /// Ends an entry; none when it has ended before.
    pub(super) fn close(&mut self, id: usize) -> Option<W> {
        let (load, waiting) = self.open.remove(&id)?;
        self.bytes -= load.bytes;
        if let Some(bucket) = load.bucket {
            self.parked -= load.bytes;
            let of_bucket = self.buckets.entry(bucket).or_default();
            *of_bucket -= load.bytes;
            if *of_bucket == 0 {
                self.buckets.remove(&bucket);
            }
        }
        Some(waiting)
    }

    /// Ends all entries, in the order in which they were opened.
    pub(super) fn clear(&mut self) -> Vec<W> {
        (self.bytes, self.parked) = (0, 0);
        self.buckets.clear();
        let open = std::mem::take(&mut self.open);
        open.into_values().map(|(_, waiting)| waiting).collect()
    }

    /// A record larger than a share goes when nothing else of that share is open: it must get through.
    fn has_room(&self, load: Load) -> bool {
        let fits = |open: usize, limit: usize| open == 0 || open + load.bytes <= limit;
        let of_bucket = |bucket| self.buckets.get(&bucket).copied().unwrap_or(0);
        fits(self.bytes, self.limit)
            && load.bucket.is_none_or(|bucket| {
                fits(self.parked, self.limit / 4 * 3) && fits(of_bucket(bucket), self.limit / 8)
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIB: usize = 1024;

    fn load(kib: usize, bucket: Option<i32>) -> Load {
        Load {
            bytes: kib * KIB - RECORD_OVERHEAD_BYTES,
            bucket,
        }
    }

    #[test]
    fn a_bucket_that_gets_nothing_away_leaves_room_for_the_others() {
        let mut book = Book::new(800 * KIB);
        for _ in 0..10 {
            assert!(book.open(load(10, Some(1)), ()).is_ok());
        }
        assert!(book.open(load(10, Some(1)), ()).is_err());
        assert!(book.open(load(10, Some(2)), ()).is_ok());
        assert!(book.close(3).is_some());
        assert!(book.open(load(10, Some(1)), ()).is_ok());
    }

    #[test]
    fn rows_find_room_when_parks_have_none() {
        let mut book = Book::new(800 * KIB);
        for bucket in 0..6 {
            assert!(book.open(load(100, Some(bucket)), ()).is_ok());
        }
        assert!(book.open(load(100, Some(6)), ()).is_err());
        assert!(book.open(load(100, None), ()).is_ok());
        assert!(book.open(load(100, None), ()).is_ok());
        assert!(book.open(load(100, None), ()).is_err());
    }

    #[test]
    fn a_record_larger_than_its_share_goes_alone() {
        let mut book = Book::new(800 * KIB);
        assert!(book.open(load(500, Some(1)), ()).is_ok());
        assert!(book.open(load(10, Some(1)), ()).is_err());
        book.close(0);
        assert!(book.open(load(900, Some(1)), ()).is_ok());
        assert!(book.open(load(10, None), ()).is_err());
    }

    proptest! {
        #[test]
        fn every_entry_ends_once_and_all_room_comes_back(
            steps in proptest::collection::vec((1..200_usize, proptest::option::of(0..4_i32), any::<prop::sample::Index>()), 1..100),
        ) {
            let mut book = Book::new(800 * KIB);
            let mut open = Vec::new();
            for (number, (kib, bucket, which)) in steps.into_iter().enumerate() {
                if let Ok(id) = book.open(load(kib + 2, bucket), number) {
                    open.push((id, number));
                } else if !open.is_empty() {
                    let (id, number) = open.remove(which.index(open.len()));
                    prop_assert_eq!(book.close(id), Some(number));
                    prop_assert_eq!(book.close(id), None);
                }
            }
            for (id, number) in open.drain(..open.len() / 2) {
                prop_assert_eq!(book.close(id), Some(number));
            }
            let left: Vec<usize> = open.into_iter().map(|(_, number)| number).collect();
            prop_assert_eq!(book.clear(), left);
            prop_assert_eq!((book.bytes, book.parked, book.buckets.len()), (0, 0, 0));
        }
    }
}
