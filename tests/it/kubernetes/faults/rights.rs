//! The operator's rights are taken away, and given back.

use anyhow::{Result, ensure};
use parcelhook_env::{eventually, kubernetes::Verb};
use serde_json::json;

use super::{
    super::rights::{Place, Rights, Rule},
    course::Course,
};
use crate::site::SOON;

/// The operator's rights in namespaces of targets.
fn rights() -> Result<Vec<Rule>> {
    Ok(Rights::read()?.of("operator", Place::Targets))
}

#[tokio::test]
async fn rights_that_are_taken_away_and_given_back() -> Result<()> {
    let course = Course::begin("revoked").await?;
    let operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    let release = &course.release;
    release
        .grant("operator", Place::Targets, &json!([]))
        .await?;
    eventually("watches that are refused", SOON, async || {
        course.proxy.cut_watches();
        let told = operator.stderr().text()?;
        let is_refused = told.contains("watching targets was interrupted");
        ensure!(is_refused, "they begin again");
        Ok(())
    })
    .await?;
    course.second().await?;
    release
        .grant("operator", Place::Targets, &json!(rights()?))
        .await?;
    course.ends_as_without_faults().await
}

#[tokio::test]
async fn secrets_that_may_not_be_read_for_a_while_change_nothing_that_runs() -> Result<()> {
    let course = Course::begin("unreadable-secrets").await?;
    let _operator = course.release.operator_through(&course.proxy, &[]).await?;
    course.first().await?;
    course.first_is_run().await?;
    let release = &course.release;
    let mut without = rights()?;
    without.retain(|rule| !rule.is_about("secrets"));
    let mut home = Rights::read()?.of("operator", Place::Home);
    // Both places are one namespace here.
    for rule in &mut home {
        if rule.is_about("secrets") {
            rule.without(Verb::Get);
        }
    }
    release.grant("operator", Place::Home, &json!(home)).await?;
    release
        .grant("operator", Place::Targets, &json!(without))
        .await?;
    release.denies_secrets("operator").await?;
    course.second().await?;
    release
        .shows("rotated", "Ready", "False SecretUnreadable")
        .await?;
    let state = course.state().await?;
    ensure!(state.contains("token first"), "{state}");

    let of_home = Rights::read()?.of("operator", Place::Home);
    release
        .grant("operator", Place::Home, &json!(of_home))
        .await?;
    release
        .grant("operator", Place::Targets, &json!(rights()?))
        .await?;
    course.ends_as_without_faults().await
}
