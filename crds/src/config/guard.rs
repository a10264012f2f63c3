//! The shrink guard: how many targets may go at once before somebody looks twice.
//!
//! An API server that was restored, a namespace whose objects cannot be read, a bug: each looks like
//! many deletions. One target less is an everyday thing. The operator asks before it publishes the ends of
//! targets, a worker before it believes a configuration that lacks some.

/// Losses up to this are taken at once.
const FEW: usize = 10;

/// And those up to this part of all targets: one fifth.
const PART: usize = 5;

/// Whether losing `lost` of `all` targets at once is more than happens every day.
pub fn is_mass_loss(lost: usize, all: usize) -> bool {
    lost > FEW && lost.saturating_mul(PART) > all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_targets_or_a_small_part_of_all_may_go_at_once() {
        for (lost, all, mass) in [
            (0, 0, false),
            (10, 10, false),
            (11, 11, true),
            (11, 54, true),
            (11, 55, false),
            (200, 1_000, false),
            (201, 1_000, true),
        ] {
            assert_eq!(is_mass_loss(lost, all), mass, "{lost} of {all}");
        }
    }
}
