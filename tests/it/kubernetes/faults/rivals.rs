//! Two operators, of which the leader stops for longer than its Lease lasts, and then goes on as if
//! nothing had happened.

use anyhow::Result;

use super::course::Course;
use crate::site::SOON;

#[tokio::test]
async fn a_leader_that_stood_still_while_another_took_over_does_no_harm() -> Result<()> {
    let course = Course::begin("rivals").await?;
    let first = course.release.operator().await?;
    first.says("this operator leads", SOON).await?;
    let second = course.release.operator().await?;
    course.first().await?;
    course.first_is_run().await?;
    first.pause()?;
    course.second().await?;
    second.says("this operator leads", SOON).await?;
    first.resume()?;
    course.ends_as_without_faults().await?;
    first.says("this operator leads no more", SOON).await?;

    // And back again: a leader that ends in order is followed at once.
    second.terminate()?;
    assert!(second.ended(SOON).await?.success());
    course.put(course.target("late", "/later")).await?;
    course
        .release
        .shows("late", "/status/observedGeneration", "2")
        .await?;
    course.put(course.target("late", "/late")).await?;
    course
        .release
        .shows("late", "/status/observedGeneration", "3")
        .await?;
    course.release.shows("late", "Ready", "True Ready").await
}
