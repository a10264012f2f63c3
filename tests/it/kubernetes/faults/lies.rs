//! The API server that an operator happens to ask is behind the others: its lists are old, and its watches
//! tell nothing.

use anyhow::{Result, ensure};
use http::StatusCode;
use parcelhook_env::{
    eventually,
    kubernetes::{Action, Call, Verb},
};

use super::course::Course;
use crate::site::SOON;

/// Lists of what people write. Single objects are asked for where it matters, and told as they are.
fn is_list(call: &Call) -> bool {
    call.verb == Verb::List
        && ["deliverytargets.parcelhook.dev", "secrets"].contains(&&*call.resource)
}

#[tokio::test]
async fn an_operator_that_starts_with_old_lists_takes_nothing_back() -> Result<()> {
    let course = Course::begin("old-lists").await?;
    course.proxy.remember();
    course.first().await?;
    let operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first_is_run().await?;
    course.second().await?;
    course.ends_as_without_faults().await?;
    operator.terminate()?;
    operator.ended(SOON).await?;

    course.proxy.on_call(|call| {
        if is_list(call) {
            Action::Replay
        } else if call.verb == Verb::Watch {
            Action::Lose
        } else {
            Action::Pass
        }
    });
    course.proxy.take_counts();
    let operator = course.release.operator_through(&course.proxy, &[]).await?;
    operator.says("this operator leads", SOON).await?;
    // What it has seen last it has looked into: the old target by that name, and what is new since.
    let looked = (Verb::Get, "deliverytargets.parcelhook.dev".to_owned());
    eventually("a look at what the list lacks", SOON, async || {
        let counts = course.proxy.counts();
        ensure!(
            counts.get(&looked).is_some_and(|looks| *looks > 3),
            "{counts:?}"
        );
        Ok(())
    })
    .await?;
    course.proxy.pass();
    course.ends_as_without_faults().await
}

#[tokio::test]
async fn what_happened_while_no_watch_told_anything_is_found() -> Result<()> {
    let course = Course::begin("unseen").await?;
    let operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    course.proxy.on_call(|call| {
        if call.verb == Verb::Watch {
            Action::Fail(StatusCode::GONE)
        } else if call.verb == Verb::List {
            Action::Lose
        } else {
            Action::Pass
        }
    });
    course.proxy.cut_watches();
    operator
        .says("was interrupted; it begins again", SOON)
        .await?;
    course.second().await?;
    course.proxy.pass();
    course.ends_as_without_faults().await
}
