//! What people do in each of these tests, and the state that it has to end in.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use parcelhook_crds::{compiled::Authentication, config::Entry};
use parcelhook_env::{eventually, kubernetes::Proxy, worker::Worker};
use serde_json::{Value, json};

use super::super::{
    published::{Published, Witness},
    release::Release,
};
use crate::{manifest::Manifest, site::SOON};

/// Where the webhooks would be. Nothing is ever sent.
const WEBHOOKS: &str = "http://127.0.0.9:9";

/// The state in which a run ends in which nothing goes wrong. That run writes it down anew when the tests
/// run with `INSTA_UPDATE=always`.
const END: &str = "it/kubernetes/faults/snapshots/it__kubernetes__faults__course__end.snap";

/// A namespace, its worker, and a proxy between its operators and the API server.
pub(super) struct Course {
    pub(super) release: Release,
    pub(super) proxy: Proxy,
    topic: String,
    published: Published,
    witness: Witness,
    _worker: Worker,
}

impl Course {
    /// Nobody has done anything, and there is no operator.
    pub(super) async fn begin(purpose: &str) -> Result<Self> {
        let release = Release::new(purpose).await?;
        let published = Published::of(&release)?;
        Ok(Self {
            proxy: release.home.api.proxy()?,
            topic: release.kafka.create_topic(purpose, 1, &[]).await?,
            witness: Witness::begin(&published).await?,
            // It is ready when an operator has published something.
            _worker: release.worker().await?.listen().await?,
            published,
            release,
        })
    }

    /// The first half of what people do.
    pub(super) async fn first(&self) -> Result<()> {
        self.secret("token", "first").await?;
        self.put(self.target("plain", "/plain")).await?;
        self.put(self.target("changed", "/old")).await?;
        self.put(self.target("gone", "/gone")).await?;
        self.put(self.target("again", "/once")).await?;
        self.put(self.bearer("rotated", "token")).await?;
        self.put(self.bearer("lacking", "missing")).await
    }

    /// Waits until what was done first has come to workers and statuses.
    pub(super) async fn first_is_run(&self) -> Result<()> {
        for target in ["plain", "changed", "gone", "again", "rotated"] {
            self.release.shows(target, "Ready", "True Ready").await?;
        }
        let lacking = "False SecretNotFound";
        self.release.shows("lacking", "Ready", lacking).await
    }

    /// Whether workers have got what was done first, whatever statuses say.
    pub(super) async fn first_is_published(&self) -> Result<bool> {
        let Some(manifest) = self.published.manifest().await? else {
            return Ok(false);
        };
        Ok(!self.published.entries(&manifest).await?.is_empty())
    }

    /// The second half.
    pub(super) async fn second(&self) -> Result<()> {
        for target in ["gone", "again"] {
            let params = DeleteParams::default();
            self.release.targets.delete(target, &params).await?;
        }
        self.put(self.target("again", "/twice")).await?;
        self.put(self.target("changed", "/new")).await?;
        self.secret("token", "second").await?;
        self.secret("missing", "found").await?;
        self.put(self.target("late", "/late")).await
    }

    /// Waits until all that was done has come to workers and statuses.
    pub(super) async fn second_is_run(&self) -> Result<()> {
        for target in ["plain", "changed", "again", "rotated", "lacking", "late"] {
            self.release.shows(target, "Ready", "True Ready").await?;
            let idle = "Unknown NoTraffic";
            self.release.shows(target, "Available", idle).await?;
        }
        Ok(())
    }

    /// Waits until the state is the one in which a run without faults ends. Nothing went backwards on
    /// the way.
    pub(super) async fn ends_as_without_faults(&self) -> Result<()> {
        let end = end()?;
        eventually("the state of a run without faults", SOON, async || {
            let state = self.state().await?;
            ensure!(state.trim() == end, "{state}");
            Ok(())
        })
        .await?;
        self.witness.saw_no_step_back().await
    }

    /// Whether that state is reached.
    pub(super) async fn is_at_the_end(&self) -> Result<bool> {
        let state = self.state().await.unwrap_or_default();
        Ok(state.trim() == end()?)
    }

    /// What statuses say, and what workers are to run.
    pub(super) async fn state(&self) -> Result<String> {
        let manifest = self.published.manifest().await?.context("no manifest")?;
        let entries = self.published.entries(&manifest).await?;
        let list = self.release.targets.list(&Default::default()).await?;
        let mut state = String::new();
        for object in list.items {
            let object = serde_json::to_value(object)?;
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            let entry = entries.get(&uid.parse()?);
            write!(state, "{}", told(&object, entry)?)?;
        }
        let (run, ended) = (entries.len(), manifest.deleted.len());
        writeln!(state, "workers run {run}, {ended} have ended")?;
        Ok(state)
    }

    pub(super) fn target(&self, name: &str, path: &str) -> Manifest {
        Manifest::new(name, &self.topic, &format!("{WEBHOOKS}{path}"))
    }

    fn bearer(&self, name: &str, secret: &str) -> Manifest {
        let bearer = json!({"tokenSecretRef": {"name": secret, "key": "token"}});
        self.target(name, "/bearer").with(
            "authentication",
            json!({"type": "Bearer", "bearer": bearer}),
        )
    }

    /// As `kubectl apply --server-side`.
    pub(super) async fn put(&self, target: Manifest) -> Result<()> {
        let object: Value = serde_json::from_str(&target.text())?;
        let name = object["metadata"]["name"].as_str().context("no name")?;
        let params = PatchParams::apply("person");
        let patch = Patch::Apply(&object);
        self.release.targets.patch(name, &params, &patch).await?;
        Ok(())
    }

    async fn secret(&self, name: &str, token: &str) -> Result<()> {
        self.release.secret(name, "token", token).await
    }
}

fn end() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(END);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (_, end) = text.rsplit_once("---\n").context("no snapshot")?;
    Ok(end.trim().to_owned())
}

/// One target.
fn told(object: &Value, entry: Option<&Entry>) -> Result<String> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let mut told = format!(
        "{}: {} {}, generation {} of {}\n",
        text(&metadata["name"]),
        text(&status["state"]),
        text(&status["reason"]),
        status["observedGeneration"],
        metadata["generation"],
    );
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|field| text(&condition[field]));
        let generation = &condition["observedGeneration"];
        writeln!(told, "  {kind} ({generation}) {status} {reason}: {message}")?;
    }
    match entry {
        None => told += "  workers do not run it\n",
        Some(entry) => {
            let (generation, target) = (entry.generation, &entry.target);
            let url = &target.endpoint.shown_url;
            write!(told, "  workers run generation {generation}: {url}")?;
            if let Some(Authentication::Bearer(token)) = &target.authentication {
                write!(told, ", token {}", String::from_utf8_lossy(token.expose()))?;
            }
            told += if entry.held { ", held\n" } else { "\n" };
        }
    }
    Ok(told)
}

#[tokio::test]
async fn a_run_in_which_nothing_goes_wrong() -> Result<()> {
    let course = Course::begin("no-fault").await?;
    let _operator = course.release.operator().await?;
    course.first().await?;
    course.first_is_run().await?;
    course.second().await?;
    course.second_is_run().await?;
    eventually("the new token", SOON, async || {
        let state = course.state().await?;
        ensure!(state.contains("token second"), "{state}");
        ensure!(state.contains("2 have ended"), "{state}");
        Ok(())
    })
    .await?;
    insta::assert_snapshot!("end", course.state().await?);
    course.ends_as_without_faults().await
}
