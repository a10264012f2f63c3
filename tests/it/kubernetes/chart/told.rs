//! Values that contradict one another are refused with the way out, and the documentation has every
//! value.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{chart, refusal, schema::Schema};

/// Where the table of values stands.
const DOCUMENTATION: &str = include_str!("../../../../docs/install.md");

#[tokio::test]
async fn values_that_cannot_work_are_refused_with_the_way_out() -> Result<()> {
    let broker = "kafka.bootstrapServers={kafka:9092}";
    for (sets, told) in [
        (
            &[][..],
            "kafka.bootstrapServers: name at least one broker, as host:port",
        ),
        (
            &["kafka.bootstrapServers={kafka}"],
            "/kafka/bootstrapServers/0",
        ),
        (
            &[broker, "kafka.tls.ca.secretName=roots"],
            "mean nothing while kafka.tls.enabled is false",
        ),
        (
            &[broker, "kafka.sasl.username=me"],
            "mean nothing without kafka.sasl.mechanism",
        ),
        (
            &[broker, "kafka.sasl.mechanism=PLAIN"],
            "kafka.sasl.username: kafka.sasl needs",
        ),
        (
            &[
                broker,
                "kafka.sasl.mechanism=PLAIN",
                "kafka.sasl.username=me",
            ],
            "kafka.sasl.password.secretName: kafka.sasl needs",
        ),
        (
            &[broker, "kafka.sasl.mechanism=GSSAPI"],
            "/kafka/sasl/mechanism",
        ),
        (
            &[broker, "worker.serviceAccount.create=false"],
            "worker.serviceAccount.name: name an account that exists",
        ),
        (&[broker, "egressAllow={10.0.0.1}"], "/egressAllow/0"),
        (
            &[broker, "worker.shutdownGraceSeconds=301"],
            "/worker/shutdownGraceSeconds",
        ),
        (
            &[broker, "operator.image.digest=latest"],
            "/operator/image/digest",
        ),
    ] {
        let sets: Vec<String> = sets.iter().map(|set| format!("--set={set}")).collect();
        let said = refusal(&sets).await?;
        assert!(said.contains(told), "{sets:?}: {told} in {said}");
    }
    Ok(())
}

/// The rows of the table: every value with its default and its description.
fn rows() -> Result<Vec<String>> {
    let defaults: Value =
        serde_saphyr::from_str(&fs::read_to_string(chart().join("values.yaml"))?)?;
    let mut rows = Vec::new();
    for place in Schema::read()?.places()? {
        let path = place.path.as_str();
        // What a container has is Kubernetes' to document, and so are items of lists.
        let is_foreign = path.contains(".resources.") || path.contains("[]") || path == "global";
        let is_group = place.schema.get("properties").is_some() && !path.ends_with(".resources");
        if is_foreign || is_group {
            continue;
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let default = defaults.pointer(&pointer);
        let default = default.with_context(|| format!("values.yaml has no {path}"))?;
        let described = place.description;
        let described = described.with_context(|| format!("{path} is not described"))?;
        rows.push(format!("| `{path}` | `{default}` | {described} |"));
    }
    Ok(rows)
}

#[test]
fn the_documentation_has_every_value_with_its_default() -> Result<()> {
    let rows: BTreeSet<String> = rows()?.into_iter().collect();
    let documented = DOCUMENTATION.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<String> = documented.map(str::to_owned).collect();
    let missing: Vec<&String> = rows.difference(&documented).collect();
    let outdated: Vec<&String> = documented.difference(&rows).collect();
    assert!(
        missing.is_empty() && outdated.is_empty(),
        "missing: {missing:#?}\noutdated: {outdated:#?}"
    );
    Ok(())
}
