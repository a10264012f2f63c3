//! An operator and workers beside a real API server and real Kafka, each with a token of its own service
//! account and no right that it does not need.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
};
use parcelhook_crds::spec::DeliveryTarget;
use parcelhook_env::{
    directories, eventually,
    kafka::{Access, Kafka},
    kubernetes::{self, Proxy},
    process::{Launch, Process},
    worker::Settings,
};
use serde_json::{Value, json};

use super::{
    Home,
    rights::{Place, Rights},
};
use crate::{
    manifest::Manifest,
    site::{SOON, WORKER},
};

/// The executable under test.
const OPERATOR: &str = env!("CARGO_BIN_EXE_operator-under-test");

/// See the module.
pub(super) struct Release {
    /// The namespace of the targets.
    pub(super) home: Home,
    /// The namespace of the configuration and of the accounts: the same, when nothing else is said.
    pub(super) own: String,
    pub(super) kafka: &'static Kafka,
    /// The targets, whether they can be read or not.
    pub(super) targets: Api<DynamicObject>,
    files: PathBuf,
}

impl Release {
    /// One namespace for everything. Nothing runs yet.
    pub(super) async fn new(purpose: &str) -> Result<Self> {
        let home = Home::new(purpose).await?;
        let own = home.namespace.clone();
        Self::of(home, own).await
    }

    /// The targets in a namespace of their own.
    pub(super) async fn apart(purpose: &str) -> Result<Self> {
        let home = Home::new(purpose).await?;
        let own = home.api.create_namespace("release").await?;
        Self::of(home, own).await
    }

    async fn of(home: Home, own: String) -> Result<Self> {
        let resource = ApiResource::erase::<DeliveryTarget>(&());
        let release = Self {
            targets: Api::namespaced_with(home.client()?, &home.namespace, &resource),
            kafka: Kafka::shared().await?,
            files: directories::fresh(&home.namespace)?,
            home,
            own,
        };
        let rights = Rights::read()?;
        let mut objects = vec![
            account("operator", &release.own),
            account("worker", &release.own),
        ];
        for (account, place, rules) in rights.by_place() {
            objects.extend(release.role(account, place, &json!(rules)));
        }
        release.apply_all(&json!(objects)).await?;
        Ok(release)
    }

    /// Applies a target.
    pub(super) async fn apply(&self, target: &Manifest) -> Result<()> {
        let path = self.write(&target.file(), &target.text())?;
        self.home.kubectl(&["apply", "-f", &path]).await?;
        Ok(())
    }

