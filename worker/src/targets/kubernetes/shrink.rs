//! The guard against a configuration that lacks many targets at once. Pure.
//!
//! A target ends because it was deleted, and the configuration says so. One that lacks targets without
//! such a word was probably written by somebody who saw a part of them. It counts only when it is still
//! so after a while.

use std::time::{Duration, Instant};

use parcelhook_crds::config::is_mass_loss;

/// How long a configuration that lacks more is not believed. Whoever wrote it by mistake has written
/// another by then.
pub(super) const DOUBT: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shrink {
    since: Option<Instant>,
}

impl Shrink {
    /// `missing` of `running` targets are not in the configuration and were not deleted. Says until when
    /// it is not believed; none when it counts.
    pub(super) fn doubted(
        &mut self,
        missing: usize,
        running: usize,
        now: Instant,
    ) -> Option<Instant> {
        if !is_mass_loss(missing, running) {
            self.since = None;
            return None;
        }
        let until = *self.since.get_or_insert(now) + DOUBT;
        if now < until {
            return Some(until);
        }
        self.since = None;
        None
    }

    /// The doubtful configuration is none of anybody's any more.
    pub(super) fn forget(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn only_a_mass_loss_is_doubted() {
        let (mut shrink, now) = (Shrink::default(), clock::now());
        for (missing, running) in [(10, 10), (11, 11), (11, 55)] {
            let doubted = shrink.doubted(missing, running, now).is_some();
            let is_mass_loss = is_mass_loss(missing, running);
            assert_eq!(doubted, is_mass_loss, "{missing} of {running}");
        }
    }

    #[test]
    fn what_stays_missing_is_believed_in_the_end() {
        let (mut shrink, now) = (Shrink::default(), clock::now());
        assert_eq!(shrink.doubted(50, 100, now), Some(now + DOUBT));
        let later = now + DOUBT / 2;
        assert_eq!(
            shrink.doubted(40, 100, later),
            Some(now + DOUBT),
            "since the first"
        );
        assert_eq!(shrink.doubted(40, 100, now + DOUBT), None);
        assert_eq!(shrink.doubted(0, 100, now), None);
        assert_eq!(
            shrink.doubted(50, 100, later),
            Some(later + DOUBT),
            "a doubt that ended does not count"
        );
    }
}
