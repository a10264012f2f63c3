//! What every plan keeps, whatever the seed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{fault::Hold, *};
use crate::roster;

fn faults(step: &Step) -> impl Iterator<Item = &Fault> {
    step.tracks.iter().flatten()
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_plan(seed: u64, alone: bool) {
        let steps = |seed| Plan::new(seed, alone).take(80).collect::<Vec<_>>();
        prop_assert_eq!(steps(seed), steps(seed));
    }

    #[test]
    fn every_sort_comes_once_alone_and_then_several_come_at_a_time(seed: u64) {
        let sorts: BTreeSet<Kind> = Kind::all().collect();
        let mut steps = Plan::new(seed, true);
        let alone: Vec<Step> = steps.by_ref().take(sorts.len()).collect();
        prop_assert!(alone.iter().all(|step| faults(step).count() == 1));
        let kinds: BTreeSet<Kind> = alone.iter().flat_map(faults).map(Fault::kind).collect();
        prop_assert_eq!(kinds, sorts);
        let together = steps.take(50).filter(|step| step.tracks.len() > 1).count();
        prop_assert!(together > 25, "{together}");
    }

    #[test]
    fn two_tracks_of_a_step_never_hold_the_same_thing(seed: u64) {
        for step in Plan::new(seed, false).take(100) {
            let holds = |track: &[Fault]| -> Vec<Hold> {
                track.iter().filter_map(Fault::hold).collect()
            };
            let tracks: Vec<Vec<Hold>> = step.tracks.iter().map(|track| holds(track)).collect();
            for (index, track) in tracks.iter().enumerate() {
                let mut others = tracks[..index].iter().flatten();
                let meets = others.any(|other| track.iter().any(|hold| hold.meets(*other)));
                prop_assert!(!meets, "{}", step);
            }
        }
    }

    #[test]
    fn everything_drains_soon_again_and_two_targets_are_left_alone(seed: u64) {
        let steps: Vec<Step> = Plan::new(seed, false).take(120).collect();
        let drains = steps.iter().filter(|step| step.then == Then::Drain).count();
        prop_assert_eq!(drains as u64, 120 / DRAIN_EVERY);
        for fault in steps.iter().flat_map(faults) {
            if let Some(Hold::Target(target)) = fault.hold() {
                prop_assert!(![roster::STEADY, roster::STUBBORN].contains(&target), "{fault}");
            }
        }
    }
}

#[test]
fn every_failpoint_comes_as_often_as_any_other() {
    let mut dice = fastrand::Rng::with_seed(1);
    let mut points = Points::default();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..27 {
        let Point(point) = points.next(&mut dice);
        *counts.entry(point.name()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 9);
    assert!(counts.values().all(|times| *times == 3), "{counts:?}");
}

#[test]
fn what_heals_fast_is_drawn_most_often_and_everything_is_drawn() {
    let steps: Vec<Step> = Plan::new(1, false).take(600).collect();
    let drawn = |kind: Kind| {
        let all = steps.iter().flat_map(faults);
        all.filter(|fault| fault.kind() == kind).count()
    };
    assert!(Kind::all().all(|kind| drawn(kind) > 0));
    assert!(drawn(Kind::KillWorker) > 2 * drawn(Kind::KillAllBrokers));
}
