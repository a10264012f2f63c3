//! An operator and workers beside a real API server and real Kafka, each with a token of its own service
//! account and no right that it does not need.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use parcelhook_env::{
    directories,
    kafka::{Access, Kafka},
    kubernetes::{self, Proxy},
    process::{Launch, Process},
    worker::Settings,
};
use serde_json::{Value, json};

use super::Home;
use crate::{
    manifest::Manifest,
    site::{SOON, WORKER},
};

/// The executable under test.
const OPERATOR: &str = env!("CARGO_BIN_EXE_operator-under-test");

/// See the module. One namespace has everything: the targets, the configuration and the accounts.
pub(super) struct Release {
    pub(super) home: Home,
    pub(super) kafka: &'static Kafka,
    files: PathBuf,
}

impl Release {
    /// A namespace with the accounts. Nothing runs yet.
    pub(super) async fn new(purpose: &str) -> Result<Self> {
        let release = Self {
            home: Home::new(purpose).await?,
            kafka: Kafka::shared().await?,
            files: directories::fresh(purpose)?,
        };
        release.account("operator", &operator_rules()).await?;
        release.account("worker", &worker_rules()).await?;
        Ok(release)
    }

    /// Applies a target.
    pub(super) async fn apply(&self, target: &Manifest) -> Result<()> {
        self.apply_text(&target.file(), &target.text()).await
    }

    /// Starts an operator, and waits until it listens.
    pub(super) async fn operator(&self) -> Result<Process> {
        self.operator_with(&[]).await
    }

    /// The same with more flags.
    pub(super) async fn operator_with(&self, flags: &[&str]) -> Result<Process> {
        self.operator_at(Access::Plaintext, flags).await
    }

    /// The same at another of Kafka's listeners.
    pub(super) async fn operator_at(&self, access: Access, flags: &[&str]) -> Result<Process> {
        let namespace = &self.home.namespace;
        let process = Launch::new("operator", OPERATOR)
            .env("KUBECONFIG", self.kubeconfig("operator").await?)
            .args(["--namespace", namespace, "--watch-namespaces", namespace])
            .args(["--installation", namespace, "--admin-listen", "127.0.0.1:0"])
            .args(["--egress-allow", "127.0.0.0/8"])
            .args(["--bootstrap-servers", &self.kafka.bootstrap(access)])
            .args(flags)
            .start()?;
        process.says("admin listening", SOON).await?;
        Ok(process)
    }

    /// The settings of a worker.
    pub(super) async fn worker(&self) -> Result<Settings> {
        self.worker_by(&self.kubeconfig("worker").await?)
    }

    /// The settings of a worker that comes to the API server by way of a proxy.
    pub(super) async fn worker_through(&self, proxy: &Proxy) -> Result<Settings> {
        let access = self.access("worker").await?.through(proxy);
        self.worker_by(&access.kubeconfig()?)
    }

    fn worker_by(&self, kubeconfig: &Path) -> Result<Settings> {
        let namespace = &self.home.namespace;
        let place = (namespace.as_str(), kubeconfig);
        let settings = Settings::in_kubernetes(WORKER, &self.brokers(), "default", place);
        Ok(settings.flag("--installation", namespace))
    }

    /// One field of a target, as `kubectl` shows it.
    pub(super) async fn field(&self, target: &str, path: &str) -> Result<String> {
        let form = format!("jsonpath={{{path}}}");
        let get = ["get", "deliverytarget", target, "-o", &form];
        self.home.kubectl(&get).await
    }

    fn brokers(&self) -> String {
        self.kafka.bootstrap(Access::Plaintext)
    }

    async fn kubeconfig(&self, account: &str) -> Result<PathBuf> {
        self.access(account).await?.kubeconfig()
    }

    async fn access(&self, account: &str) -> Result<kubernetes::Access> {
        let api = self.home.api;
        api.service_account(&self.home.namespace, account).await
    }

    /// A service account with these rights in the namespace.
    async fn account(&self, name: &str, rules: &Value) -> Result<()> {
        let metadata = json!({"name": name});
        let rbac = "rbac.authorization.k8s.io";
        let version = format!("{rbac}/v1");
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name}],
            },
        ]});
        let file = format!("account-{name}.json");
        self.apply_text(&file, &objects.to_string()).await
    }

    async fn apply_text(&self, file: &str, text: &str) -> Result<()> {
        let path = self.files.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        let path = path.display().to_string();
        self.home.kubectl(&["apply", "-f", &path]).await?;
        Ok(())
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn operator_rules() -> Value {
    json!([
        rule(
            "parcelhook.dev",
            &["deliverytargets"],
            &["get", "list", "watch"]
        ),
        rule("parcelhook.dev", &["deliverytargets/status"], &["patch"]),
        rule(
            "",
            &["secrets"],
            &["get", "list", "watch", "create", "update", "delete"]
        ),
        rule(
            "coordination.k8s.io",
            &["leases"],
            &["get", "create", "update"]
        ),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ])
}

fn worker_rules() -> Value {
    json!([rule("", &["secrets"], &["get", "list", "watch"])])
}
