//! Long histories of one lane, chosen at random: dozens of events, several owners, incarnations and
//! producers, runs and transactions of several events, drains that come in parts.
//!
//! The worlds, the steps and what must hold are those of the explorer; only the way is one of many.

use proptest::prelude::*;

use super::luck::{Bounds, Luck};
use super::search::left_alone;
use super::session::Sizes;
use super::step::{Act, Step};
use super::world::World;

/// More of one kind, and less of another, or none.
fn luck() -> impl Strategy<Value = Luck> {
    let attempts = (0..15_u8, 0..5_u8, 0..5_u8, 0..5_u8);
    let writes = (0..20_u8, 0..10_u8, 0..8_u8, 0..4_u8);
    let owners = (0..6_u8, 0..80_u8, 0..5_u8, 0..6_u8);
    let lane = (0..8_u8, 0..8_u8, 0..4_u8, 0..3_u8);
    (attempts, writes, owners, lane).prop_map(|(attempts, writes, owners, lane)| Luck {
        failures: attempts.0,
        throttles: attempts.1,
        aborts: attempts.2,
        hurries: attempts.3,
        silences: writes.0,
        refusals: writes.1,
        oversizes: writes.2,
        producers: writes.3,
        owners: owners.0,
        twitches: owners.1,
        sweeps: owners.2,
        delays: owners.3,
        leaves: lane.0,
        fulls: lane.1,
        suspensions: lane.2,
        ages: lane.3,
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let rooms = prop_oneof![Just(1), Just(100_000), Just(usize::MAX)];
    let sizes = (1_u32..6, rooms).prop_map(|(most, room)| Sizes { most, room });
    let source = (10_i64..50, any::<bool>(), any::<bool>());
    (source, sizes, luck()).prop_map(|((events, one_by_one, revisions), sizes, luck)| Bounds {
        events,
        sizes,
        bucket: 1_000,
        zombies: 2,
        worlds: 0,
        one_by_one,
        revisions,
        luck,
    })
}

/// Most steps are of those that bring the owner further, or bad luck would be all there is.
fn choose(world: &World, bounds: &Bounds, choice: u16) -> Option<Step> {
    let mut steps = world.steps(bounds);
    let owner = (world.sessions.len() - 1) as u8;
    let further = |step: &Step| match step {
        Step::Of(number, act) => *number == owner && Act::FAULTLESS.contains(act),
        Step::TakeOver { .. } | Step::Crash { .. } | Step::Age => false,
        Step::LateRequest | Step::LateWrite(_) => false,
    };
    if !choice.is_multiple_of(8) && steps.iter().any(further) {
        steps.retain(further);
    }
    let index = usize::from(choice / 8) % steps.len().max(1);
    steps.get(index).copied()
}

fn play(bounds: &Bounds, choices: &[u16]) -> Result<(), String> {
    let mut world = bounds.beginning();
    let mut way = Vec::new();
    for choice in choices {
        let Some(step) = choose(&world, bounds, *choice) else {
            break;
        };
        way.push(step);
        world = world.after(step, bounds);
        if let Some(wrong) = world.outside.wrong {
            return Err(format!("{wrong}\n  after {way:?}\n  {}", world.outside));
        }
    }
    let fresh = bounds.known().iter().map(|knows| {
        let outside = world.outside.clone();
        let owner = World::of(outside, bounds.sizes, Luck::default(), *knows);
        (format!("a fresh owner who knows {knows:?}"), owner)
    });
    let fresh: Vec<_> = fresh.collect();
    let ends = [("the owner".to_owned(), world)].into_iter().chain(fresh);
    for (who, world) in ends {
        if let Some(wrong) = left_alone(world, bounds, |_| false) {
            return Err(format!("{who}: {wrong}\n  after {way:?}"));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens_every_event_is_delivered_in_order(
        bounds in bounds(),
        choices in prop::collection::vec(any::<u16>(), 100..700),
    ) {
        if let Err(wrong) = play(&bounds, &choices) {
            prop_assert!(false, "{wrong}");
        }
    }
}
