//! What is explored, and what must be caught.

use super::luck::Bounds;
use super::search::{Found, Search, Wrong};
use super::variant::{Variant, choose};

fn explore(variant: Variant, bounds: Bounds) -> Found {
    choose(variant);
    let began = crate::clock::now();
    let found = Search::new(bounds).run();
    choose(Variant::Sound);
    eprintln!(
        "{variant:?}: {} worlds, {} steps, complete {}, {:?}",
        found.worlds,
        found.steps,
        found.complete,
        began.elapsed()
    );
    found
}

fn tell(wrong: &Wrong) -> String {
    use std::fmt::Write;
    let mut text = format!("{}\n", wrong.what);
    for (number, step) in wrong.way.iter().enumerate() {
        let _ = writeln!(text, "  {:2}. {step:?}", number + 1);
    }
    let _ = writeln!(text, "  in the end: {}", wrong.end.outside);
    text
}

#[test]
fn first_look() {
    let most: usize = std::env::var("MOST").map_or(200_000, |most| most.parse().unwrap());
    let text = std::env::var("WORLD").unwrap_or("owners 1 failures 1".to_owned());
    for text in text.split(',') {
        eprintln!("--- {text}");
        let found = explore(Variant::Sound, Bounds::of(&format!("{text} worlds {most}")));
        eprintln!("{:?}", found.coverage.0);
        if let Some(wrong) = &found.wrong {
            panic!("{}", tell(wrong));
        }
    }
}

#[test]
fn variants() {
    use crate::lane::machine::weak::Weakness::*;
    let most: usize = std::env::var("MOST").map_or(200_000, |most| most.parse().unwrap());
    for (variant, text) in [
        (Variant::Machine(PassesWhatIsSent), "failures 2"),
        (Variant::KeepsEpoch, "failures 1 fulls 1 producers 1"),
        (Variant::Machine(TakesAnyIncarnation), "owners 1 failures 2 twitches 3"),
    ] {
        let found = explore(variant, Bounds::of(&format!("{text} worlds {most}")));
        match &found.wrong {
            Some(wrong) => eprintln!("{}", tell(wrong)),
            None => eprintln!("NOT CAUGHT {variant:?}\n"),
        }
    }
}
