//! `check`: what is good, what is wrong, where, and how to mend it; and configurations that no command
//! accepts.

use std::process::ExitStatus;

use anyhow::Result;
use parcelhook_env::{process::Launch, worker::Settings};

use crate::{
    manifest::Manifest,
    site::{SOON, Site, WORKER},
};

/// Runs to the end; how it ended, and all that it wrote.
async fn outcome(settings: Settings) -> Result<(ExitStatus, String)> {
    let process = settings.launch()?;
    let status = process.ended(SOON).await?;
    Ok((status, process.stdout().text()? + &process.stderr().text()?))
}

#[tokio::test]
async fn a_good_directory_passes_and_a_bad_one_is_told_file_document_field_and_fix() -> Result<()> {
    let site = Site::new("checked").await?;
    let good = Manifest::new("good", "orders", "https://example.com/hook");
    site.put(&good)?;
    let (status, said) = outcome(site.worker().command("check")).await?;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("targets of worker group default: 1"),
        "{said}"
    );

    let bad = Manifest::new("bad", "orders", "ftp://example.com/hook");
    let without_secret = Manifest::new("poor", "orders", "https://example.com/hook").with(
        "signing",
        serde_json::json!({"keySecretRefs": [{"name": "absent", "key": "k"}]}),
    );
    site.write(
        "two.yaml",
        &format!("{}\n---\n{}\n", without_secret.text(), bad.text()),
    )?;
    site.write("torn.yaml", "apiVersion: parcelhook.dev/v1alpha1\nkind: [")?;
    let (status, said) = outcome(site.worker().command("check")).await?;
    assert_eq!(status.code(), Some(2), "{said}");
    for (file, told) in [
        ("torn.yaml, document 1: ", "is not YAML: line 2"),
        (
            "two.yaml, document 1: default/poor: ",
            "spec.signing.keySecretRefs",
        ),
        ("two.yaml, document 2: default/bad: ", "spec.endpoint.url: "),
    ] {
        let line = said.lines().find(|line| line.starts_with(file));
        assert!(
            line.is_some_and(|line| line.contains(told)),
            "{file}{told} in {said}"
        );
    }
    assert!(said.contains("problems: 3"), "{said}");
    Ok(())
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_told_at_once_and_ends_with_2() -> Result<()> {
    let site = Site::new("faulty").await?;
    let file = site.file(
        "worker.yaml",
        "bootstrapServers: [127.0.0.1:9092]\nbyteBudgt: 1Mi\nkafka:\n  properties:\n    auto.offset.reset: earliest\n    enable.auto.commit: true\n",
    )?;
    for command in ["run", "check"] {
        let settings = Settings::new(
            WORKER,
            "127.0.0.1:9092",
            "Not A Name",
            &site.targets().join("none"),
        )
        .command(command)
        .flag("--config", &file)
        .flag("--kafka-properties", "group.id=mine")
        .flag("--kafka-properties", "no.such.property=1")
        .flag("--shards", "0")
        .flag("--kafka-tls-ca", site.targets().join("no-ca.pem"))
        .env("PARCELHOOK_SHUTDOWN_GRACE", "soon");
        let (status, said) = outcome(settings).await?;
        assert_eq!(status.code(), Some(2), "{command}: {said}");
        for (key, told) in [
            ("byteBudgt", "byteBudget"),
            ("workerGroup", "lower-case"),
            ("targets", "none"),
            ("kafka.properties", "group.id"),
            ("kafka.properties", "<prefix>.<installation>.<workerGroup>"),
            ("kafka.properties", "no.such.property"),
            ("kafka.properties", "auto.offset.reset"),
            ("kafka.properties", "enable.auto.commit"),
            ("shards", "--shards"),
            ("kafka.tls.ca", "no-ca.pem"),
            ("shutdownGrace", "PARCELHOOK_SHUTDOWN_GRACE"),
        ] {
            let found = said
                .lines()
                .any(|line| line.contains(key) && line.contains(told));
            assert!(found, "{command}: {key} with {told} in {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_help_with_0() -> Result<()> {
    for (arguments, code) in [
        (&["run", "--no-such-flag"][..], 2),
        (&["walk"], 2),
        (&[], 2),
        (&["run", "--help"], 0),
        (&["--version"], 0),
    ] {
        let process = Launch::new("usage", WORKER).args(arguments).start()?;
        let status = process.ended(SOON).await?;
        assert_eq!(
            status.code(),
            Some(code),
            "{arguments:?}: {}",
            process.tail()
        );
    }
    Ok(())
}
