//! The chart: what it renders for several sets of values, and that this is what an API server takes and
//! the programs understand. Nothing here runs in a pod; there are no nodes.

mod applied;
mod closed;
mod commands;
mod images;
mod rendered;
mod rights;
mod schema;
mod schemas;
mod told;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use parcelhook_env::{
    kubernetes::Program,
    process::{Launch, Process},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::site::SOON;

/// The namespace that everything is rendered for.
const NAMESPACE: &str = "parcelhook";

/// The sets of values, each a file with the reason for it.
const SETS: [&str; 7] = [
    "smallest",
    "public-tls",
    "private-tls",
    "namespaces",
    "bare",
    "autoscaled",
    "everything",
];

/// What the chart makes of one set of values.
#[derive(Debug)]
struct Rendered {
    set: &'static str,
    text: String,
    objects: Vec<Value>,
}

impl Rendered {
    /// Of every set; rendered once.
    async fn all() -> Result<&'static [Self]> {
        static ALL: OnceCell<Result<Vec<Rendered>, String>> = OnceCell::const_new();
        let all = ALL.get_or_init(|| async {
            let mut all = Vec::new();
            for set in SETS {
                let rendered = Self::of(set).await;
                all.push(rendered.map_err(|error| format!("{set}: {error:#}"))?);
            }
            Ok(all)
        });
        let all = all.await.as_ref();
        Ok(all.map_err(|error| anyhow!("{error}"))?)
    }

    async fn of(set: &'static str) -> Result<Self> {
        let values = values(set);
        let arguments = ["--values", &values.display().to_string()].map(str::to_owned);
        let text = template(&arguments).await?;
        let objects = serde_saphyr::from_multiple(&text).context("read what was rendered")?;
        Ok(Self { set, text, objects })
    }

    /// Its objects of a kind.
    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let objects = self.objects.iter();
        objects.filter(move |object| object["kind"] == kind)
    }

    /// The one container of a component.
    fn container(&self, component: &str) -> Result<&Value> {
        let container = &self.pod(component)?["containers"][0];
        ensure!(container["name"] == component, "{container}");
        Ok(container)
    }

    /// The spec of a component's pods.
    fn pod(&self, component: &str) -> Result<&Value> {
        let deployment = self.of_kind("Deployment").find(|deployment| {
            deployment["metadata"]["labels"]["app.kubernetes.io/component"] == component
        });
        let deployment = deployment.with_context(|| format!("{}: no {component}", self.set))?;
        Ok(&deployment["spec"]["template"]["spec"])
    }
}

fn chart() -> &'static Path {
    static CHART: OnceLock<PathBuf> = OnceLock::new();
    CHART.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/parcelhook"))
}

/// The file of a set of values.
fn values(set: &str) -> PathBuf {
    let values = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/kubernetes/chart/values");
    values.join(format!("{set}.yaml"))
}

/// Runs Helm to its end, whatever that is.
async fn helm(arguments: &[String], environment: &[(&str, &Path)]) -> Result<Process> {
    let program = Program::Helm.provision().await?;
    let launch = Launch::new("helm", program).args(arguments);
    let process = environment
        .iter()
        .fold(launch, |launch, (name, value)| launch.env(name, *value))
        .start()?;
    process.ended(SOON).await?;
    Ok(process)
}

/// What Helm says against values that it is to refuse.
async fn refusal(arguments: &[String]) -> Result<String> {
    let process = helm(&template_of(arguments), &[]).await?;
    let succeeded = process
        .exit_status()?
        .is_some_and(|status| status.success());
    ensure!(!succeeded, "{arguments:?}: {}", process.stdout().text()?);
    process.stderr().text()
}

/// What the chart renders. Neither an error nor a warning is to be told.
async fn template(arguments: &[String]) -> Result<String> {
    let process = helm(&template_of(arguments), &[]).await?;
    let said = process.stderr().text()?;
    ensure!(said.is_empty(), "{arguments:?}: {said}");
    process.stdout().text()
}

fn template_of(arguments: &[String]) -> Vec<String> {
    let chart = chart().display().to_string();
    let template = ["template", "parcelhook", &chart, "--namespace", NAMESPACE];
    let template = template.map(str::to_owned);
    template.iter().chain(arguments).cloned().collect()
}

/// Writes a file of a test's own.
fn written(directory: &Path, file: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(file);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
