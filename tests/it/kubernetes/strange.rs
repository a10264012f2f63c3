//! Strange values in every place of a manifest: an API server and a worker that reads a directory
//! refuse the same ones, for the same fields, and make the same of the others.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use parcelhook_crds::{
    manifest::{self, Violation},
    spec::DeliveryTarget,
};
use serde_json::{Value, json};

use super::{
    Home,
    verdicts::{Verdict, verdict},
};

/// Judged at once: enough to keep two cores busy.
const AT_ONCE: usize = 4;

/// What may stand where it should not. Fields that nobody knows are not among it: an API server
/// that meets one says nothing of all the rest.
fn strange_values() -> [Value; 12] {
    [
        json!(null),
        json!(true),
        json!(-1),
        json!(7),
        json!(1.5),
        json!(""),
        json!("Strange"),
        json!("15s"),
        json!("99999h99999h99999h99999h"),
        json!("http://[:]"),
        json!([[]]),
        json!({}),
    ]
}

/// JSON pointers of every value inside a value, itself not among them.
fn pointers(value: &Value, parent: &str, found: &mut Vec<String>) {
    let mut find = |name: &str, value: &Value| {
        let pointer = format!("{parent}/{name}");
        pointers(value, &pointer, found);
        found.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| find(name, value)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(&index.to_string(), item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The example with every option, with each strange value in each place; and what is strange in it.
fn manifests(namespace: &str) -> Result<Vec<(String, Value)>> {
    let example = include_str!("../../../docs/examples/target.yaml");
    let examples: Vec<Value> = serde_saphyr::from_multiple(example)?;
    let mut every_option = examples.into_iter().nth(1).context("a second example")?;
    every_option["metadata"] = json!({"name": "strange", "namespace": namespace});
    let mut places = Vec::new();
    pointers(&every_option["spec"], "/spec", &mut places);
    assert!(places.len() > 50, "{places:?}");
    let mut manifests = Vec::new();
    for place in places {
        for strange in strange_values() {
            let what = format!("{place} = {strange}");
            let mut manifest = every_option.clone();
            *manifest.pointer_mut(&place).context("no such place")? = strange;
            manifests.push((what, manifest));
        }
    }
    Ok(manifests)
}

fn is_same(ours: &Result<DeliveryTarget, Vec<Violation>>, theirs: &Verdict) -> Result<bool> {
    Ok(match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => theirs["spec"] == serde_json::to_value(&ours.spec)?,
        (Err(ours), Err(theirs)) => {
            let ours: BTreeSet<&String> = ours.iter().map(|violation| &violation.field).collect();
            let theirs: BTreeSet<&String> = theirs.iter().map(|(field, _)| field).collect();
            ours == theirs
        }
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    })
}

#[tokio::test]
async fn a_strange_value_in_any_place_gets_the_same_verdict() -> Result<()> {
    let home = Home::new("strange").await?;
    let client = home.client()?;
    let differences: Vec<Option<String>> = stream::iter(manifests(&home.namespace)?)
        .map(async |(what, manifest)| {
            let theirs = verdict(&client, &home.namespace, &manifest.to_string()).await?;
            let ours = manifest::check(manifest);
            let same = is_same(&ours, &theirs)?;
            let shown = || format!("{what}\n  ours {ours:?}\n  theirs {theirs:?}");
            anyhow::Ok((!same).then(shown))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
