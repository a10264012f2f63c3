//! Whether this worker is ready, and if not, why.
//!
//! Ready means that it can take its part of the work: the consumer group has answered and the targets
//! were loaded. The health of a target is a third party's and never decides it.

use crate::report::WorkerReport;

/// The reasons why the worker is not ready; none when it is.
pub(super) fn missing(report: &WorkerReport) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if report.changes.is_none() {
        missing.push("the targets were not loaded yet");
    }
    // Without a target nothing is read, and the group is not joined.
    if !report.source.joined && !report.targets.is_empty() {
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
    fn a_worker_without_targets_is_ready_once_it_knows_that_there_are_none() {
        let mut report = WorkerReport::default();
        assert_eq!(missing(&report).len(), 1);
        report.changes = Some(0);
        assert_eq!(missing(&report), [""; 0]);
    }

    #[test]
    fn no_partition_can_be_ready() {
        let mut report = fixture::report();
        report.source.partitions.clear();
        assert_eq!(missing(&report), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let mut report = fixture::report();
        report.source.joined = false;
        report.changes = None;
        assert_eq!(missing(&report).len(), 2);
        report.changes = Some(1);
        assert!(missing(&report)[0].contains("consumer group"));
        report.changes = None;
        report.source.joined = true;
        assert!(missing(&report)[0].contains("targets"));
    }
}
