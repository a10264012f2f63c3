//! How the webhooks fare, from what workers write: lane rows and reports.
//!
//! ```text
//!   <p>.lanes ───▶ crds::lane::table ──▶ gathered ─┐
//!   <p>.reports ─▶ fleet ── successes, liveness ───┴─▶ fold ─▶ Health
//! ```
//!
//! Pure. Times in rows and reports are the workers' clocks; whether a worker lives is judged by this
//! operator's own clock, at which its report came.

mod fleet;
mod fold;
mod gathered;

pub use fleet::{Fleet, Freshness, LIVE_FOR, Running, STALE_AFTER, Touched};
pub use fold::{About, Availability, Health, fold, reason, word};
pub use gathered::{Gathered, Lane, gather};
