//! `kubectl get`: names, columns, selectors.

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::SignedDuration;
use kube::api::{Patch, PatchParams, PostParams};
use parcelhook_crds::spec::DeliveryTarget;
use serde_json::{Value, json};

use super::{Home, minimal};

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

/// A table of kubectl with ` | ` between its columns. What is as old as this test is shown as
/// `<young>`.
fn columns(table: &str) -> String {
    let header = table.lines().next().unwrap_or_default();
    let starts: Vec<usize> = header
        .match_indices(|c: char| c != ' ')
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || header[..*at].ends_with("  "))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let spans: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
    let age = header.find("AGE");
    let mut shown = String::new();
    for (row, line) in table.lines().enumerate() {
        let cell = |&(start, end): &(usize, usize)| {
            let text = line.get(start..end.min(line.len())).unwrap_or_default();
            let is_age = row > 0 && Some(start) == age;
            if is_age { "<young>" } else { text.trim() }
        };
        let cells: Vec<&str> = spans.iter().map(cell).collect();
        shown += cells.join(" | ").trim_end();
        shown += "\n";
    }
    shown
}

#[tokio::test]
async fn get_shows_the_state_of_each_target() -> Result<()> {
    let home = Home::new("columns").await?;
    three_targets(&home).await?;
    let said = home.kubectl(&["get", "deliverytargets"]).await?;
    insta::assert_snapshot!("get", columns(&said));
    let said = home
        .kubectl(&["get", "deliverytargets", "-o", "wide"])
        .await?;
    insta::assert_snapshot!("get_wide", columns(&said));
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
