//! What every plan keeps, whatever the seed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{fault::Hold, *};

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_plan(seed: u64) {
        let steps = |seed| Plan::new(seed).take(120).collect::<Vec<_>>();
        prop_assert_eq!(steps(seed), steps(seed));
    }

    #[test]
    fn every_sort_comes_once_alone_and_then_pairs_come(seed: u64) {
        let sorts: BTreeSet<Kind> = Kind::all().collect();
        let mut steps = Plan::new(seed);
        let alone: Vec<Step> = steps.by_ref().take(sorts.len()).collect();
        prop_assert!(alone.iter().all(|step| step.faults.len() == 1));
        let kinds: BTreeSet<Kind> = alone.iter().map(|step| step.faults[0].kind()).collect();
        prop_assert_eq!(kinds, sorts);
        prop_assert!(steps.take(50).all(|step| step.faults.len() == 2));
    }

    #[test]
    fn two_faults_of_a_step_never_hold_the_same_thing(seed: u64) {
        for step in Plan::new(seed).take(150).filter(|step| step.faults.len() == 2) {
            let holds: Vec<Hold> = step.faults.iter().filter_map(Fault::hold).collect();
            if let [one, other] = holds[..] {
                prop_assert!(!one.meets(other), "{}", step);
            }
        }
    }

    #[test]
    fn everything_drains_soon_again_and_the_steady_target_is_left_alone(seed: u64) {
        let steps: Vec<Step> = Plan::new(seed).take(200).collect();
        let drains = steps.iter().filter(|step| step.then == Then::Drain).count();
        prop_assert_eq!(drains as u64, 200 / DRAIN_EVERY);
        for fault in steps.iter().flat_map(|step| &step.faults) {
            prop_assert_ne!(fault.hold(), Some(Hold::Target(roster::STEADY)));
        }
    }
}

#[test]
fn what_heals_fast_is_drawn_most_often_and_everything_is_drawn() {
    let pairs = Plan::new(1).skip(Kind::all().count());
    let faults: Vec<Fault> = pairs.take(2_000).flat_map(|step| step.faults).collect();
    let drawn = |kind: Kind| faults.iter().filter(|fault| fault.kind() == kind).count();
    assert!(Kind::all().all(|kind| drawn(kind) > 0));
    assert!(drawn(Kind::KillWorker) > 2 * drawn(Kind::KillAllBrokers));
}
