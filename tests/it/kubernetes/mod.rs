//! The resource on a real API server, and the environment's API server itself.

mod api_server;
mod asked;
mod chart;
mod columns;
mod dead_letters;
mod delivery;
mod explained;
mod faults;
mod grants;
mod old_objects;
mod own_topics;
mod privilege;
mod proxy;
mod published;
mod quiet;
mod release;
mod rights;
mod shown;
mod skipping;
mod soon;
mod story;
mod strange;
mod trio;
mod verdicts;
mod waiting;

#[path = "../../../crds/tests/table/mod.rs"]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod table;

use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};
use kube::Client;
use parcelhook_crds::spec::DeliveryTarget;
use parcelhook_env::{
    eventually,
    kubernetes::{ApiServer, Kubectl},
};
use tokio::sync::OnceCell;

use crate::site::SOON;

/// A namespace of its own on the shared API server, which knows the resource.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) api: &'static ApiServer,
    pub(crate) namespace: String,
    /// As a user who may do everything.
    pub(crate) kubectl: Kubectl,
}

impl Home {
    pub(crate) async fn new(purpose: &str) -> Result<Self> {
        static DEFINED: OnceCell<Result<(), String>> = OnceCell::const_new();
        let api = ApiServer::shared().await?;
        let kubectl = api.admin().kubectl().await?;
        DEFINED
            .get_or_init(|| async {
                let defined = define(&kubectl, &["--server-side"]).await;
                defined.map_err(|error| format!("{error:#}"))
            })
            .await
            .as_ref()
            .map_err(|error| anyhow!("define the resource: {error}"))?;
        Ok(Self {
            api,
            namespace: api.create_namespace(purpose).await?,
            kubectl,
        })
    }

    /// The targets in its namespace, as a user who may do everything.
    pub(crate) fn targets(&self) -> Result<kube::Api<DeliveryTarget>> {
        Ok(kube::Api::namespaced(self.client()?, &self.namespace))
    }

    pub(crate) fn client(&self) -> Result<Client> {
        self.api.admin().client()
    }

    /// Runs a command in its namespace, which is to succeed without a warning.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl
            .ok(arguments.iter().chain(&["--namespace", &self.namespace]))
            .await
    }
}

/// Applies the committed definition without a warning, and waits until targets can be made and
/// explained.
async fn define(kubectl: &Kubectl, how: &[&str]) -> Result<()> {
    let definition = definition();
    let definition = definition.display().to_string();
    let apply = ["apply", "-f", &definition];
    kubectl.ok(apply.iter().chain(how)).await?;
    // What is served, and what is said about it, follow a moment later.
    eventually("the resource", SOON, async || {
        let said = kubectl.run(["get", "deliverytargets"]).await?;
        ensure!(said.success, "{said:?}");
        let said = kubectl.run(["explain", "deliverytarget.spec"]).await?;
        ensure!(said.success && said.stdout.contains("sources"), "{said:?}");
        Ok(())
    })
    .await
}

/// The committed definition.
fn definition() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../crds/generated/deliverytargets.parcelhook.dev.yaml")
}

/// The smallest target of this name.
fn minimal(name: &str) -> Result<DeliveryTarget> {
    Ok(serde_json::from_value(serde_json::json!({
        "apiVersion": parcelhook_crds::API_VERSION,
        "kind": parcelhook_crds::KIND,
        "metadata": {"name": name},
        "spec": {
            "sources": [{"topic": "orders"}],
            "endpoint": {"url": "https://example.com/hook"},
        },
    }))?)
}
