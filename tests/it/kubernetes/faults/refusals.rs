//! The API server refuses, breaks off, and is not there.

use std::time::Duration;

use anyhow::Result;
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

#[tokio::test]
async fn every_third_call_is_refused_and_no_watch_lasts_for_more_than_a_second() -> Result<()> {
    let course = Course::begin("refused").await?;
    let mut calls = 0;
    // A client that is refused a watch waits for up to half a minute before it asks again.
    let mut of_watches = REFUSALS.into_iter();
    course.proxy.on_call(move |call| {
        if call.verb == Verb::Watch {
            let refusal = of_watches.next().map(Action::Fail);
            return refusal.unwrap_or(Action::Cut(Duration::from_secs(1)));
        }
        calls += 1;
        match calls % 3 {
            0 => Action::Fail(REFUSALS[calls / 3 % REFUSALS.len()]),
            _ => Action::Pass,
        }
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
