//! Objects that were stored under a looser definition, read under the present one.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, bail};
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DeserializeGuard},
};
use parcelhook_crds::{crd::crd, spec::DeliveryTarget};
use parcelhook_env::{directories, eventually, kubernetes::ApiServer};
use serde_json::{Value, json};

use super::define;
use crate::site::SOON;

/// A definition of the same resource that lets everything in.
fn loose() -> Result<Value> {
    let mut definition = serde_json::to_value(crd()?)?;
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = definition
        .pointer_mut("/spec/versions/0")
        .context("no version")?;
    version["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "properties": {"spec": anything, "status": anything}});
    if let Some(version) = version.as_object_mut() {
        // They have to be in the schema.
        version.remove("selectableFields");
    }
    Ok(definition)
}

/// Specs by name, and whether they can be read as a target today.
fn old() -> [(&'static str, Value, bool); 6] {
    let with = |field: &str, value: Value| {
        let mut spec = json!({
            "sources": [{"topic": "orders"}],
            "endpoint": {"url": "https://example.com/hook"},
        });
        spec[field] = value;
        spec
    };
    [
        ("plain", with("suspend", json!(true)), true),
        (
            "bound-since-tightened",
            with("delivery", json!({"timeout": "90s"})),
            true,
        ),
        ("field-since-removed", with("priority", json!("High")), true),
        (
            "choice-since-removed",
            with("onReject", json!("Shrug")),
            false,
        ),
        ("type-since-changed", with("suspend", json!("yes")), false),
        ("part-since-required", json!({"sources": []}), false),
    ]
}

#[tokio::test]
async fn what_was_stored_under_a_looser_definition_is_still_listed() -> Result<()> {
    let api = ApiServer::fresh().await?;
    let client = api.admin().client()?;
    let kubectl = api.admin().kubectl().await?;
    let file = directories::fresh("loose")?.join("definition.json");
    fs::write(&file, loose()?.to_string())?;
    kubectl
        .ok(["apply".as_ref(), "-f".as_ref(), file.as_os_str()])
        .await?;
    let resource = ApiResource::erase::<DeliveryTarget>(&());
    let untyped: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    for (name, spec, _) in old() {
        let object = DynamicObject::new(name, &resource).data(json!({ "spec": spec }));
        // The definition takes a moment to be served.
        eventually("an object under the old definition", SOON, async || {
            Ok(untyped.create(&PostParams::default(), &object).await?)
        })
        .await?;
    }

    define(&kubectl, &[]).await?;

    let guarded: Api<DeserializeGuard<DeliveryTarget>> = Api::namespaced(client.clone(), "default");
    let mut readable = BTreeMap::new();
    for DeserializeGuard(object) in guarded.list(&ListParams::default()).await?.items {
        match object {
            Ok(target) => readable.insert(target.metadata.name, true),
            Err(invalid) => readable.insert(invalid.metadata.name, false),
        };
    }
    let expected = old().map(|(name, _, is_readable)| (Some(name.to_owned()), is_readable));
    assert_eq!(readable, BTreeMap::from(expected));

    // Defaults of today are filled in when it is read.
    let typed: Api<DeliveryTarget> = Api::namespaced(client, "default");
    let plain = serde_json::to_value(typed.get("plain").await?)?;
    assert_eq!(plain["spec"]["workerGroup"], "default");
    assert_eq!(plain["status"], json!({"observedGeneration": -1}));

    // What is as bad as it was may stay so while something else is changed.
    let name = "bound-since-tightened";
    let label = Patch::Merge(json!({"metadata": {"labels": {"team": "shop"}}}));
    typed.patch(name, &PatchParams::default(), &label).await?;
    let worse = Patch::Merge(json!({"spec": {"delivery": {"timeout": "91s"}}}));
    let Err(kube::Error::Api(status)) = typed.patch(name, &PatchParams::default(), &worse).await
    else {
        bail!("another bad timeout was taken");
    };
    assert!(
        status.message.contains("must be from '1s' to '60s'"),
        "{status:?}"
    );
    Ok(())
}
