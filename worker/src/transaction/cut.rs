//! How many waiting events go into the next transaction.
//!
//! There is no timer: whatever waits when the lane may send is cut, up to the limits. The byte limit
//! cuts, it does not refuse: an event larger than it goes alone.

use parcelhook_crds::compiled::TransactionLimits;

/// How many events go into the next transaction, taken from the front. `sizes` are the waiting
/// events' bytes (`Record::size`), oldest first. Zero only when nothing waits.
pub fn next(sizes: impl IntoIterator<Item = usize>, limits: TransactionLimits) -> usize {
    let mut bytes = 0_usize;
    let mut events = 0;
    for size in sizes {
        bytes = bytes.saturating_add(size);
        if events > 0 && (events >= limits.max_events || bytes > limits.max_bytes) {
            break;
        }
        events += 1;
    }
    events
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(sizes: &[usize], max_events: usize, max_bytes: usize) -> usize {
        next(
            sizes.iter().copied(),
            TransactionLimits {
                max_events,
                max_bytes,
            },
        )
    }

    #[test]
    fn the_limits_cut() {
        for (sizes, max_events, max_bytes, events, what) in [
            (&[][..], 100, 100, 0, "nothing waits"),
            (&[1, 1, 1], 100, 100, 3, "all fit"),
            (&[1, 1, 1], 2, 100, 2, "events are full"),
            (&[50, 50, 1], 100, 100, 2, "bytes are exactly full"),
            (&[50, 51], 100, 100, 1, "the second is too much"),
            (&[101, 0], 100, 100, 1, "too large goes alone"),
            (&[1, 101], 100, 100, 1, "too large waits for its own turn"),
            (&[0, 0, 0], 100, 0, 3, "empty events cost no bytes"),
            (&[5], 0, 0, 1, "something that waits always goes"),
            (&[usize::MAX, usize::MAX], 100, 100, 1, "sizes do not wrap"),
        ] {
            assert_eq!(cut(sizes, max_events, max_bytes), events, "{what}");
        }
    }

    proptest! {
        #[test]
        fn every_event_is_in_exactly_one_transaction_in_order_within_the_limits(
            sizes in prop::collection::vec(0..300_usize, 0..400),
            max_events in 1..=100_usize,
            max_bytes in 0..1_000_usize,
        ) {
            let mut rest = &sizes[..];
            let mut seen = Vec::new();
            while !rest.is_empty() {
                let (transaction, later) = rest.split_at(cut(rest, max_events, max_bytes));
                let bytes: usize = transaction.iter().sum();
                prop_assert!((1..=max_events).contains(&transaction.len()));
                prop_assert!(bytes <= max_bytes || transaction.len() == 1);
                if let Some(next) = later.first() {
                    let full = transaction.len() == max_events || bytes + next > max_bytes;
                    prop_assert!(full, "cut although there was room");
                }
                seen.extend_from_slice(transaction);
                rest = later;
            }
            prop_assert_eq!(seen, sizes);
        }
    }
}
