//! What the operator costs, and how soon a changed resource is live, with many targets: real API server,
//! real operator, one worker that runs them all.
//!
//! One target gets events and is changed; all others are of a topic without events. Statuses are written
//! as fast as the API server takes them, so that the beginning does not last for minutes.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use parcelhook_crds::spec::DeliveryTarget;
use parcelhook_env::{
    clock, eventually,
    kubernetes::ApiServer,
    process::{Launch, Process},
    receiver::Receiver,
};
use serde_json::json;

use super::change::{changes, firsts_of, percentile, while_events_flow};
use super::stage::Stage;
use crate::{
    load::Shape,
    report::{Findings, Report, Target},
};

/// How many targets there are.
const SIZES: [usize; 2] = [1_000, 10_000];

const CHANGES: usize = 30;

/// Between two changes: under changes that do not end the operator publishes less and less often.
const REST: Duration = Duration::from_secs(2);

/// Targets that are made at once.
const AT_ONCE: usize = 16;

/// The committed definition of the resource.
const DEFINITION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crds/generated/deliverytargets.parcelhook.dev.yaml"
);

/// How long the operator may need for a beginning.
const PATIENCE: Duration = Duration::from_secs(600);

/// CPU time in a second below which an operator has nothing to do: it renews its Lease and reads reports.
const IDLE: Duration = Duration::from_millis(40);

/// How many such seconds in a row.
const IDLE_SECONDS: u32 = 5;

/// The target that is changed.
const CHANGED: &str = "changed";

/// A namespace with targets, and who comes to it.
struct Place {
    namespace: String,
    kubeconfig: PathBuf,
    targets: Api<DynamicObject>,
}

/// Both sizes.
pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> Result<()> {
    let api = ApiServer::shared().await?;
    let kubectl = api.admin().kubectl().await?;
    kubectl
        .ok(["apply", "--server-side", "-f", DEFINITION])
        .await?;
    for size in SIZES {
        let findings = with_targets(stage, api, size).await?;
        report.add(findings)?;
    }
    Ok(())
}

async fn with_targets(stage: &Stage<'_>, api: &ApiServer, size: usize) -> Result<Findings> {
    let shape = Shape {
        topics: 2,
        partitions: 1,
        events: 0,
        event_bytes: 0,
    };
    let load = stage.load(shape).await?;
    let [busy, quiet] = load.topics.as_slice() else {
        anyhow::bail!("two topics");
    };
    let receiver = Receiver::builder().compact().start()?;
    let firsts = firsts_of(&receiver);
    let place = Place::new(api).await?;
    place.make(size, busy, quiet, &receiver).await?;

    let first = place.operator(stage)?;
    let worker = stage.worker_in_kubernetes((&place.namespace, &place.kubeconfig));
    let worker = worker.start().await?;
    rests(&first).await?;
    let mut random = fastrand::Rng::with_seed(stage.options.seed);
    let put = async |path: &str| place.change(&receiver.url(path)).await;
    let changes = changes((CHANGES, REST), put, &firsts, &mut random);
    let (_, mut took) = while_events_flow(stage.kafka, busy, shape, changes).await?;
    took.sort_unstable();
    let first_peak = first.usage()?.peak_resident_bytes;
    first.terminate()?;
    first.ended(PATIENCE).await?;

    let second = place.operator(stage)?;
    rests(&second).await?;
    let usage = second.usage()?;
    second.terminate()?;
    second.ended(PATIENCE).await?;
    worker.stop(PATIENCE).await?;
    load.delete(stage.kafka).await?;
    stage.delete_own_topics("parcelhook").await?;

    let about = format!("{size} resources, one changed {CHANGES} times while its events flow");
    let mut findings = Findings::new("operator", about, shape);
    findings.target(Target::told("p50, s", percentile(&took, 0.5)));
    findings.target(Target::at_most("p99, s", percentile(&took, 0.99), 2.0));
    let peak = first_peak.max(usage.peak_resident_bytes) as f64 / f64::from(1 << 20);
    findings.target(Target::at_most("operator, peak memory, MiB", peak, 100.0));
    let again = usage.cpu.as_secs_f64();
    findings.target(Target::at_most(
        "operator started again, CPU s",
        again,
        10.0,
    ));
    Ok(findings)
}

impl Place {
    async fn new(api: &ApiServer) -> Result<Self> {
        let namespace = api.create_namespace("bench").await?;
        let resource = ApiResource::erase::<DeliveryTarget>(&());
        let client = api.admin().client()?;
        Ok(Self {
            targets: Api::namespaced_with(client, &namespace, &resource),
            kubeconfig: api.admin().kubeconfig()?,
            namespace,
        })
    }

    /// Makes so many targets; the first of them gets events.
    async fn make(&self, size: usize, busy: &str, quiet: &str, receiver: &Receiver) -> Result<()> {
        eventually("the resource", PATIENCE, async || {
            self.create(CHANGED, busy, &receiver.url("/0")).await
        })
        .await?;
        let url = receiver.url("/quiet");
        stream::iter(1..size)
            .map(|number| {
                let (name, url) = (format!("target-{number}"), &url);
                async move { self.create(&name, quiet, url).await }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn create(&self, name: &str, topic: &str, url: &str) -> Result<()> {
        let target = serde_json::from_value(json!({
            "apiVersion": parcelhook_crds::API_VERSION,
            "kind": parcelhook_crds::KIND,
            "metadata": { "name": name },
            "spec": { "sources": [{ "topic": topic }], "endpoint": { "url": url } },
        }))?;
        self.targets.create(&PostParams::default(), &target).await?;
        Ok(())
    }

    async fn change(&self, url: &str) -> Result<()> {
        let change = json!({ "spec": { "endpoint": { "url": url } } });
        let (params, change) = (PatchParams::default(), Patch::Merge(&change));
        self.targets.patch(CHANGED, &params, &change).await?;
        Ok(())
    }

    /// Starts an operator: the executable beside this one.
    fn operator(&self, stage: &Stage<'_>) -> Result<Process> {
        let own = std::env::current_exe().context("find this program")?;
        let program = own.with_file_name("operator-under-test");
        ensure!(program.exists(), "there is no {}", program.display());
        let namespace = &self.namespace;
        Launch::new("operator", program)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(["--namespace", namespace, "--watch-namespaces", namespace])
            .args(["--installation", namespace, "--admin-listen", "127.0.0.1:0"])
            .args(["--egress-allow", "127.0.0.0/8"])
            .args(["--bootstrap-servers", stage.bootstrap()])
            .args(["--status-rate", "1000", "--status-burst", "10000"])
            .start()
    }
}

/// Waits until an operator has had nothing to do for a while.
async fn rests(operator: &Process) -> Result<()> {
    let deadline = clock::now() + PATIENCE;
    let (mut before, mut idle) = (Duration::ZERO, 0);
    while idle < IDLE_SECONDS {
        ensure!(clock::now() < deadline, "it never rests");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = operator.usage()?.cpu;
        idle = if now.saturating_sub(before) < IDLE {
            idle + 1
        } else {
            0
        };
        before = now;
    }
    Ok(())
}
