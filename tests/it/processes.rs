//! Children under test: watched, signalled, and never left behind.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    eventually,
    process::{Launch, Process},
};

const SOON: Duration = Duration::from_secs(30);

/// A child that lives until it is killed.
fn sleeper() -> Result<Process> {
    Launch::new("sleeper", "sleep").arg("infinity").start()
}

/// The letter for a process's state in `/proc` (proc(5)), or `None` when it is gone.
fn state(pid: u32) -> Option<char> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))?;
    line.trim().chars().next()
}

/// Waits until nothing runs under this id: it is gone, or dead and not yet reaped.
async fn gone(pid: u32) -> Result<()> {
    eventually(&format!("the end of process {pid}"), SOON, async || {
        let state = state(pid);
        ensure!(matches!(state, None | Some('Z' | 'X')), "state {state:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_child_tells_how_it_ended_and_what_it_wrote() -> Result<()> {
    let script = r#"echo "$GREETING"; echo trouble >&2; pwd; exit 7"#;
    let child = Launch::new("speaker", "sh")
        .args(["-c", script])
        .env("GREETING", "good day")
        .directory("/")
        .start()?;
    assert_eq!(child.says("good", SOON).await?, "good day");
    assert_eq!(child.ended(SOON).await?.code(), Some(7));
    assert_eq!(child.stdout().text()?, "good day\n/\n");
    assert_eq!(child.stderr().text()?, "trouble\n");
    Ok(())
}

#[tokio::test]
async fn a_child_that_ends_without_the_awaited_word_is_told_at_once_with_its_log() -> Result<()> {
    let child = Launch::new("failure", "sh")
        .args(["-c", "echo no such luck >&2; exit 1"])
        .start()?;
    // Far longer than the test may take: the end itself must be noticed.
    let forever = Duration::from_secs(86_400);
    let error = format!("{:#}", child.says("ready", forever).await.unwrap_err());
    assert!(error.contains("no such luck"), "{error}");
    Ok(())
}

#[tokio::test]
async fn signals_reach_the_program_itself() -> Result<()> {
    let script = r#"trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"#;
    let child = Launch::new("polite", "sh").args(["-c", script]).start()?;
    child.says("up", SOON).await?;
    child.terminate()?;
    assert_eq!(child.ended(SOON).await?.code(), Some(3));
    assert_eq!(child.stdout().text()?, "up\nbye\n");
    assert!(child.kill().is_err(), "an ended process was signalled");
    Ok(())
}

#[tokio::test]
async fn a_paused_child_stands_still_until_it_is_resumed() -> Result<()> {
    let child = sleeper()?;
    let reaches = async |wanted: char| {
        eventually(&format!("state {wanted}"), SOON, async || {
            let state = state(child.pid());
            ensure!(state == Some(wanted), "state {state:?}");
            Ok(())
        })
        .await
    };
    reaches('S').await?;
    child.pause()?;
    reaches('T').await?;
    child.resume()?;
    reaches('S').await
}

#[tokio::test]
async fn a_dropped_child_is_gone_also_when_it_was_paused() -> Result<()> {
    let child = sleeper()?;
    let pid = child.pid();
    child.pause()?;
    drop(child);
    assert_eq!(state(pid), None);
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() -> Result<()> {
    let child = Launch::new("nothing", "/no/such/program").start()?;
    assert!(!child.ended(SOON).await?.success());
    let log = child.stderr().text()?;
    assert!(log.contains("/no/such/program"), "{log}");
    let error = Launch::new("nothing", "/no/such/program")
        .run()
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn a_child_dies_with_its_parent_also_when_that_is_killed() -> Result<()> {
    let parent = Launch::new("parent", env!("CARGO_BIN_EXE_parent-under-test")).start()?;
    let line = parent.says("the child is", SOON).await?;
    let (_, after) = line.split_once("the child is ").context("no id")?;
    let pid: u32 = after.trim_end_matches('.').parse()?;
    eventually("a child that sleeps", SOON, async || {
        let program = fs::read_to_string(format!("/proc/{pid}/comm"))?;
        ensure!(program.trim() == "sleep", "it is {program:?}");
        Ok(())
    })
    .await?;

    parent.kill()?;
    parent.ended(SOON).await?;
    gone(pid).await
}
