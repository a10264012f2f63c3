//! The command line, from arguments to exit code: what is started, and how it ends.
//!
//! Owns signals and the order of the end: the controller stops to write first, then the Lease is given
//! away, so that the next leader finds nobody writing.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::Parser as _;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt as _, StreamExt as _};
use parcelhook_crds::egress;
use parcelhook_kafka::connection::Kafka;
use parcelhook_kafka::topics::Names;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::admin::Admin;
use crate::cluster::{self, Cluster};
use crate::controller::{Around, Controller, Input};
use crate::grants::GrantsFile;
use crate::leader;
use crate::metrics::Metrics;
use crate::policy::{Grants, Policy};
use crate::settings::{LogFormat, Settings};
use crate::tail::{Place, Tail};
use crate::topics;

/// Inputs that wait for the controller. Whoever brings more waits, too: a watch, or the tail.
const INPUTS: usize = 1_024;

/// Exit code of a wrong configuration.
const CONFIGURATION: u8 = 2;

/// The operator's `main`.
pub fn main() -> ExitCode {
    let settings = Settings::parse();
    let prepared = logs(&settings).and_then(|()| Prepared::new(&settings));
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return complain(&error, CONFIGURATION),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = runtime
        .context("no runtime could be made")
        .and_then(|runtime| runtime.block_on(run(&settings, prepared)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, 1),
    }
}

/// What was read and checked before anything starts.
struct Prepared {
    policy: Policy,
    grants: Option<GrantsFile>,
    kafka: Kafka,
}

impl Prepared {
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        let (file, grants) = match &settings.grants {
            None => (None, Grants::everything_in(&settings.namespace)),
            Some(path) => {
                let (file, grants) = GrantsFile::open(path)?;
                (Some(file), grants)
            }
        };
        let egress = egress::Policy::new(settings.egress_allow.clone());
        Ok(Self {
            policy: Policy::new(grants, egress, &settings.prefix),
            grants: file,
            kafka: settings.kafka.check()?,
        })
    }
}

async fn run(settings: &Settings, prepared: Prepared) -> anyhow::Result<()> {
    // Two clients of this process use rustls, and both go by its default.
    let provider = rustls::crypto::ring::default_provider();
    let _ = provider.install_default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut operator = Operator::start(settings, prepared).await?;
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = operator.tasks.join_next() => ended,
    };
    tracing::info!("ending");
    operator.stop().await;
    match ended {
        None => Ok(()),
        Some(Ok(task)) => anyhow::bail!("the task `{task}` ended by itself"),
        Some(Err(error)) => Err(error).context("a task ended by itself"),
    }
}

/// Everything that runs.
struct Operator {
    /// Each returns its name when it ends.
    tasks: JoinSet<&'static str>,
    stop: watch::Sender<bool>,
    tail_stop: Arc<AtomicBool>,
}

