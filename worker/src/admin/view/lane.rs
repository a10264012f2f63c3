//! A lane that is not live, as `/targets` shows it.

use parcelhook_crds::lane::LastFailure;
use serde::Serialize;

use super::rfc3339;
use crate::report::LaneReport;

/// One lane that is not live.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct LaneView {
    pub(in crate::admin) topic: String,
    pub(in crate::admin) partition: i32,
    pub(in crate::admin) mode: &'static str,
    pub(in crate::admin) reason: &'static str,
    pub(in crate::admin) parked: u64,
    pub(in crate::admin) since: Option<String>,
    pub(in crate::admin) oldest_parked: Option<String>,
    pub(in crate::admin) attempts: u32,
    pub(in crate::admin) next_attempt: Option<String>,
    pub(in crate::admin) last_failure: Option<LaneFailureView>,
    /// The same times for the page, which shows ages.
    #[serde(skip)]
    pub(in crate::admin) since_millis: i64,
    #[serde(skip)]
    pub(in crate::admin) next_attempt_millis: Option<i64>,
}

/// The last failed attempt of a lane, as its row keeps it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct LaneFailureView {
    pub(in crate::admin) at: Option<String>,
    pub(in crate::admin) reason: String,
    pub(in crate::admin) status: Option<u16>,
    pub(in crate::admin) message: Option<String>,
}

impl LaneView {
    pub(super) fn new(lane: &LaneReport) -> Self {
        Self {
            topic: lane.partition.topic.to_string(),
            partition: lane.partition.partition,
            mode: lane.mode.as_str(),
            reason: lane.reason.as_str(),
            parked: lane.parked,
            since: rfc3339(lane.since),
            oldest_parked: lane.oldest_parked_at.and_then(rfc3339),
            attempts: lane.attempts,
            next_attempt: lane.next_attempt.and_then(rfc3339),
            last_failure: lane.last_failure.as_ref().map(LaneFailureView::new),
            since_millis: lane.since,
            next_attempt_millis: lane.next_attempt,
        }
    }
}

impl LaneFailureView {
    fn new(failure: &LastFailure) -> Self {
        Self {
            at: rfc3339(failure.at),
            reason: failure.reason.clone(),
            status: failure.status,
            message: failure.message.clone(),
        }
    }
}
