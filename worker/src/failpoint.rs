//! Points in the code at which a test kills the worker.
//!
//! A crash between two steps of the protocol is the hardest to meet by chance, so the steps have
//! names. Without the feature `failpoints`, which only the tests enable, [`reached`] is nothing at
//! all. With it, `PARCELHOOK_FAILPOINTS="revoke-callback=kill@3"` makes the process kill itself, as a
//! power cut would, when it reaches that point for the third time; `@1` may be left out, several are
//! separated by commas. A text that cannot be read ends the process at the first point, so that no
//! test runs without the crash that it is about.

/// A point between two steps of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// A lane's row is acked, what it tells of may not be.
    RowBeforePark,
    /// A park is acked, its lane's row is not yet.
    ParkAckedBeforeRowAcked,
    /// A drained transaction was delivered, its lane's row does not say so yet.
    SuccessBeforeRow,
    /// A live transaction was delivered, nothing of it is committed yet.
    SuccessBeforeCommit,
    /// Rows of a predecessor are written again under the new epoch.
    TakeoverRowsWritten,
    /// They are acked, the commit of the new epoch is not yet.
    TakeoverBeforeCommit,
    /// A lane may be live again, its tombstone is not produced yet.
    CutoverBeforeTombstone,
    /// The tombstone is acked, the lane is not live yet.
    CutoverAfterTombstone,
    /// Revoked partitions stand still, their last frontiers are not committed yet.
    RevokeCallback,
}

impl Failpoint {
    /// Every point.
    pub const ALL: [Self; 9] = [
        Self::RowBeforePark,
        Self::ParkAckedBeforeRowAcked,
        Self::SuccessBeforeRow,
        Self::SuccessBeforeCommit,
        Self::TakeoverRowsWritten,
        Self::TakeoverBeforeCommit,
        Self::CutoverBeforeTombstone,
        Self::CutoverAfterTombstone,
        Self::RevokeCallback,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowBeforePark => "row-before-park",
            Self::ParkAckedBeforeRowAcked => "park-acked-before-row-acked",
            Self::SuccessBeforeRow => "success-before-row",
            Self::SuccessBeforeCommit => "success-before-commit",
            Self::TakeoverRowsWritten => "takeover-rows-written",
            Self::TakeoverBeforeCommit => "takeover-before-commit",
            Self::CutoverBeforeTombstone => "cutover-before-tombstone",
            Self::CutoverAfterTombstone => "cutover-after-tombstone",
            Self::RevokeCallback => "revoke-callback",
        }
    }
}

/// The code is at this point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reached(_: Failpoint) {}

#[cfg(feature = "failpoints")]
pub use armed::reached;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;

    /// The variable that arms points.
    const VARIABLE: &str = "PARCELHOOK_FAILPOINTS";

    /// A point at which this process kills itself.
    #[derive(Debug)]
    struct Kill {
        at: Failpoint,
        /// Times that it may still be reached; at the last one it kills.
        left: AtomicU32,
    }

    /// The code is at this point.
    pub fn reached(point: Failpoint) {
        static ARMED: OnceLock<Vec<Kill>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var(VARIABLE).unwrap_or_default();
            parse(&text).unwrap_or_else(|| {
                tracing::error!(text, "{VARIABLE} cannot be read; use name=kill@number");
                die()
            })
        });
        for kill in armed.iter().filter(|kill| kill.at == point) {
            if kill.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                tracing::warn!(point = point.name(), "killed at a failpoint");
                die();
            }
        }
    }

    /// Ends this process without a chance to tidy up.
    fn die() -> ! {
        let _ = kill_process(getpid(), Signal::KILL);
        // Only when the kernel does not let a process kill itself.
        std::process::abort()
    }

    fn parse(text: &str) -> Option<Vec<Kill>> {
        let kills = text.split(',').filter(|one| !one.is_empty());
        kills
            .map(|one| {
                let (name, action) = one.split_once('=')?;
                let number = match action.split_once('@') {
                    Some(("kill", number)) => number.parse().ok().filter(|number| *number > 0)?,
                    None if action == "kill" => 1,
                    Some(_) | None => return None,
                };
                let at = Failpoint::ALL.into_iter().find(|at| at.name() == name)?;
                let left = AtomicU32::new(number);
                Some(Kill { at, left })
            })
            .collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn points_are_armed_by_name_and_number() {
            let text = "revoke-callback=kill@3,row-before-park=kill";
            let kills = parse(text).unwrap();
            let read: Vec<_> = kills
                .iter()
                .map(|kill| (kill.at, kill.left.load(Ordering::Relaxed)))
                .collect();
            let expected = [
                (Failpoint::RevokeCallback, 3),
                (Failpoint::RowBeforePark, 1),
            ];
            assert_eq!(read, expected);
            assert!(parse("").unwrap().is_empty());
        }

        #[test]
        fn what_is_not_understood_is_not_taken_for_nothing() {
            for text in [
                "x",
                "x=kill",
                "revoke-callback=sleep",
                "revoke-callback=kill@0",
            ] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}
