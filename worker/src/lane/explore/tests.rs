//! What is explored, and what must be caught.

use std::fmt::Write as _;

use super::configuration::Knows;
use super::coverage::Sometimes::{self, *};
use super::luck::Bounds;
use super::search::{Found, Search, Wrong};
use super::step::{Act, Step};
use super::variant::{Variant, choose};
use crate::lane::machine::weak::Weakness::*;

/// A world in which everything must hold, and what has to be reached in it.
struct Case {
    bounds: &'static str,
    reaches: &'static [Sometimes],
}

const CRASHES: Case = Case {
    bounds: "owners 1 failures 1",
    reaches: &[
        CutOverHolds,
        TakenOverWithRow,
        AttemptedBySuccessor,
        ParkedAgain,
    ],
};
const SILENT_CRASHES: Case = Case {
    bounds: "owners 1 failures 1 events 1 silences 1",
    reaches: &[TakenOverWithRow],
};
const ZOMBIES: Case = Case {
    bounds: "owners 1 failures 1 twitches 1 worlds 100000",
    reaches: &[ZombieParksInherited],
};
const TAKEN_OVER_TWICE: Case = Case {
    bounds: "owners 2 failures 1 sweeps 1 worlds 60000",
    reaches: &[TakenOverWithRow],
};
const REFUSALS: Case = Case {
    bounds: "failures 1 refusals 2",
    reaches: &[GapRemembered, RowRefused],
};
const SILENT_REFUSALS: Case = Case {
    bounds: "failures 1 refusals 1 silences 1",
    reaches: &[GapFilled],
};
const OVERFLOW: Case = Case {
    bounds: "leaves 1 failures 1 silences 1",
    reaches: &[InsuranceDelivered, InsuranceFailed],
};
const OVERFLOW_AND_CRASH: Case = Case {
    bounds: "owners 1 leaves 1",
    reaches: &[InsuranceDelivered, TakenOverWithRow],
};
const MORE_EVENTS: Case = Case {
    bounds: "events 3 most 3 leaves 1",
    reaches: &[StraddlingRunCut],
};
const HOLDS: Case = Case {
    bounds: "failures 1 fulls 1 hurries 1",
    reaches: &[CutOverReopened],
};
const PATIENCE: Case = Case {
    bounds: "throttles 1 leaves 1 aborts 1",
    reaches: &[InsuranceDelivered],
};
const SUSPENSION: Case = Case {
    bounds: "failures 1 suspensions 1",
    reaches: &[CutOverHolds],
};
const SUSPENSION_AND_CRASH: Case = Case {
    bounds: "owners 1 suspensions 1 worlds 40000",
    reaches: &[TakenOverWithRow],
};
const PRODUCERS: Case = Case {
    bounds: "failures 1 fulls 1 producers 1 worlds 60000",
    reaches: &[LateWrite, EpochReplaced, IncarnationSkipped],
};
const SIZES: Case = Case {
    bounds: "failures 1 oversizes 2 one-by-one 1",
    reaches: &[GapFilled],
};
const ROLL_OUT: Case = Case {
    bounds: "revisions 1 owners 2 delays 1",
    reaches: &[WaitsForConfiguration, GateOpens, OldCommitHeard],
};
const ROLL_OUT_AND_ZOMBIES: Case = Case {
    bounds: "revisions 1 owners 1 twitches 2 worlds 60000",
    reaches: &[WaitsForConfiguration, GateOpens],
};
const ROLL_OUT_AND_FAILURES: Case = Case {
    bounds: "revisions 1 owners 1 failures 1 worlds 60000",
    reaches: &[WaitsForConfiguration, TakenOverWithRow],
};
const AGE: Case = Case {
    bounds: "failures 1 ages 1 silences 1",
    reaches: &[GivenUp],
};
const AGE_AND_CRASH: Case = Case {
    bounds: "owners 1 failures 1 ages 1 events 1",
    reaches: &[GivenUp, GivenUpAgain],
};
const AGE_AND_COMMIT: Case = Case {
    bounds: "owners 1 failures 1 ages 1 events 2 worlds 60000",
    reaches: &[GivenUp, TakenOverWithRow],
};
const AGE_AND_SUSPENSION: Case = Case {
    bounds: "failures 1 ages 1 suspensions 1 oversizes 1 events 1",
    reaches: &[GivenUp],
};

