//! `dev`: the demonstration, as somebody sees it who has just built the worker.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use parcelhook_env::{
    directories, eventually,
    process::{Launch, Process},
    receiver::Receiver,
};

use crate::{
    manifest::Manifest,
    site::{SOON, WORKER},
};

/// The demo, whose temporary folder is made in `temporary`.
fn demo(temporary: &Path) -> Launch {
    Launch::new("dev", WORKER)
        .args(["dev", "--admin-listen", "127.0.0.1:0"])
        .env("TMPDIR", temporary)
}

/// Ends it as Ctrl-C does.
async fn end(demo: &Process, temporary: &Path) -> Result<()> {
    demo.interrupt()?;
    let status = demo.ended(SOON).await?;
    assert_eq!(status.code(), Some(0), "{}", demo.tail());
    assert_eq!(
        fs::read_dir(temporary)?.count(),
        0,
        "it left something in {}",
        temporary.display()
    );
    Ok(())
}

#[tokio::test]
async fn it_delivers_tells_where_everything_is_and_leaves_nothing_behind() -> Result<()> {
    let temporary = directories::fresh("dev-tmp")?;
    let demo = demo(&temporary).start()?;
    let said = demo.says("manifests ", SOON).await?;
    let manifests = said.split_whitespace().nth(1).context("no folder")?;
    assert!(Path::new(manifests).starts_with(&temporary), "{said}");
    assert!(Path::new(manifests).join("steady.yaml").exists());
    demo.says("not for real data", SOON).await?;
    demo.says("first events delivered", SOON).await?;
    let said = demo.stdout().text()?;
    // Not a terminal: lines, and nothing that moves a cursor.
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said}");
    end(&demo, &temporary).await?;
    let said = demo.stdout().text()?;
    assert!(
        said.contains("The demo has ended") && said.contains("in order: yes"),
        "{said}"
    );
    assert_eq!(demo.stderr().text()?, "");
    Ok(())
}

#[tokio::test]
async fn a_failing_receivers_events_are_parked_and_delivered_before_ones_eyes() -> Result<()> {
    let temporary = directories::fresh("dev-tmp")?;
    let demo = demo(&temporary).start()?;
    // The flaky receiver fails from second 15 to second 35.
    demo.says("flaky is DOWN: HTTP 503; ", SOON).await?;
    demo.says("flaky is still DOWN after ", SOON).await?;
    // It "recovered", or "has caught up" when it was looked at in between.
    demo.says(" delivered in order in ", SOON).await?;
    end(&demo, &temporary).await?;
    let said = demo.stdout().text()?;
    assert!(said.contains("in order: yes"), "{said}");
    Ok(())
}

#[tokio::test]
async fn own_manifests_get_events_of_the_demo_broker() -> Result<()> {
    let temporary = directories::fresh("dev-tmp")?;
    let targets = directories::fresh("dev-targets")?;
    let receiver = Receiver::start()?;
    let manifest = Manifest::new("mine", "my-topic", &receiver.url("/mine"));
    fs::write(targets.join("mine.json"), manifest.text())?;
    let demo = demo(&temporary).arg("--targets").arg(&targets).start()?;
    let requests = receiver
        .arrived(1, SOON)
        .await
        .with_context(|| demo.tail())?;
    let events = requests[0].events()?;
    assert_eq!(&*events[0].topic, "my-topic");

    // A change counts there as everywhere.
    fs::write(
        targets.join("mine.json"),
        manifest
            .with("endpoint/url", receiver.url("/moved").into())
            .text(),
    )?;
    eventually("an event at the new place", SOON, async || {
        let requests = receiver.requests();
        ensure!(
            requests.iter().any(|request| request.path == "/moved"),
            "{}",
            requests.len()
        );
        Ok(())
    })
    .await?;
    end(&demo, &temporary).await?;
    assert!(targets.join("mine.json").exists());
    Ok(())
}

#[tokio::test]
async fn a_load_that_the_demo_cannot_carry_is_a_wrong_usage() -> Result<()> {
    let temporary = directories::fresh("dev-tmp")?;
    for (flag, value) in [("--rate", "801"), ("--rate", "0"), ("--size", "65537")] {
        let demo = demo(&temporary).args([flag, value]).start()?;
        assert_eq!(demo.ended(SOON).await?.code(), Some(2), "{flag} {value}");
        let said = demo.stderr().text()?;
        assert!(said.contains(&format!("{flag} {value}: give")), "{said}");
    }
    assert_eq!(fs::read_dir(&temporary)?.count(), 0);
    Ok(())
}
