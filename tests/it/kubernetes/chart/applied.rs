//! A real API server takes what is rendered: without a warning, under the strictest standard for pods,
//! and as Helm itself installs it.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::PostParams};
use parcelhook_env::{
    directories,
    kubernetes::{ApiServer, Kubectl},
};
use serde_json::{Value, json};

use super::{NAMESPACE, Rendered, chart, helm, values, written};

/// A kind that is there only with the Prometheus operator.
const FOREIGN: &str = "kind: PodMonitor\n";

/// Namespaces that values name.
const TEAMS: [&str; 2] = ["team-a", "team-b"];

/// Makes the namespaces, all of them for restricted pods only.
pub(super) async fn namespaces(kubectl: &Kubectl, directory: &Path) -> Result<()> {
    let standard = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    let labels = ["enforce", "warn", "audit"].map(|mode| (standard(mode), "restricted".into()));
    let labels: serde_json::Map<String, Value> = labels.into_iter().collect();
    let items = TEAMS.into_iter().chain([NAMESPACE]).map(|name| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()});
    let file = written(directory, "namespaces.json", &list.to_string())?;
    let file = file.display().to_string();
    kubectl.ok(["apply", "--server-side", "-f", &file]).await?;
    Ok(())
}

#[tokio::test]
async fn every_set_is_taken_without_a_warning() -> Result<()> {
    let directory = directories::fresh("dry-run")?;
    let kubectl = ApiServer::shared().await?.admin().kubectl().await?;
    namespaces(&kubectl, &directory).await?;
    for rendered in Rendered::all().await? {
        let documents = rendered.text.split_inclusive("\n---\n");
        let known: String = documents.filter(|text| !text.contains(FOREIGN)).collect();
        let file = written(&directory, &format!("{}.yaml", rendered.set), &known)?;
        let file = file.display().to_string();
        let apply = ["apply", "--server-side", "--dry-run=server", "-f", &file];
        let said = kubectl.ok(apply).await.context(rendered.set)?;
        assert!(
            said.contains("-worker serverside-applied (server dry run)"),
            "{said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn pods_are_admitted_where_only_restricted_ones_are() -> Result<()> {
    let directory = directories::fresh("pods")?;
    let api = ApiServer::shared().await?;
    namespaces(&api.admin().kubectl().await?, &directory).await?;
    let pods: Api<Pod> = Api::namespaced(api.admin().client()?, NAMESPACE);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod = |spec: &Value| {
        let metadata = json!({"name": "pod"});
        serde_json::from_value::<Pod>(json!({"metadata": metadata, "spec": spec}))
    };
    for rendered in Rendered::all().await? {
        for component in ["operator", "worker"] {
            let admitted = pods.create(&dry, &pod(rendered.pod(component)?)?).await;
            admitted.with_context(|| format!("{}: {component}", rendered.set))?;
        }
    }

    // What would be wrong is found out.
    let mut careless = Rendered::all().await?[0].pod("worker")?.clone();
    careless["securityContext"]["runAsNonRoot"] = json!(false);
    let refused = pods.create(&dry, &pod(&careless)?).await;
    let error = refused.err().context("a pod of root is refused")?;
    assert!(error.to_string().contains("runAsNonRoot"), "{error}");
    Ok(())
}

/// Helm against an API server, as a person uses it.
struct Person {
    kubectl: Kubectl,
    kubeconfig: std::path::PathBuf,
    home: std::path::PathBuf,
}

impl Person {
    async fn new(api: &ApiServer) -> Result<Self> {
        let home = directories::fresh("helm-home")?;
        let kubectl = api.admin().kubectl().await?;
        namespaces(&kubectl, &home).await?;
        Ok(Self {
            kubectl,
            kubeconfig: api.admin().kubeconfig()?,
            home,
        })
    }

    /// Runs a command of Helm that is to succeed without a warning, and returns what it said.
    async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let arguments = arguments.iter().chain(&["--namespace", NAMESPACE]);
        let arguments: Vec<String> = arguments.map(|&word| word.to_owned()).collect();
        let environment = [
            ("KUBECONFIG", self.kubeconfig.as_path()),
            ("HELM_CACHE_HOME", &self.home),
            ("HELM_CONFIG_HOME", &self.home),
        ];
        let process = helm(&arguments, &environment).await?;
        let (said, warned) = (process.stdout().text()?, process.stderr().text()?);
        let succeeded = process
            .exit_status()?
            .is_some_and(|status| status.success());
        ensure!(
            succeeded && warned.is_empty(),
            "{arguments:?}: {said}{warned}"
        );
        Ok(said)
    }

    async fn apply(&self, target: &str) -> Result<()> {
        let target = json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": {"name": target},
            "spec": {
                "sources": [{"topic": "orders"}],
                "endpoint": {"url": "https://example.com/hook"},
            },
        });
        let file = written(&self.home, "target.json", &target.to_string())?;
        let file = file.display().to_string();
        let apply = ["apply", "-f", &file, "--namespace", NAMESPACE];
        self.kubectl.ok(apply).await?;
        Ok(())
    }

    async fn get(&self, what: &str) -> Result<String> {
        let get = ["get", what, "--namespace", NAMESPACE, "-o", "name"];
        self.kubectl.ok(get).await
    }
}

#[tokio::test]
async fn helm_installs_upgrades_and_removes_it_and_the_targets_stay() -> Result<()> {
    let api = ApiServer::fresh().await?;
    let person = Person::new(&api).await?;
    let chart = chart().display().to_string();
    let of = |set: &str| values(set).display().to_string();

    let install = ["install", "parcelhook", &chart, "--values", &of("smallest")];
    let said = person.helm(&install).await?;
    let (_, notes) = said.split_once("NOTES:\n").context("notes")?;
    insta::assert_snapshot!("notes", notes);
    person.apply("orders").await?;
    assert_eq!(
        person.get("deployments").await?,
        "deployment.apps/parcelhook-operator\ndeployment.apps/parcelhook-worker\n"
    );

    let upgrade = [
        "upgrade",
        "parcelhook",
        &chart,
        "--values",
        &of("namespaces"),
    ];
    person.helm(&upgrade).await?;
    let binding = "rolebindings.rbac.authorization.k8s.io/parcelhook:parcelhook-operator";
    let there = ["get", binding, "--namespace", TEAMS[0]];
    person.kubectl.ok(there).await?;

    person.helm(&["uninstall", "parcelhook"]).await?;
    assert_eq!(person.get("deployments").await?, "");
    assert_eq!(
        person.get("deliverytargets").await?,
        "deliverytarget.parcelhook.dev/orders\n"
    );
    Ok(())
}