#[test]
fn owners_may_crash() {
    holds(&CRASHES);
    holds(&SILENT_CRASHES);
}

#[test]
fn owners_may_go_on_without_knowing_that_they_are_none() {
    holds(&ZOMBIES);
}

#[test]
fn a_partition_may_be_taken_over_in_the_middle_of_being_taken_over() {
    holds(&TAKEN_OVER_TWICE);
}

#[test]
fn writes_may_be_refused() {
    holds(&REFUSALS);
    holds(&SILENT_REFUSALS);
}

#[test]
fn runs_and_transactions_may_begin_and_end_anywhere() {
    holds(&MORE_EVENTS);
}

#[test]
fn lanes_may_leave_live_with_an_attempt_in_flight() {
    holds(&OVERFLOW);
    holds(&OVERFLOW_AND_CRASH);
}

#[test]
fn too_much_may_wait_for_a_cut_over() {
    holds(&HOLDS);
}

#[test]
fn attempts_may_be_put_off_or_cut_off() {
    holds(&PATIENCE);
}

#[test]
fn targets_may_be_suspended() {
    holds(&SUSPENSION);
    holds(&SUSPENSION_AND_CRASH);
}

#[test]
fn producers_may_fail_for_good() {
    holds(&PRODUCERS);
}

#[test]
fn runs_may_be_too_large() {
    holds(&SIZES);
}

#[test]
fn events_may_become_too_old() {
    holds(&AGE);
    holds(&AGE_AND_CRASH);
    holds(&AGE_AND_COMMIT);
    holds(&AGE_AND_SUSPENSION);
}

#[test]
fn workers_may_have_different_configurations() {
    holds(&ROLL_OUT);
    holds(&ROLL_OUT_AND_ZOMBIES);
    holds(&ROLL_OUT_AND_FAILURES);
}

#[test]
fn everything_that_should_be_reached_is_asked_for_somewhere() {
    let cases = [
        CRASHES,
        ZOMBIES,
        REFUSALS,
        SILENT_REFUSALS,
        OVERFLOW,
        MORE_EVENTS,
        HOLDS,
        PRODUCERS,
        AGE_AND_CRASH,
        ROLL_OUT,
    ];
    for what in Sometimes::ALL {
        let asked = cases.iter().any(|case| case.reaches.contains(&what));
        assert!(asked, "{what:?}");
    }
}

#[test]
fn who_learns_late_that_there_are_no_rows_any_more_sends_nothing() {
    use super::step::Topic::{Lanes, Retry};
    let bounds = Bounds::of("failures 1 owners 2 twitches 9 sweeps 1");
    let mut world = bounds.beginning();
    let first = [
        Act::Told,
        Act::Read,
        Act::Launch,
        Act::Failed { reached: false },
        Act::Lands(Lanes),
        Act::Lands(Lanes),
        Act::Lands(Retry),
        Act::Commit,
    ];
    let taken_over_twice = [
        Step::Crash {
            retry: 0,
            lanes: 0,
            letters: 0,
            knows: Knows::All,
        },
        Step::TakeOver {
            forget: None,
            knows: Knows::All,
        },
    ];
    let last = [
        Act::Told,
        Act::BucketEnds,
        Act::Lands(Lanes),
        Act::Lands(Lanes),
        Act::Commit,
        Act::Sweep,
    ];
    let zombie = [Act::Told, Act::Read].map(|act| Step::Of(0, act));
    let way = first.map(|act| Step::Of(0, act)).into_iter();
    let way = way.chain(taken_over_twice);
    let way = way.chain(last.map(|act| Step::Of(1, act))).chain(zombie);
    for step in way {
        assert!(world.steps(&bounds).contains(&step), "{step:?}");
        world = world.after(step, &bounds);
    }
    let sends = world.steps(&bounds).contains(&Step::Of(0, Act::Launch));
    assert!(!sends, "{}", world.outside);
}

