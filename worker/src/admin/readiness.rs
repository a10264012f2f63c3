//! Whether this worker is ready, and if not, why.
//!
//! Ready means that it can take its part of the work: the targets were loaded, and the consumer group has
//! answered. Without a target it is asked nothing, and there is no work. The health of a target is a third
//! party's and never decides it.

use crate::report::WorkerReport;

/// The reasons why the worker is not ready; none when it is.
pub(super) fn missing(report: &WorkerReport) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if report.changes.is_none() {
        missing.push("the targets were not loaded yet");
    }
    let asks = report.changes.is_none() || !report.targets.is_empty();
    if asks && !report.source.joined {
        missing.push("the consumer group has not answered with an assignment yet");
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::report::State;

    #[test]
    fn a_target_that_is_down_leaves_the_worker_ready() {
        let report = fixture::report();
        assert!(
            report
                .targets
                .values()
                .any(|target| target.health.state == State::Down)
        );
        assert_eq!(missing(&report), [""; 0]);
    }

    #[test]
    fn a_worker_without_targets_is_ready_before_the_group_has_answered() {
        let mut report = WorkerReport {
            changes: Some(0),
            ..WorkerReport::default()
        };
        assert_eq!(missing(&report), [""; 0]);
        report.targets = fixture::report().targets;
        assert_eq!(missing(&report).len(), 1);
        report.source.joined = true;
        assert_eq!(missing(&report), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let mut report = WorkerReport::default();
        assert_eq!(missing(&report).len(), 2);
        report.changes = Some(1);
        report.targets = fixture::report().targets;
        assert!(missing(&report)[0].contains("consumer group"));
        report.changes = None;
        report.source.joined = true;
        assert!(missing(&report)[0].contains("targets"));
    }
}
