//! How large the next transaction of a shard may be.
//!
//! Owns the bytes of the bodies in flight. A body stays in memory until its receiver has answered, and
//! thousands of slow receivers would hold thousands of full ones. So each new transaction takes at most a
//! share of what is left: while receivers are quick all are as large as their targets allow, and the more
//! of them wait the smaller they become, down to one event. No lane ever waits for another's body.

/// The share of what is left that one transaction may take.
const SHARE: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Bodies {
    most: usize,
    in_flight: usize,
}

impl Bodies {
    /// At most `most` bytes, besides single events.
    pub(super) fn new(most: usize) -> Self {
        Self { most, in_flight: 0 }
    }

    /// Bytes that the next transaction may have; an event that is larger goes alone.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.in_flight) / SHARE
    }

    /// An attempt with a body of so many bytes begins.
    pub(super) fn began(&mut self, bytes: usize) {
        self.in_flight += bytes;
    }

    /// An attempt with such a body is over.
    pub(super) fn ended(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_never_fills_what_there_is() {
        const MOST: usize = 1 << 20;
        let mut bodies = Bodies::new(MOST);
        let full = |room: usize| room.min(100 << 10);
        let first = full(bodies.room());
        assert_eq!(first, 100 << 10);
        let mut all = Vec::new();
        for _ in 0..1_000 {
            let bytes = full(bodies.room());
            bodies.began(bytes);
            all.push(bytes);
        }
        assert!(bodies.in_flight <= MOST);
        assert!(bodies.room() < SHARE);
        all.into_iter().for_each(|bytes| bodies.ended(bytes));
        assert_eq!(full(bodies.room()), first);
    }

    #[test]
    fn single_events_go_on_when_nothing_is_left() {
        let mut bodies = Bodies::new(100);
        bodies.began(200);
        assert_eq!(bodies.room(), 0);
        bodies.ended(200);
        assert_eq!(bodies.room(), 100 / SHARE);
    }
}
