//! The shrink guard: before many targets end at once, somebody looks twice.
//!
//! An API server that was restored, a namespace whose objects cannot be read, a bug: each looks like
//! many deletions. One target less is an everyday thing.

/// Losses up to this are taken at once.
const FEW: usize = 10;

/// And those up to this part of all targets: one fifth.
const PART: usize = 5;

/// Whether ending `lost` of `all` targets at once needs a second, consistent list.
pub fn needs_second_look(lost: usize, all: usize) -> bool {
    lost > FEW && lost.saturating_mul(PART) > all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_looked_at_twice() {
        for (lost, all, twice) in [
            (0, 0, false),
            (10, 10, false),
            (11, 11, true),
            (11, 54, true),
            (11, 55, false),
            (200, 1_000, false),
            (201, 1_000, true),
        ] {
            assert_eq!(needs_second_look(lost, all), twice, "{lost} of {all}");
        }
    }
}