/// The larger form: `PARCELHOOK_EXPLORE` names the worlds, one or several, separated by commas.
#[test]
#[ignore = "as large as it is asked for"]
fn as_asked() {
    let asked =
        std::env::var("PARCELHOOK_EXPLORE").expect("PARCELHOOK_EXPLORE says what to explore");
    for bounds in asked.split(',') {
        let found = explore(Variant::Sound, bounds);
        eprintln!("  reached {:?}", found.coverage);
        assert!(found.wrong.is_none(), "{}", tell(found.wrong.as_ref()));
    }
}

#[test]
fn each_rule_that_is_left_out_is_noticed() {
    for (variant, bounds) in [
        (Variant::Machine(SettlesBeforeRow), "failures 1"),
        (Variant::Machine(ForgetsOwnParks), "failures 1"),
        (
            Variant::Machine(ForgetsPredecessorsParks),
            "owners 1 failures 1 one-by-one 1",
        ),
        (
            Variant::Machine(TakesAnyIncarnation),
            "owners 1 failures 2 twitches 1",
        ),
        (
            Variant::Machine(TakesWithoutPredecessor),
            "failures 1 refusals 1",
        ),
        (Variant::Machine(RewindsNothing), "failures 1 refusals 1"),
        (Variant::Machine(OpensTwice), "leaves 1 failures 1"),
        (Variant::Machine(PassesWhatIsSent), "failures 2"),
        (Variant::Machine(DrainsBesideAttempt), "leaves 1 failures 1"),
        (
            Variant::Machine(PassesUnwrittenLetters),
            "owners 1 failures 1 ages 1",
        ),
        (
            Variant::Machine(SendsBeforeRow),
            "owners 1 failures 1 ages 1",
        ),
        (
            Variant::Machine(LiveBeforeCommit),
            "owners 1 failures 1 ages 1",
        ),
        (Variant::ParksBehindAttempt, "leaves 1 failures 1"),
        (Variant::ParksAgainBehind, "failures 1 refusals 1"),
        (Variant::RowsWithoutEpoch, "owners 1 failures 2 twitches 1"),
        (Variant::ZombieCommits, "owners 1 failures 1 twitches 1"),
        (Variant::CountsBeforeRows, "owners 2 failures 1"),
        (Variant::SweepsBeforeCommit, "owners 2 failures 1"),
        (
            Variant::KeepsEpoch,
            "failures 1 fulls 1 producers 1 bucket 2",
        ),
        (Variant::SendsBeforeItsCommit, "revisions 1 owners 1"),
        (Variant::AnyCommitOpens, "revisions 1 owners 1 delays 1"),
        (Variant::RunsWhatIsOlder, "revisions 1 owners 1"),
    ] {
        let found = explore(variant, bounds);
        eprintln!("{}", tell(found.wrong.as_ref()));
        assert!(found.wrong.is_some(), "{variant:?} goes unnoticed");
    }
}

fn holds(case: &Case) {
    let found = explore(Variant::Sound, case.bounds);
    assert!(found.wrong.is_none(), "{}", tell(found.wrong.as_ref()));
    for what in case.reaches {
        let times = found.coverage.0.get(what);
        assert!(
            times.is_some(),
            "{what:?} is never reached: {:?}",
            found.coverage
        );
    }
}

fn explore(variant: Variant, bounds: &str) -> Found {
    choose(variant);
    let began = crate::clock::now();
    let found = Search::new(Bounds::of(bounds)).run();
    choose(Variant::Sound);
    let all = if found.complete { "all" } else { "the first" };
    eprintln!(
        "{variant:?}, {bounds}: {all} {} worlds, {} steps, {:?}",
        found.worlds,
        found.steps,
        began.elapsed()
    );
    found
}

fn tell(wrong: Option<&Wrong>) -> String {
    let Some(wrong) = wrong else {
        return "nothing is wrong".to_owned();
    };
    let mut text = format!("  {}\n", wrong.what);
    for (number, step) in wrong.way.iter().enumerate() {
        let _ = writeln!(text, "  {:2}. {step:?}", number + 1);
    }
    let _ = write!(text, "  in the end: {}", wrong.end);
    text
}
