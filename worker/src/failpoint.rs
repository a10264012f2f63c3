//! Points in the code at which a test kills the worker, and a wall clock that jumps.
//!
//! A crash between two steps of the protocol is the hardest to meet by chance, so the steps have
//! names. Without the feature `failpoints`, which only the tests enable, [`reached`] is nothing at
//! all. With it, `PARCELHOOK_FAILPOINTS="revoke-callback=kill@3"` makes the process kill itself, as a
//! power cut would, when it reaches that point for the third time; `@1` may be left out, several are
//! separated by commas. `clock=-3600000@2000` sets the worker's wall clock back by an hour two seconds
//! after it was first looked at. A text that cannot be read ends the process at the first point, so that no
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

/// By how many milliseconds the wall clock has jumped.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn clock_jumped_millis() -> i64 {
    0
}

#[cfg(feature = "failpoints")]
pub use armed::{clock_jumped_millis, reached};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Failpoint;
    use crate::clock;

    /// The variable that arms points.
    const VARIABLE: &str = "PARCELHOOK_FAILPOINTS";

    /// A point at which this process kills itself.
    #[derive(Debug)]
    struct Kill {
        at: Failpoint,
        /// Times that it may still be reached; at the last one it kills.
        left: AtomicU32,
    }

    /// A jump of the wall clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Jump {
        by_millis: i64,
        after: Duration,
    }

    /// What the variable says.
    #[derive(Debug, Default)]
    struct Armed {
        kills: Vec<Kill>,
        jump: Option<Jump>,
    }

    fn armed() -> &'static (Armed, Instant) {
        static ARMED: OnceLock<(Armed, Instant)> = OnceLock::new();
        ARMED.get_or_init(|| {
            let text = std::env::var(VARIABLE).unwrap_or_default();
            let armed = parse(&text).unwrap_or_else(|| {
                tracing::error!(
                    text,
                    "{VARIABLE} cannot be read; use name=kill@number or clock=milliseconds@milliseconds"
                );
                die()
            });
            (armed, clock::now())
        })
    }

    /// By how many milliseconds the wall clock has jumped.
    pub fn clock_jumped_millis() -> i64 {
        let (armed, since) = armed();
        let passed = clock::now().saturating_duration_since(*since);
        let jump = armed.jump.filter(|jump| passed >= jump.after);
        jump.map_or(0, |jump| jump.by_millis)
    }

    /// The code is at this point.
    pub fn reached(point: Failpoint) {
        for kill in armed().0.kills.iter().filter(|kill| kill.at == point) {
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

    fn parse(text: &str) -> Option<Armed> {
        let mut armed = Armed::default();
        for one in text.split(',').filter(|one| !one.is_empty()) {
            match one.split_once('=')? {
                ("clock", jump) => armed.jump = Some(parse_jump(jump)?),
                (name, action) => armed.kills.push(parse_kill(name, action)?),
            }
        }
        Some(armed)
    }

    fn parse_kill(name: &str, action: &str) -> Option<Kill> {
        let number = match action.split_once('@') {
            Some(("kill", number)) => number.parse().ok().filter(|number| *number > 0)?,
            None if action == "kill" => 1,
            Some(_) | None => return None,
        };
        let at = Failpoint::ALL.into_iter().find(|at| at.name() == name)?;
        let left = AtomicU32::new(number);
        Some(Kill { at, left })
    }

    fn parse_jump(text: &str) -> Option<Jump> {
        let (by_millis, after) = text.split_once('@')?;
        Some(Jump {
            by_millis: by_millis.parse().ok()?,
            after: Duration::from_millis(after.parse().ok()?),
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn points_are_armed_by_name_and_number() {
            let text = "revoke-callback=kill@3,clock=-50@2000,row-before-park=kill";
            let armed = parse(text).unwrap();
            let read: Vec<_> = armed
                .kills
                .iter()
                .map(|kill| (kill.at, kill.left.load(Ordering::Relaxed)))
                .collect();
            let expected = [
                (Failpoint::RevokeCallback, 3),
                (Failpoint::RowBeforePark, 1),
            ];
            assert_eq!(read, expected);
            let jump = Jump {
                by_millis: -50,
                after: Duration::from_secs(2),
            };
            assert_eq!(armed.jump, Some(jump));
            let none = parse("").unwrap();
            assert!(none.kills.is_empty() && none.jump.is_none());
        }

        #[test]
        fn what_is_not_understood_is_not_taken_for_nothing() {
            for text in [
                "x",
                "x=kill",
                "revoke-callback=sleep",
                "revoke-callback=kill@0",
                "clock=5",
                "clock=soon@1",
            ] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}
