//! How long events were under way, from their stamps to their arrival.
//!
//! Keeps four bytes an event from one question to the next; a question forgets them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What came between two questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// Stamped events that came for the first time.
    pub(crate) events: u64,
    /// Half of them took no longer, milliseconds; 0 without events.
    pub(crate) p50_ms: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99_ms: f64,
    /// The longest.
    pub(crate) longest_ms: f64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    micros: Vec<u32>,
}

impl Stopwatch {
    pub(super) fn add(&mut self, took: Duration) {
        // Over an hour is an hour and some.
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.micros.push(micros);
    }

    /// What came since this was last asked.
    pub(super) fn take(&mut self) -> Latencies {
        let mut sorted = std::mem::take(&mut self.micros);
        sorted.sort_unstable();
        let of = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            let micros = sorted.get(rank.saturating_sub(1));
            micros.map_or(0.0, |micros| f64::from(*micros) / 1e3)
        };
        Latencies {
            events: sorted.len() as u64,
            p50_ms: of(0.5),
            p99_ms: of(0.99),
            longest_ms: of(1.0),
        }
    }
}
