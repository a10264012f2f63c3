//! Only reading: what any delivery from Kafka costs at the least.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result, ensure};
use rdkafka::{Message as _, consumer::BaseConsumer};
use rustc_hash::FxHashMap;

use super::{Task, kafka};

/// What stands before the number of events in a line of its output.
pub(crate) const READ: &str = "read ";

/// Events from one line to the next: rare enough to cost nothing.
const EVERY: u64 = 1_000;

pub(super) fn run(task: &Task) -> Result<()> {
    let consumer: BaseConsumer = kafka::tuned(task)?;
    let mut next: FxHashMap<i32, i64> = FxHashMap::default();
    let mut read = 0;
    loop {
        let Some(event) = consumer.poll(None) else {
            continue;
        };
        let event = event.context("poll")?;
        kafka::value(&event)?;
        let expected = next.entry(event.partition()).or_default();
        ensure!(
            event.offset() == *expected,
            "offset {} instead of {expected}",
            event.offset()
        );
        *expected += 1;
        read += 1;
        if read % EVERY == 0 {
            writeln!(io::stdout(), "{READ}{read}").context("tell")?;
        }
    }
}
