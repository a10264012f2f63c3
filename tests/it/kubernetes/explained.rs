//! `kubectl explain`, for every part of the resource.

use anyhow::Result;
use parcelhook_crds::crd::crd;
use serde_json::Value;

use super::Home;

/// The parts that have fields, in the order in which the schema names them.
fn parts(schema: &Value, path: &str, found: &mut Vec<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    let Some(fields) = schema["properties"].as_object() else {
        return;
    };
    found.push(path.to_owned());
    for (name, field) in fields {
        parts(field, &format!("{path}.{name}"), found);
    }
}

#[tokio::test]
async fn every_field_is_explained() -> Result<()> {
    let home = Home::new("explained").await?;
    let definition = serde_json::to_value(crd()?)?;
    let mut paths = Vec::new();
    for part in ["spec", "status"] {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        parts(
            &schema["properties"][part],
            &format!("deliverytarget.{part}"),
            &mut paths,
        );
    }
    assert!(paths.len() > 15, "{paths:?}");
    let mut all = home.kubectl(&["explain", "deliverytarget"]).await?;
    for path in &paths {
        all += &home.kubectl(&["explain", path]).await?;
    }
    assert!(!all.contains("<no description>"), "{all}");
    insta::assert_snapshot!("explain", all);
    Ok(())
}
