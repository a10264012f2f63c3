//! What is explored, and what must be caught.

use super::search::{Found, Search, Wrong};
use super::variant::{Variant, choose};
use super::world::{Bounds, Luck};

fn explore(variant: Variant, bounds: Bounds, most: usize) -> Found {
    choose(variant);
    let began = crate::clock::now();
    let found = Search::new(bounds, most).run();
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

const LUCK: Luck = Luck {
    owners: 0,
    failures: 0,
    throttles: 0,
    aborts: 0,
    silences: 0,
    refusals: 0,
    producers: 0,
    leaves: 0,
    fulls: 0,
    suspensions: 0,
    hurries: 0,
    twitches: 0,
    sweeps: 0,
};

fn bounds(text: &str) -> Bounds {
    let mut bounds = Bounds { events: 2, bucket: 4, zombies: 1, one_by_one: false, luck: LUCK };
    for part in text.split_whitespace() {
        let (name, number) = part.split_at(part.len() - 1);
        let number: u8 = number.parse().unwrap();
        let luck = &mut bounds.luck;
        match name {
            "events" => bounds.events = number.into(),
            "bucket" => bounds.bucket = number.into(),
            "zombies" => bounds.zombies = number.into(),
            "one" => bounds.one_by_one = number > 0,
            "owners" => luck.owners = number,
            "failures" => luck.failures = number,
            "throttles" => luck.throttles = number,
            "aborts" => luck.aborts = number,
            "silences" => luck.silences = number,
            "refusals" => luck.refusals = number,
            "producers" => luck.producers = number,
            "leaves" => luck.leaves = number,
            "fulls" => luck.fulls = number,
            "suspensions" => luck.suspensions = number,
            "hurries" => luck.hurries = number,
            "twitches" => luck.twitches = number,
            "sweeps" => luck.sweeps = number,
            _ => panic!("{name}"),
        }
    }
    bounds
}

#[test]
fn first_look() {
    let most = std::env::var("MOST").map_or(200_000, |most| most.parse().unwrap());
    let text = std::env::var("WORLD").unwrap_or("owners1 failures1".to_owned());
    for text in text.split(',') {
        eprintln!("--- {text}");
        let found = explore(Variant::Sound, bounds(text), most);
        eprintln!("{:?}", found.coverage.0);
        if let Some(wrong) = &found.wrong {
            panic!("{}", tell(wrong));
        }
    }
}

#[test]
fn variants() {
    use crate::lane::machine::weak::Weakness::*;
    let most = std::env::var("MOST").map_or(200_000, |most| most.parse().unwrap());
    for (variant, text) in [
        (Variant::Machine(PassesWhatIsSent), "failures2"),
        (Variant::KeepsEpoch, "failures1 fulls1 producers1"),
        (Variant::Machine(TakesAnyIncarnation), "owners2 failures1 leaves1 twitches3"),
    ] {
        let found = explore(variant, bounds(text), most);
        match &found.wrong {
            Some(wrong) => eprintln!("{}", tell(wrong)),
            None => eprintln!("NOT CAUGHT {variant:?}\n"),
        }
    }
}
