//! The accounts of the chart, on a real API server: what their roles let pass, and what they do not.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use parcelhook_env::{directories, eventually, kubernetes::ApiServer};
use serde_json::json;

use super::{NAMESPACE, Rendered, applied::namespaces, written};
use crate::site::SOON;

/// Applies what the smallest set renders, without the definition.
async fn apply(api: &ApiServer) -> Result<()> {
    let directory = directories::fresh("rights")?;
    let kubectl = api.admin().kubectl().await?;
    namespaces(&kubectl, &directory).await?;
    let objects = Rendered::all().await?[0].objects.iter();
    let objects = objects.filter(|object| object["kind"] != "CustomResourceDefinition");
    let items: Vec<_> = objects.collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let file = written(&directory, "release.json", &list.to_string())?;
    let file = file.display().to_string();
    kubectl.ok(["apply", "--server-side", "-f", &file]).await?;
    Ok(())
}

/// Whether the API server let it pass; an error that is no refusal is one here, too.
fn passes<T>(answer: kube::Result<T>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(false),
        Err(error) => Err(error).context("neither passed nor refused"),
    }
}

/// A client of a component's account, once the API server has heard of its role.
async fn account(api: &ApiServer, component: &str) -> Result<Client> {
    let name = format!("parcelhook-{component}");
    let client = api.service_account(NAMESPACE, &name).await?.client()?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    eventually("a role that is in force", SOON, async || {
        ensure!(passes(secrets.get_opt("any").await)?, "it is not");
        Ok(())
    })
    .await?;
    Ok(client)
}

/// A Secret of the workers' configuration.
fn secret(name: &str) -> Result<Secret> {
    let metadata = json!({"name": name, "namespace": NAMESPACE});
    Ok(serde_json::from_value(json!({"metadata": metadata}))?)
}

#[tokio::test]
async fn a_worker_follows_its_manifest_and_lists_no_other_secret() -> Result<()> {
    let api = ApiServer::shared().await?;
    apply(api).await?;
    let secrets: Api<Secret> = Api::namespaced(account(api, "worker").await?, NAMESPACE);
    let manifest = ListParams::default().fields("metadata.name=parcelhook-default-manifest");
    let other = ListParams::default().fields("metadata.name=parcelhook-other-manifest");
    assert!(passes(secrets.list(&manifest).await)?);
    assert!(!passes(secrets.list(&other).await)?);
    assert!(!passes(secrets.list(&ListParams::default()).await)?);
    assert!(passes(secrets.get_opt("parcelhook-default-shard-0").await)?);
    let written = secret("parcelhook-default-shard-0")?;
    assert!(!passes(
        secrets.create(&PostParams::default(), &written).await
    )?);
    Ok(())
}

#[tokio::test]
async fn the_operator_changes_the_manifest_and_its_lease_and_nothing_else_that_is_there()
-> Result<()> {
    let api = ApiServer::shared().await?;
    apply(api).await?;
    let client = account(api, "operator").await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let create = PostParams::default();
    for (name, replaced) in [
        ("parcelhook-default-manifest", true),
        ("kafka-password", false),
    ] {
        let written = secrets.create(&create, &secret(name)?).await?;
        let answer = secrets.replace(name, &create, &written).await;
        assert_eq!(passes(answer)?, replaced, "{name}");
        secrets.delete(name, &DeleteParams::default()).await?;
    }
    let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
    let lease = |name: &str| serde_json::from_value::<Lease>(json!({"metadata": {"name": name}}));
    for (name, read) in [
        ("parcelhook-default-operator", true),
        ("somebody-else", false),
    ] {
        leases.create(&create, &lease(name)?).await?;
        assert_eq!(passes(leases.get(name).await)?, read, "{name}");
    }
    Ok(())
}