    /// Applies a Secret of the targets' namespace.
    pub(super) async fn secret(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {key: value},
        });
        let path = self.write("secret.json", &secret.to_string())?;
        self.home.kubectl(&["apply", "-f", &path]).await?;
        Ok(())
    }

    /// Merges a change into a target.
    pub(super) async fn change(&self, target: &str, change: &Value) -> Result<()> {
        let params = PatchParams::default();
        self.targets
            .patch(target, &params, &Patch::Merge(change))
            .await?;
        Ok(())
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
    pub(super) async fn operator_at(&self, kafka: Access, flags: &[&str]) -> Result<Process> {
        let access = self.access("operator").await?;
        self.operator_by(&access, kafka, flags).await
    }

    /// Starts an operator that comes to the API server by way of a proxy, with more flags.
    pub(super) async fn operator_through(&self, proxy: &Proxy, flags: &[&str]) -> Result<Process> {
        let access = self.access("operator").await?.through(proxy);
        self.operator_by(&access, Access::Plaintext, flags).await
    }

    async fn operator_by(
        &self,
        access: &kubernetes::Access,
        kafka: Access,
        flags: &[&str],
    ) -> Result<Process> {
        let (watched, own) = (&self.home.namespace, &self.own);
        let process = Launch::new("operator", OPERATOR)
            .env("KUBECONFIG", access.kubeconfig()?)
            .args(["--namespace", own, "--watch-namespaces", watched])
            .args(["--installation", own, "--admin-listen", "127.0.0.1:0"])
            .args(["--egress-allow", "127.0.0.0/8"])
            .args(["--bootstrap-servers", &self.kafka.bootstrap(kafka)])
            .args(flags)
            .start()?;
        process.says("admin listening", SOON).await?;
        Ok(process)
    }

    /// The settings of a worker.
    pub(super) async fn worker(&self) -> Result<Settings> {
        let access = self.access("worker").await?;
        self.worker_by(&access.kubeconfig()?)
    }

    /// The settings of a worker that comes to the API server by way of a proxy.
    pub(super) async fn worker_through(&self, proxy: &Proxy) -> Result<Settings> {
        let access = self.access("worker").await?.through(proxy);
        self.worker_by(&access.kubeconfig()?)
    }

    fn worker_by(&self, kubeconfig: &Path) -> Result<Settings> {
        let own = &self.own;
        let place = (own.as_str(), kubeconfig);
        let settings = Settings::in_kubernetes(WORKER, &self.brokers(), "default", place);
        Ok(settings.flag("--installation", own))
    }

    /// The workers' consumer group.
    pub(super) fn group(&self) -> String {
        format!("parcelhook.{}.default", self.own)
    }

    /// One field of a target, as `kubectl` shows it.
    pub(super) async fn field(&self, target: &str, path: &str) -> Result<String> {
        let form = format!("jsonpath={{{path}}}");
        let get = ["get", "deliverytarget", target, "-o", &form];
        self.home.kubectl(&get).await
    }

    /// A target as the API server has it.
    pub(super) async fn target(&self, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.targets.get(name).await?)?)
    }

    /// Waits until a target shows this: of a field, named by its JSON pointer, its value (empty when
    /// it is not there); of a condition, named by its type, status and reason.
    pub(super) async fn shows(&self, target: &str, place: &str, wanted: &str) -> Result<()> {
        eventually(&format!("{target}: {place} {wanted}"), SOON, async || {
            let object = self.target(target).await?;
            let shown = shown(&object, place);
            let is_wanted = shown.unwrap_or_default() == wanted;
            ensure!(is_wanted, "{}", object["status"]);
            Ok(())
        })
        .await
    }

    fn brokers(&self) -> String {
        self.kafka.bootstrap(Access::Plaintext)
    }

    async fn access(&self, account: &str) -> Result<kubernetes::Access> {
        self.home.api.service_account(&self.own, account).await
    }

    /// Gives an account these rules in a place, instead of those that it had there.
    pub(super) async fn grant(&self, account: &str, place: Place, rules: &Value) -> Result<()> {
        let objects = self.role(account, place, rules);
        self.apply_all(&json!(objects)).await
    }

    /// Waits until an account may no longer read a Secret of the targets' namespace: what is granted
    /// holds a moment later.
    pub(super) async fn denies_secrets(&self, account: &str) -> Result<()> {
        let client = self.access(account).await?.client()?;
        let secrets: Api<Secret> = Api::namespaced(client, &self.home.namespace);
        eventually("a refusal", SOON, async || {
            let Err(kube::Error::Api(status)) = secrets.get("any").await else {
                bail!("it is read");
            };
            ensure!(status.is_forbidden(), "{status:?}");
            Ok(())
        })
        .await
    }

    fn role(&self, account: &str, place: Place, rules: &Value) -> [Value; 2] {
        let namespace = match place {
            Place::Targets => &self.home.namespace,
            Place::Home => &self.own,
        };
        let name = format!("{account}-{place:?}").to_lowercase();
        let metadata = json!({"name": name, "namespace": namespace});
        let rbac = "rbac.authorization.k8s.io";
        let version = format!("{rbac}/v1");
        [
            json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}),
            json!({
                "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.own}],
            }),
        ]
    }

    /// Applies objects that name their namespaces.
    async fn apply_all(&self, objects: &Value) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let path = self.write("objects.json", &list.to_string())?;
        self.home.kubectl.ok(["apply", "-f", &path]).await?;
        Ok(())
    }

    /// Writes a file of this release, and tells where it is.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<String> {
        let path = self.files.join(file);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

fn account(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    })
}

/// See [`Release::shows`]. A condition of an older generation is none.
fn shown(object: &Value, place: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    if place.starts_with('/') {
        return object.pointer(place).map(text);
    }
    let conditions = object["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|one| one["type"] == place)?;
    let is_new = condition["observedGeneration"] == object["metadata"]["generation"];
    let said = format!(
        "{} {}",
        text(&condition["status"]),
        text(&condition["reason"])
    );
    is_new.then_some(said)
}