impl Operator {
    async fn start(settings: &Settings, prepared: Prepared) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let admin = Admin::bind(settings.admin_listen).await?;
        tracing::info!(address = %admin.address(), "admin listening");
        let identity = format!("{}-{:08x}", settings.identity, fastrand::u32(..));
        let cluster = connect(settings, &identity).await?;
        let (inputs, taken) = mpsc::channel(INPUTS);
        let kafka = &prepared.kafka;
        let place = place(settings, kafka.properties_of("tail"));
        let tail = Tail::new(place, inputs.clone(), metrics.clone())?;
        let client = kafka.properties_of("topics");
        let own_topics =
            topics::Watch::new(&client, &settings.prefix, inputs.clone(), metrics.clone())?;
        let grants = prepared.grants.map(|file| {
            let (policy, metrics) = (prepared.policy.clone(), metrics.clone());
            file.follow(policy, inputs.clone(), metrics)
        });
        let around = Around {
            cluster: cluster.clone(),
            policy: Arc::new(prepared.policy),
            namespaces: settings.watch_namespaces.clone().into(),
            group: settings.consumer_group(),
            status_writes: (settings.status_rate, settings.status_burst),
            metrics: metrics.clone(),
        };
        let mut operator = Self {
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
            tail_stop: Arc::default(),
        };
        operator.watch("watches", watch_everything(settings, &cluster, inputs));
        operator.watch("topics", own_topics.run());
        if let Some(grants) = grants {
            operator.watch("grants", grants);
        }
        operator.lead(cluster, identity, around, taken);
        operator.serve(admin, metrics);
        operator.listen(tail);
        Ok(operator)
    }

    /// Resolves when the operator is to end.
    fn stopping(&self) -> Shared<BoxFuture<'static, ()>> {
        let mut stop = self.stop.subscribe();
        // An error says that nobody can stop any more, which is a stop, too.
        async move { drop(stop.wait_for(|stop| *stop).await) }
            .boxed()
            .shared()
    }

    /// What looks at something, again and again.
    fn watch(&mut self, name: &'static str, watch: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stopping();
        self.tasks.spawn(async move {
            tokio::select! {
                () = watch => {}
                () = stop => {}
            }
            name
        });
    }

    /// The controller and the election. The Lease is given away when the controller has stopped to write.
    fn lead(
        &mut self,
        cluster: Cluster,
        identity: String,
        around: Around,
        inputs: mpsc::Receiver<Input>,
    ) {
        let (leads, leading) = watch::channel(None);
        let (writing, mut written) = watch::channel(());
        let controller = Controller::new(around, leading);
        let stop = self.stopping();
        self.tasks.spawn(async move {
            controller.run(inputs, stop).await;
            drop(writing);
            "controller"
        });
        self.tasks.spawn(async move {
            let silent = async move { while written.changed().await.is_ok() {} };
            leader::run(cluster, identity, leads, silent).await;
            "election"
        });
    }

    fn serve(&mut self, admin: Admin, metrics: Arc<Metrics>) {
        let served = admin.serve(metrics, self.stopping());
        self.tasks.spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the admin port failed");
            }
            "admin"
        });
    }

    fn listen(&mut self, tail: Tail) {
        let stop = self.tail_stop.clone();
        self.tasks.spawn_blocking(move || {
            tail.run(&stop);
            "tail"
        });
    }

    async fn stop(mut self) {
        self.stop.send_replace(true);
        self.tail_stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn connect(settings: &Settings, identity: &str) -> anyhow::Result<Cluster> {
    let mut config = kube::Config::infer()
        .await
        .context("the API server cannot be found; set KUBECONFIG, or run in a pod")?;
    // Whoever asks tries again by itself, with a deadline.
    config.default_retry = false;
    let client = kube::Client::try_from(config).context("the client cannot be made")?;
    let group = (settings.worker_group.as_str(), settings.namespace.as_str());
    Ok(Cluster::new(client, group, &settings.deployment, identity))
}

/// Hands on what the watches tell, until nobody listens.
fn watch_everything(
    settings: &Settings,
    cluster: &Cluster,
    inputs: mpsc::Sender<Input>,
) -> impl Future<Output = ()> + Send + 'static {
    let namespaces = &settings.watch_namespaces;
    let targets = cluster::watch_targets(cluster, namespaces)
        .map(|(scope, event)| Input::Target(scope, Box::new(event)));
    let secrets =
        cluster::watch_secrets(cluster, namespaces).map(|(scope, seen)| Input::Secret(scope, seen));
    let mut all = futures::stream::select(targets, secrets);
    async move {
        while let Some(input) = all.next().await {
            if inputs.send(input).await.is_err() {
                return;
            }
        }
    }
}

fn place(settings: &Settings, client: Vec<(String, String)>) -> Place {
    let names = Names::new(&settings.prefix);
    Place {
        client,
        group: settings.consumer_group(),
        lanes: names.lanes(),
        reports: names.reports(),
    }
}

fn logs(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(&settings.log_level)
        .context("--log-level is no filter; use a level such as `info`")?;
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = match settings.log_format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => layer.boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .context("logging was started twice in one process")
}

/// Says on standard error why the process ends. Logs may not have begun.
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    // Nobody is left to hear that standard error is closed.
    let _ = writeln!(io::stderr(), "parcelhook-operator: {error:#}");
    ExitCode::from(code)
}
