//! The API server refuses, breaks off, and is not there.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use http::StatusCode;
use parcelhook_env::kubernetes::{Action, Verb};

use super::course::Course;
use crate::site::SOON;

/// What an API server refuses with although nothing is wrong.
const REFUSALS: [StatusCode; 4] = [
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Calls that are refused in all: those of some twenty seconds.
const MANY: usize = 24;

#[tokio::test]
async fn a_third_of_the_calls_is_refused_and_no_watch_lasts_for_more_than_a_second() -> Result<()> {
    let course = Course::begin("refused").await?;
    // By chance: calls that come in turn would have one of them refused for ever.
    let mut random = Rng::with_seed(3);
    let mut refusals = REFUSALS.into_iter().cycle().take(MANY);
    // A client that is refused a watch waits for up to half a minute before it asks again.
    let mut of_watches = REFUSALS.into_iter();
    course.proxy.on_call(move |call| {
        let refusal = if call.verb == Verb::Watch {
            of_watches.next()
        } else if random.u8(..3) == 0 {
            refusals.next()
        } else {
            None
        };
        refusal.map_or(Action::Cut(Duration::from_secs(1)), Action::Fail)
    });
    let _operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    course.second().await?;
    course.ends_as_without_faults().await
}

#[tokio::test]
async fn every_third_write_is_done_without_an_answer() -> Result<()> {
    let course = Course::begin("unanswered").await?;
    let mut writes = 0;
    course.proxy.on_call(move |call| {
        writes += u32::from(call.verb.writes());
        if call.verb.writes() && writes % 3 == 0 {
            Action::LoseAnswer
        } else {
            Action::Pass
        }
    });
    let _operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    course.second().await?;
    course.ends_as_without_faults().await
}

#[tokio::test]
async fn the_api_server_is_away_for_longer_than_an_operator_may_lead() -> Result<()> {
    let course = Course::begin("unreachable").await?;
    let operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    course.proxy.on_call(|_| Action::Lose);
    course.proxy.cut_watches();
    course.second().await?;
    operator.says("this operator leads no more", SOON).await?;
    course.proxy.pass();
    course.ends_as_without_faults().await
}
