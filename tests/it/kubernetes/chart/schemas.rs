//! What is rendered fits the schemas that the API server itself publishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use kube::Client;
use parcelhook_env::{
    directories,
    kubernetes::{ApiServer, Program},
    process::Launch,
};
use serde_json::{Value, json};

use super::{Rendered, written};
use crate::site::SOON;

/// A kind of another operator's, which no API server knows by itself.
const FOREIGN: &str = "PodMonitor";

/// Where kubeconform looks for the schema of a kind.
const LOCATION: &str = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json";

/// An API version and a kind.
type Kind = (String, String);

/// Writes the schema of each kind, as JSON Schema, to a directory.
async fn write_schemas(kinds: &BTreeSet<Kind>, client: &Client, place: &Path) -> Result<()> {
    let mut published = BTreeMap::new();
    for (version, kind) in kinds {
        if !published.contains_key(version) {
            published.insert(version, definitions(client, version).await?);
        }
        let (group, short) = version.split_once('/').unwrap_or(("", version));
        let definitions = &published[version];
        let wanted = json!({"group": group, "version": short, "kind": kind});
        let is_wanted = |definition: &Value| {
            let kinds = definition["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&wanted))
        };
        let mut named = definitions.as_object().into_iter().flatten();
        let named = named.find(|(_, definition)| is_wanted(definition));
        let (name, _) = named.with_context(|| format!("no schema of {version} {kind}"))?;
        let schema = json!({
            "$ref": format!("#/definitions/{name}"),
            "definitions": definitions,
        });
        // To kubeconform the group of what has none is its version.
        let group = if group.is_empty() { short } else { group };
        let file = format!("{group}_{short}_{}.json", kind.to_lowercase());
        written(place, &file, &schema.to_string())?;
    }
    Ok(())
}

/// The definitions that the API server publishes for an API version.
async fn definitions(client: &Client, version: &str) -> Result<Value> {
    let root = if version.contains('/') { "apis" } else { "api" };
    let request = http::Request::get(format!("/openapi/v3/{root}/{version}")).body(Vec::new())?;
    let text = client.request_text(request).await?;
    // OpenAPI keeps its schemas elsewhere than JSON Schema.
    let text = text.replace("#/components/schemas/", "#/definitions/");
    let mut published: Value = serde_json::from_str(&text)?;
    let mut definitions = published["components"]["schemas"].take();
    close(&mut definitions);
    Ok(definitions)
}

/// Refuses fields that a schema does not name. OpenAPI lets them pass.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type").is_some_and(|of| of == "object");
            if is_object && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Compares files with schemas: whether they fit, and what was said.
async fn conform(files: &Path, schemas: &Path) -> Result<(bool, String)> {
    let location = schemas.join(LOCATION).display().to_string();
    let files = files.display().to_string();
    let arguments = ["-strict", "-summary", "-skip", FOREIGN, "-schema-location"];
    let process = Launch::new("kubeconform", Program::Kubeconform.provision().await?)
        .args(arguments)
        .args([location, files])
        .start()?;
    let status = process.ended(SOON).await?;
    let said = process.stdout().text()? + &process.stderr().text()?;
    Ok((status.success(), said))
}

#[tokio::test]
async fn what_is_rendered_fits_the_schemas_of_the_api_server() -> Result<()> {
    let place = directories::fresh("schemas")?;
    let (schemas, files, bad) = (
        place.join("schemas"),
        place.join("files"),
        place.join("bad"),
    );
    for directory in [&schemas, &files, &bad] {
        fs::create_dir(directory)?;
    }
    let mut kinds = BTreeSet::new();
    for rendered in Rendered::all().await? {
        written(&files, &format!("{}.yaml", rendered.set), &rendered.text)?;
        for object in &rendered.objects {
            let field = |name: &str| object[name].as_str().map(str::to_owned);
            let kind = field("apiVersion").zip(field("kind"));
            kinds.insert(kind.context("a kind")?);
        }
    }
    kinds.retain(|(_, kind)| kind != FOREIGN);
    ensure!(kinds.len() > 9, "{kinds:?}");
    let client = ApiServer::shared().await?.admin().client()?;
    write_schemas(&kinds, &client, &schemas).await?;

    let (fits, said) = conform(&files, &schemas).await?;
    assert!(fits && said.contains("Invalid: 0, Errors: 0"), "{said}");

    // The same check refuses a field that does not exist, at any depth.
    let smallest = &Rendered::all().await?[0];
    let misspelt = smallest.text.replace("failureThreshold", "failureTreshold");
    written(&bad, "misspelt.yaml", &misspelt)?;
    let (fits, said) = conform(&bad, &schemas).await?;
    assert!(!fits && said.contains("failureTreshold"), "{said}");
    Ok(())
}
