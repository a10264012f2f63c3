//! `kubectl wait` for a target to be run, and for its webhook to take deliveries.

use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams, PostParams};
use parcelhook_env::eventually;
use serde_json::json;

use super::{Home, minimal};
use crate::site::SOON;

/// Says that the target meets this condition.
async fn meet(home: &Home, name: &str, condition: &str, generation: i64) -> Result<()> {
    let status = json!({
        "observedGeneration": generation,
        "conditions": [{
            "type": condition, "status": "True", "reason": "Tested", "message": "",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-31T12:00:00Z",
        }],
    });
    let patch = Patch::Merge(json!({ "status": status }));
    let targets = home.targets()?;
    targets
        .patch_status(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_ends_when_the_condition_is_met() -> Result<()> {
    let home = Home::new("wait").await?;
    for condition in ["Ready", "Available"] {
        let name = condition.to_lowercase();
        home.targets()?
            .create(&PostParams::default(), &minimal(&name)?)
            .await?;
        let (target, what) = (format!("dt/{name}"), format!("--for=condition={condition}"));
        let wait = ["wait", &what, &target, "--timeout=60s"];
        let (waited, met) = futures::join!(home.kubectl(&wait), meet(&home, &name, condition, 1));
        met?;
        assert_eq!(
            waited?,
            format!("deliverytarget.parcelhook.dev/{name} condition met\n")
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_wait_is_not_content_with_what_was_true_of_an_older_spec() -> Result<()> {
    let home = Home::new("wait-old").await?;
    let targets = home.targets()?;
    targets
        .create(&PostParams::default(), &minimal("t")?)
        .await?;
    meet(&home, "t", "Ready", 1).await?;
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    targets
        .patch("t", &PatchParams::default(), &suspend)
        .await?;
    // A look, and no waiting.
    let look = [
        "wait",
        "--for=condition=Ready",
        "dt/t",
        "--timeout=0",
        "-n",
        &home.namespace,
    ];
    let said = home.kubectl.run(look).await?;
    assert!(!said.success, "{said:?}");
    meet(&home, "t", "Ready", 2).await?;
    eventually("the condition of the new spec", SOON, async || {
        let said = home.kubectl.run(look).await?;
        ensure!(said.success, "{said:?}");
        Ok(())
    })
    .await
}
