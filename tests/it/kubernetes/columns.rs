//! `kubectl get`: names, columns, selectors.

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::SignedDuration;
use kube::api::{Patch, PatchParams, PostParams};
use parcelhook_crds::spec::DeliveryTarget;
use serde_json::{Value, json};

use super::{Home, minimal, shown::table};

/// What is as old as this test.
const YOUNG: [(&str, &str); 1] = [("AGE", "<young>")];

/// An UP target, one that is DOWN, and one that nobody has looked at.
async fn three_targets(home: &Home) -> Result<()> {
    let targets = home.targets()?;
    let make = async |target: &DeliveryTarget| targets.create(&PostParams::default(), target).await;
    let set = async |name: &str, status: Value| {
        let patch = Patch::Merge(json!({ "status": status }));
        targets
            .patch_status(name, &PatchParams::default(), &patch)
            .await
    };
    let made = make(&minimal("up")?).await?;
    make(&minimal("unseen")?).await?;
    let mut down = minimal("down")?;
    down.spec = serde_json::from_value(json!({
        "workerGroup": "slow",
        "sources": [{"topic": "invoices"}, {"topic": "orders"}],
        "endpoint": {"urlSecretRef": {"name": "hook", "key": "url"}},
    }))?;
    make(&down).await?;
    let now = made.metadata.creation_timestamp.context("no time")?.0;
    // Far from where the number that is shown changes.
    let hours_ago = |hours: i64| now - SignedDuration::from_mins(60 * hours + 30);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "observedGeneration": 1, "lastTransitionTime": now,
        })
    };
    let up = json!({
        "observedGeneration": 1,
        "state": "UP",
        "reason": "Delivering",
        "since": hours_ago(30),
        "conditions": [
            condition("Ready", "True", "Ready", "Every live worker runs it."),
            condition("Available", "True", "Delivering", "The webhook takes deliveries."),
        ],
    });
    set("up", up).await?;
    let down = json!({
        "observedGeneration": 1,
        "state": "DOWN",
        "reason": "HTTPStatus",
        "since": hours_ago(9),
        "nextAttempt": "2099-01-31T12:08:32Z",
        "parked": 1234,
        "lastFailure": {
            "time": now, "reason": "HTTPStatus", "statusCode": 503,
            "message": "The webhook answered 503.",
        },
        "conditions": [
            condition("Ready", "True", "Ready", "Every live worker runs it."),
            condition("Available", "False", "HTTPStatus", "The webhook answered 503."),
        ],
    });
    set("down", down).await?;
    Ok(())
}

#[tokio::test]
async fn get_shows_the_state_of_each_target() -> Result<()> {
    let home = Home::new("columns").await?;
    three_targets(&home).await?;
    let said = home.kubectl(&["get", "deliverytargets"]).await?;
    insta::assert_snapshot!("get", table(&said, &YOUNG));
    let said = home
        .kubectl(&["get", "deliverytargets", "-o", "wide"])
        .await?;
    insta::assert_snapshot!("get_wide", table(&said, &YOUNG));
    Ok(())
}

#[tokio::test]
async fn targets_are_selected_by_worker_group_and_by_state() -> Result<()> {
    let home = Home::new("selectors").await?;
    three_targets(&home).await?;
    for (selector, names) in [
        (
            "spec.workerGroup=slow",
            "deliverytarget.parcelhook.dev/down\n",
        ),
        ("status.state=UP", "deliverytarget.parcelhook.dev/up\n"),
        ("status.state=DOWN,spec.workerGroup=default", ""),
        // The state of what nobody has looked at.
        ("status.state=", "deliverytarget.parcelhook.dev/unseen\n"),
    ] {
        let select = format!("--field-selector={selector}");
        let said = home.kubectl(&["get", "dt", &select, "-o", "name"]).await?;
        assert_eq!(said, names, "{selector}");
    }
    Ok(())
}

#[tokio::test]
async fn targets_are_found_by_every_name_of_theirs() -> Result<()> {
    let home = Home::new("names").await?;
    let made = minimal("only")?;
    home.targets()?
        .create(&PostParams::default(), &made)
        .await?;
    for name in [
        "deliverytargets",
        "deliverytarget",
        "dt",
        "parcelhook",
        "deliverytargets.parcelhook.dev",
    ] {
        let said = home.kubectl(&["get", name, "-o", "name"]).await?;
        assert_eq!(said, "deliverytarget.parcelhook.dev/only\n", "{name}");
    }
    Ok(())
}
