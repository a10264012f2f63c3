//! The short form of the fault programme: a fixed seed, in a process of its own.

use std::{fs, time::Duration};

use anyhow::Result;
use parcelhook_env::{directories, process::Launch};

/// The seed; it decides which faults come. Another one is as good.
const SEED: &str = "1";

/// Several at a time from the start: each alone takes too long for every change.
const FAULTS: &str = "60";

/// On a slow machine fewer faults, instead of a longer test. What was begun is then healed.
const MINUTES: &str = "2";

/// Far longer than the run takes.
const AT_MOST: Duration = Duration::from_secs(15 * 60);

#[tokio::test]
async fn every_promise_is_kept_while_everything_is_disturbed() -> Result<()> {
    let report = directories::fresh("report")?.join("report.json");
    let programme = Launch::new("fault-programme", env!("CARGO_BIN_EXE_faults"))
        .args(["--seed", SEED, "--faults", FAULTS, "--minutes", MINUTES])
        .arg("--together")
        .arg("--report")
        .arg(&report)
        .start()?;
    let status = programme.ended(AT_MOST).await?;
    let written = programme.stdout().text()? + &programme.stderr().text()?;
    assert!(status.success(), "{written}");
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    assert!(report["faults"].as_u64() > Some(0), "{report}");
    assert!(
        report["counts"]["deliveries"].as_u64() > Some(0),
        "{report}"
    );
    Ok(())
}
