//! A manifest gets one verdict, from an API server and from a worker that reads a directory.

use anyhow::{Context as _, Result, anyhow, bail};
use http::{Request, header::CONTENT_TYPE};
use kube::{Client, api::PostParams, core::Status};
use parcelhook_crds::{manifest, spec::DeliveryTarget};
use serde_json::Value;

use super::{Home, minimal, table};

/// The field of what is told beside the violations: that rules do not run on what is broken.
const NO_FIELD: &str = "<nil>";

/// What an API server says to a manifest: the object that it would keep, or the field and the message
/// of each violation.
pub(super) type Verdict = Result<Value, Vec<(String, String)>>;

/// Asks for a verdict on a manifest that is not to be kept.
pub(super) async fn verdict(client: &Client, namespace: &str, manifest: &str) -> Result<Verdict> {
    let path = format!("/apis/parcelhook.dev/v1alpha1/namespaces/{namespace}/deliverytargets");
    // What kubectl asks for; and YAML, so that it is read as kubectl reads it.
    let request = Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header(CONTENT_TYPE, "application/yaml")
        .body(manifest.as_bytes().to_vec())?;
    match client.request::<Value>(request).await {
        Ok(kept) => Ok(Ok(kept)),
        Err(kube::Error::Api(status)) => Ok(Err(violations(&status))),
        Err(other) => bail!("no verdict: {other}"),
    }
}

fn violations(status: &Status) -> Vec<(String, String)> {
    // Strict decoding tells what it does not know in a sentence.
    if let Some((_, unknown)) = status.message.split_once("unknown field \"") {
        let field = unknown.split('"').next().unwrap_or_default();
        return vec![(field.to_owned(), "unknown field".to_owned())];
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.field != NO_FIELD)
        .map(|cause| (cause.field.clone(), cause.message.clone()))
        .collect()
}

#[tokio::test]
async fn good_manifests_are_accepted_with_the_same_defaults() -> Result<()> {
    let home = Home::new("good").await?;
    let client = home.client()?;
    for entry in table::good() {
        let file = entry.file.display();
        let manifest: Value = serde_saphyr::from_str(&entry.text)?;
        let ours = manifest::check(manifest).map_err(|bad| anyhow!("{file}: {bad:?}"))?;
        // It says so itself, or takes any.
        let mut namespace = home.namespace.clone();
        if entry.text.contains("namespace: ") {
            namespace = ours.metadata.namespace.clone().context("a namespace")?;
            home.kubectl(&["create", "namespace", &namespace]).await?;
        }
        let theirs = verdict(&client, &namespace, &entry.text).await?;
        let theirs = theirs.map_err(|bad| anyhow!("{file}: {bad:?}"))?;
        assert_eq!(theirs["spec"], serde_json::to_value(&ours.spec)?, "{file}");
        let as_read: DeliveryTarget = serde_json::from_value(theirs)?;
        assert_eq!(as_read.spec, ours.spec, "{file}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_manifests_are_refused_with_the_same_field_and_reason() -> Result<()> {
    let home = Home::new("bad").await?;
    let client = home.client()?;
    let mut differences = Vec::new();
    for entry in table::bad() {
        let verdict = verdict(&client, &home.namespace, &entry.text).await?;
        let is_as_expected = match &verdict {
            Ok(_) => false,
            Err(_) if entry.text.contains("# api-server: other") => true,
            Err(violations) => match violations.as_slice() {
                [(field, message)] => field == entry.field() && message.contains(entry.message()),
                _ => false,
            },
        };
        if !is_as_expected {
            differences.push(format!("{}: {verdict:#?}", entry.file.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

#[tokio::test]
async fn the_worker_group_of_a_target_cannot_be_changed() -> Result<()> {
    let home = Home::new("immutable").await?;
    let targets = home.targets()?;
    let mut target = targets
        .create(&PostParams::default(), &minimal("t")?)
        .await?;
    target.spec.worker_group = serde_json::from_value("other".into())?;
    let refused = targets.replace("t", &PostParams::default(), &target).await;
    let Err(kube::Error::Api(status)) = refused else {
        bail!("it was changed: {refused:?}");
    };
    let [(field, message)] = &violations(&status)[..] else {
        bail!("{status:?}");
    };
    assert_eq!(field, "spec.workerGroup");
    assert!(
        message.contains("must not be changed; create another DeliveryTarget"),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn the_example_is_applied_without_a_warning() -> Result<()> {
    let home = Home::new("example").await?;
    let example = format!(
        "{}/../docs/examples/target.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    // It names the namespace itself, once.
    let kubectl = &home.kubectl;
    for how in [&["--server-side"][..], &[]] {
        let apply = ["apply", "--dry-run=server", "-f", &example];
        let said = kubectl.ok(apply.iter().chain(how)).await;
        said.with_context(|| format!("{how:?}"))?;
    }
    Ok(())
}
