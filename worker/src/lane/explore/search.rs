//! Breadth first through all worlds, with the shortest way to whatever is wrong.
//!
//! In every world: nothing is wrong so far; the owner, left alone, delivers everything, commits it and
//! ends live; and so does a fresh owner after everybody crashed. The last two walk a single way, and stop
//! where an earlier walk has been.

use std::collections::VecDeque;

use super::coverage::Coverage;
use super::fingerprint::{Fingerprints, fingerprint};
use super::luck::{Bounds, Luck};
use super::step::Step;
use super::world::World;

/// More steps than an owner without bad luck ever needs.
const PATIENCE: usize = 5_000;

/// What a search came to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) worlds: usize,
    pub(super) steps: usize,
    /// Whether there was nothing left.
    pub(super) complete: bool,
    pub(super) coverage: Coverage,
    pub(super) wrong: Option<Wrong>,
}

/// What is wrong, and the shortest way to it.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) way: Vec<Step>,
    /// What it left.
    pub(super) end: String,
}

/// See the module.
pub(super) struct Search {
    bounds: Bounds,
    seen: Fingerprints,
    /// Worlds from which all is well when nothing goes wrong any more.
    fine: Fingerprints,
    recovered: Fingerprints,
    /// For each world, where it was reached from and how.
    ways: Vec<(u32, Option<Step>)>,
    waiting: VecDeque<(u32, World)>,
    coverage: Coverage,
}

impl Search {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            seen: Fingerprints::default(),
            fine: Fingerprints::default(),
            recovered: Fingerprints::default(),
            ways: Vec::new(),
            waiting: VecDeque::new(),
            coverage: Coverage::default(),
        }
    }

    /// Looks at all of them, or as many as there may be.
    pub(super) fn run(mut self) -> Found {
        self.add(0, None, self.bounds.beginning());
        let mut steps = 0;
        while let Some((index, world)) = self.waiting.pop_front() {
            if let Some(what) = self.judge(&world) {
                let wrong = Wrong {
                    what,
                    way: self.way(index),
                    end: world.outside.to_string(),
                };
                return self.found(steps, Some(wrong));
            }
            if self.ways.len() >= self.bounds.worlds {
                continue;
            }
            for step in world.steps(&self.bounds) {
                steps += 1;
                let after = world.after(step, &self.bounds);
                self.coverage.look(&world, step, &after);
                self.add(index, Some(step), after);
            }
        }
        self.found(steps, None)
    }

    fn found(self, steps: usize, wrong: Option<Wrong>) -> Found {
        Found {
            worlds: self.ways.len(),
            steps,
            complete: wrong.is_none() && self.ways.len() < self.bounds.worlds,
            coverage: self.coverage,
            wrong,
        }
    }

    fn add(&mut self, from: u32, step: Option<Step>, world: World) {
        if self.seen.insert(fingerprint(&world)) {
            self.waiting.push_back((self.ways.len() as u32, world));
            self.ways.push((from, step));
        }
    }

    fn way(&self, mut index: u32) -> Vec<Step> {
        let mut way = Vec::new();
        while let (from, Some(step)) = self.ways[index as usize] {
            way.push(step);
            index = from;
        }
        way.reverse();
        way
    }

    fn judge(&mut self, world: &World) -> Option<String> {
        if let Some(wrong) = world.outside.wrong {
            return Some(wrong.to_owned());
        }
        if let Some(wrong) = self.walk(world.clone()) {
            return Some(format!("the owner, left alone: {wrong}"));
        }
        if !self.recovered.insert(fingerprint(&world.outside)) {
            return None;
        }
        for knows in self.bounds.known() {
            let outside = world.outside.clone();
            let fresh = World::of(outside, self.bounds.sizes, Luck::default(), *knows);
            if let Some(wrong) = self.walk(fresh) {
                let who = "a fresh owner after everybody crashed";
                return Some(format!("{who}, who knows {knows:?}: {wrong}"));
            }
        }
        None
    }

    /// Lets the owner go on without bad luck, up to where an earlier walk has been.
    fn walk(&mut self, world: World) -> Option<String> {
        let fine = &mut self.fine;
        left_alone(world, &self.bounds, |world| {
            !fine.insert(fingerprint(world))
        })
    }
}

/// Lets the owner of a world go on without bad luck. Says what is wrong when it does not come to a good
/// end; `known` says that it does.
pub(super) fn left_alone(
    mut world: World,
    bounds: &Bounds,
    mut known: impl FnMut(&World) -> bool,
) -> Option<String> {
    for _ in 0..PATIENCE {
        if let Some(wrong) = world.outside.wrong {
            return Some(wrong.to_owned());
        }
        if world.is_complete(bounds) || known(&world) {
            return None;
        }
        let Some(step) = world.faultless(bounds) else {
            let (owner, outside) = (world.owner(), &world.outside);
            return Some(format!("stands still: {owner:?}\n  {outside}"));
        };
        world = world.after(step, bounds);
    }
    Some("never comes to an end".to_owned())
}
