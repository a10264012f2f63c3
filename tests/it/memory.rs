//! A target that hangs while much flows past it: memory stays within what is documented, and neither
//! target loses anything.

use anyhow::Result;
use parcelhook_env::{
    check::Expected,
    eventually,
    kafka::Event,
    receiver::{Answer, Gate, Receiver},
};

use crate::{
    manifest::Manifest,
    site::{PARTITIONS, SOON, Site},
    told::shows,
};

const MIB: u64 = 1 << 20;

/// The values of events: large, so that the test is about bytes.
const VALUE_BYTES: usize = 100 << 10;
/// Events for the target that takes them: 200 MB, twelve times the byte budget.
const FLOWING: usize = 2_000;
/// Events for the target that hangs: 50 MB, three times the byte budget.
const HELD: usize = 500;

/// `byteBudget`, events in flight.
const BUDGET_BYTES: u64 = 16 * MIB;
/// `queued.max.messages.kbytes` and `fetch.max.bytes` of docs/configuration.md: what librdkafka has
/// fetched, and the answer that it is reading.
const FETCHED_BYTES: u64 = (8 + 4) * MIB;
/// A request a lane: `transaction.maxBytes` by default.
const REQUESTS_BYTES: u64 = (1 + PARTITIONS as u64) * MIB;

/// What is read back: `byteBudget`'s half, and what librdkafka has fetched of the retry topic.
const READ_BACK_BYTES: u64 = BUDGET_BYTES / 2 + (2 + 4) * MIB;

/// Events spread over that many partitions, each value a JSON string that cannot be compressed: a fetch
/// is bounded by the bytes that come over the wire.
fn large_events(count: usize, partitions: usize) -> impl Iterator<Item = Event> {
    let letter = |state: &mut u32, _| {
        // The generator of Numerical Recipes; its high bits are good enough.
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(b'a' + (*state >> 24) as u8 % 26))
    };
    let letters: String = (0..VALUE_BYTES).scan(1, letter).collect();
    let value = format!("\"{letters}\"");
    let partitions = (0..).take(partitions).cycle();
    partitions
        .take(count)
        .map(move |partition| Event::new(value.clone()).to(partition))
}

#[tokio::test]
async fn a_target_that_hangs_costs_no_memory_and_delays_nobody() -> Result<()> {
    let site = Site::new("memory").await?;
    let (held_topic, flowing_topic) =
        (site.topic(PARTITIONS).await?, site.topic(PARTITIONS).await?);
    let slow = Receiver::builder().compact().start()?;
    let fast = Receiver::builder().compact().start()?;
    let gate = Gate::new();
    slow.answer(Answer::ok().behind(&gate));
    let patient = serde_json::json!({"timeout": "60s"});
    let hanging = Manifest::new("slow", &held_topic, &slow.url("/")).with("delivery", patient);
    site.put(&hanging)?;
    site.put(&Manifest::new("fast", &flowing_topic, &fast.url("/")))?;
    let worker = site.worker().flag("--byte-budget", "16Mi").start().await?;
    let at_rest = worker.usage()?.resident_bytes;

    let mut held = Expected::default();
    let mut flowing = Expected::default();
    let produced = site
        .kafka
        .produce(&held_topic, large_events(HELD, PARTITIONS))
        .await?;
    held.add_produced(&held_topic, &produced);
    // It hangs before the others begin.
    slow.arrived(PARTITIONS, SOON).await?;
    for _ in 0..10 {
        let events = large_events(FLOWING / 10, PARTITIONS);
        let produced = site.kafka.produce(&flowing_topic, events).await?;
        flowing.add_produced(&flowing_topic, &produced);
    }
    eventually("all at the fast receiver", SOON, async || {
        flowing.compare(&fast.accepted()?).kept_exactly_once()
    })
    .await?;
    assert_eq!(slow.count(), PARTITIONS);
    let peak = worker.usage()?.peak_resident_bytes;
    // Twice, since a buffer that grows is copied, and an allocator keeps what was freed.
    let bound = at_rest + 2 * (BUDGET_BYTES + FETCHED_BYTES + REQUESTS_BYTES);
    assert!(
        peak < bound,
        "{} MiB, the bound is {}",
        peak / MIB,
        bound / MIB
    );

    gate.open();
    eventually("all at the slow receiver, in order", SOON, async || {
        held.compare(&slow.accepted()?).kept_exactly_once()
    })
    .await?;
    shows(&worker, "slow", "/pendingEvents", 0).await?;
    let peak = worker.usage()?.peak_resident_bytes;
    let bound = bound + 2 * READ_BACK_BYTES;
    assert!(
        peak < bound,
        "{} MiB, the bound is {}",
        peak / MIB,
        bound / MIB
    );
    Ok(())
}
