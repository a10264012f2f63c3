//! How large a world is, and how much may happen in it.

use super::configuration::Knows;
use super::outside::Outside;
use super::session::Sizes;
use super::world::World;

/// How often each kind of thing may still happen, besides what happens anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Luck {
    /// Further owners.
    pub(super) owners: u8,
    /// Attempts without a 2xx.
    pub(super) failures: u8,
    /// Attempts that the receiver puts off.
    pub(super) throttles: u8,
    /// Attempts that are cut off.
    pub(super) aborts: u8,
    /// Writes that the broker has before we know it.
    pub(super) silences: u8,
    /// Writes that are refused.
    pub(super) refusals: u8,
    /// Runs that are too large for their topic.
    pub(super) oversizes: u8,
    /// Producers that fail for good.
    pub(super) producers: u8,
    /// Times the lane is over its budget.
    pub(super) leaves: u8,
    /// Times that too much waits for a cut-over.
    pub(super) fulls: u8,
    /// Times the target is suspended.
    pub(super) suspensions: u8,
    /// Times somebody asks for an attempt now.
    pub(super) hurries: u8,
    /// Times that everything parked so far becomes too old.
    pub(super) ages: u8,
    /// Things that zombies still do.
    pub(super) twitches: u8,
    /// Times what earlier owners wrote is taken away.
    pub(super) sweeps: u8,
    /// Commits of which the owner hears late.
    pub(super) delays: u8,
}

/// How large a world may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Events of the source.
    pub(super) events: i64,
    pub(super) sizes: Sizes,
    /// Records of the bucket, without what lands in a crash.
    pub(super) bucket: usize,
    /// Zombies at the same time.
    pub(super) zombies: usize,
    /// Worlds to look at.
    pub(super) worlds: usize,
    /// The reader brings one record at a time.
    pub(super) one_by_one: bool,
    /// Workers have different configurations.
    pub(super) revisions: bool,
    pub(super) luck: Luck,
}

impl Bounds {
    /// From text: names with numbers, "events 3 failures 2". What is not named is small, and luck is
    /// nothing.
    pub(super) fn of(text: &str) -> Self {
        let mut bounds = Self {
            events: 2,
            sizes: Sizes {
                most: 2,
                room: usize::MAX,
            },
            bucket: 4,
            zombies: 1,
            worlds: 2_000_000,
            one_by_one: false,
            revisions: false,
            luck: Luck::default(),
        };
        let mut words = text.split_whitespace();
        while let Some(name) = words.next() {
            let number = words.next().and_then(|number| number.parse().ok());
            let number: u32 =
                number.unwrap_or_else(|| panic!("`{name}` has no number in `{text}`"));
            bounds.set(name, number);
        }
        bounds
    }

    /// What the configurations of workers may know.
    pub(super) fn known(&self) -> &'static [Knows] {
        if self.revisions {
            &[Knows::Other, Knows::Both]
        } else {
            &[Knows::All]
        }
    }

    /// A world before anything has happened.
    pub(super) fn beginning(&self) -> World {
        let knows = self.known()[0];
        World::of(Outside::new(knows), self.sizes, self.luck, knows)
    }

    fn set(&mut self, name: &str, number: u32) {
        let luck = &mut self.luck;
        let may = match name {
            "events" => return self.events = number.into(),
            "most" => return self.sizes.most = number,
            "room" => return self.sizes.room = number as usize,
            "bucket" => return self.bucket = number as usize,
            "zombies" => return self.zombies = number as usize,
            "worlds" => return self.worlds = number as usize,
            "revisions" => return self.revisions = number > 0,
            "one-by-one" => return self.one_by_one = number > 0,
            "owners" => &mut luck.owners,
            "failures" => &mut luck.failures,
            "throttles" => &mut luck.throttles,
            "aborts" => &mut luck.aborts,
            "silences" => &mut luck.silences,
            "refusals" => &mut luck.refusals,
            "oversizes" => &mut luck.oversizes,
            "producers" => &mut luck.producers,
            "leaves" => &mut luck.leaves,
            "fulls" => &mut luck.fulls,
            "suspensions" => &mut luck.suspensions,
            "hurries" => &mut luck.hurries,
            "ages" => &mut luck.ages,
            "twitches" => &mut luck.twitches,
            "sweeps" => &mut luck.sweeps,
            "delays" => &mut luck.delays,
            _ => panic!("nothing is called `{name}`"),
        };
        *may = number as u8;
    }
}
