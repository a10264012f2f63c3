//! Real Apache Kafka: one broker that all tests share, or a cluster of their own.
//!
//! The brokers run in KRaft mode and are reached in every way that clients use ([`Access`]).
//! Topics are never created by accident: `create_topic` makes them, under names that no other test
//! has.

mod access;
mod broker;
mod events;
mod link;
mod offsets;
mod provision;
mod proxy;
mod reading;
mod settings;
mod topics;

pub use access::{Access, ClientFiles, Mechanism, PASSWORD, USER};
pub use broker::Broker;
pub use events::{Event, Produced};
pub use link::Link;
pub use provision::VERSION;
pub use proxy::Api;
pub use reading::Read;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use futures::future::try_join_all;
use rdkafka::{ClientConfig, admin::AdminClient, client::DefaultClientContext};
use tokio::sync::OnceCell;

use self::{
    access::Listener,
    provision::Distribution,
    proxy::{Faults, Proxy},
    settings::{Cluster, Node},
};
use crate::{announce, certificates::Authority, directories, network};

/// Heap of a broker that is alone, MiB.
const LONE_HEAP_MIB: u32 = 512;
/// Heap of each broker of a cluster, MiB.
const CLUSTER_HEAP_MIB: u32 = 384;

/// How long one call to the brokers may take: far more than any takes, also while one is down.
const CALL: Duration = Duration::from_secs(60);
/// One look that is repeated until [`CALL`] has passed; short, so that a broker that is down is
/// soon left for another.
const LOOK: Duration = Duration::from_secs(5);
/// How long a change is asked for while brokers may be away. With all processors busy a minute was not
/// enough for brokers to agree on a leader and to answer.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long our own clients wait for a silent broker before they turn to another: less than
/// [`LOOK`], more than the 3 s after which a silent broker is fenced.
const SILENCE_MS: &str = "4000";

/// Running brokers that form one cluster. They die with the run, or when this is dropped.
pub struct Kafka {
    brokers: Vec<Broker>,
    /// Holds the brokers' files, the data of broker n in [`data_directory`].
    directory: PathBuf,
    addresses: Vec<Address>,
    faults: Faults,
    files: ClientFiles,
    admin: Arc<AdminClient<DefaultClientContext>>,
    producer: events::Producer,
}

/// Where one broker listens: the ports of [`Listener::ALL`], in that order.
struct Address {
    host: Ipv4Addr,
    ports: [u16; Listener::ALL.len()],
    /// In front of [`Listener::Proxied`].
    proxy: Proxy,
}

impl Address {
    /// Chooses ports of a host that no other broker has.
    fn fresh(faults: &Faults) -> Result<Self> {
        let host = network::fresh_host();
        // Before the free ports are chosen, which nobody holds afterwards.
        let front = network::listen(host)?;
        let ports = network::free_ports(host)?;
        let behind = port(Listener::Proxied, ports).context("a port behind the proxy")?;
        Ok(Self {
            host,
            ports,
            proxy: Proxy::start(front, SocketAddr::from((host, behind)), faults)?,
        })
    }

    /// Where clients reach the broker by this listener.
    fn of(&self, wanted: Listener) -> Option<SocketAddr> {
        if wanted == Listener::Proxied {
            return Some(self.proxy.address());
        }
        Some(SocketAddr::from((self.host, port(wanted, self.ports)?)))
    }
}

fn port(wanted: Listener, ports: [u16; Listener::ALL.len()]) -> Option<u16> {
    let mut listeners = Listener::ALL.into_iter().zip(ports);
    let (_, port) = listeners.find(|(listener, _)| *listener == wanted)?;
    Some(port)
}

impl Kafka {
    /// The one broker that all tests of this process share, started when first asked for.
    ///
    /// # Errors
    /// When a tool is missing, Kafka cannot be fetched or does not start. Whoever asks again gets
    /// the same answer: it is not tried twice.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Result<Kafka, String>> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let started = Self::start(1, LONE_HEAP_MIB).await;
                started.map_err(|error| format!("{error:#}"))
            })
            .await
            .as_ref()
            .map_err(|error| anyhow!("start the shared Kafka: {error}"))
    }

    /// A new cluster of `brokers` brokers, for tests that stop or kill them.
    ///
    /// # Errors
    /// As [`Kafka::shared`].
    pub async fn cluster(brokers: usize) -> Result<Self> {
        Self::start(brokers, CLUSTER_HEAP_MIB).await
    }

    async fn start(count: usize, heap_mib: u32) -> Result<Self> {
        let kafka = Distribution::provision().await?;
        let plan = Plan::new(count)?;
        announce(&format!(
            "starting Kafka {VERSION}, {count} broker(s), logs and data in {}",
            plan.directory.parent().unwrap_or(&plan.directory).display()
        ));
        let formatting = plan.settings.iter().zip(1..).map(|(settings, id)| {
            let (kafka, settings) = (kafka.clone(), settings.clone());
            let name = format!("kafka-{id}");
            async move {
                // A second of Java each.
                tokio::task::spawn_blocking(move || Broker::format(name, kafka, settings, heap_mib))
                    .await?
            }
        });
        let brokers = try_join_all(formatting).await?;
        try_join_all(brokers.iter().map(Broker::start)).await?;
        let config = plain(&plan.addresses, &plan.files);
        Ok(Self {
            admin: Arc::new(config.create().context("make an admin client")?),
            producer: events::producer(config)?,
            brokers,
            directory: plan.directory,
            addresses: plan.addresses,
            faults: plan.faults,
            files: plan.files,
        })
    }

    fn another_admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        let config = plain(&self.addresses, &self.files);
        config.create().context("make an admin client")
    }

    /// From now on those requests get lost for which `loses` says yes, of the client that comes by
    /// [`Access::Proxied`] with this `client.id`. Replaces what was said of it before.
    pub fn lose(&self, client: &str, loses: impl FnMut(Api) -> bool + Send + 'static) {
        self.faults.losses.set(client, loses);
    }

    /// From now on no request of this client gets lost.
    pub fn lose_nothing(&self, client: &str) {
        self.faults.losses.end(client);
    }

    /// From now on the link of this client, and of its parts, that come by [`Access::Proxied`] is so;
    /// `None` is well again.
    pub fn link(&self, client: &str, link: Option<Link>) {
        self.faults.links.set(client, link);
    }

    /// `host:port` of every broker for `access`, separated by commas.
    pub fn bootstrap(&self, access: Access) -> String {
        bootstrap(&self.addresses, access.listener())
    }

    /// A client's configuration for `access`: servers, security and credentials.
    pub fn client(&self, access: Access) -> ClientConfig {
        access::client(access, &self.bootstrap(access), &self.files)
    }

    /// The files that a client needs for TLS.
    pub fn files(&self) -> &ClientFiles {
        &self.files
    }

    /// The brokers, in the order of their node ids 1, 2, ….
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .finish_non_exhaustive()
    }
}

/// Properties of a client that needs no proof of who it is.
fn plain(addresses: &[Address], files: &ClientFiles) -> ClientConfig {
    let bootstrap = bootstrap(addresses, Listener::Plaintext);
    let mut config = access::client(Access::Plaintext, &bootstrap, files);
    config.set("socket.timeout.ms", SILENCE_MS);
    config
}

fn bootstrap(addresses: &[Address], listener: Listener) -> String {
    let of_each = addresses.iter().filter_map(|address| address.of(listener));
    let texts: Vec<String> = of_each.map(|address| address.to_string()).collect();
    texts.join(",")
}

/// All that has to be known, and written to files, before the first broker starts.
struct Plan {
    directory: PathBuf,
    addresses: Vec<Address>,
    faults: Faults,
    files: ClientFiles,
    /// One properties file a broker.
    settings: Vec<PathBuf>,
}

impl Plan {
    fn new(count: usize) -> Result<Self> {
        let directory = directories::fresh("kafka-files")?;
        let authority = Authority::new("Kafka of the tests")?;
        let files = ClientFiles {
            ca: authority.write(&directory)?,
            client: authority.client("client")?.write(&directory, "client")?,
        };
        let faults = Faults::default();
        let addresses: Vec<Address> = (0..count)
            .map(|_| Address::fresh(&faults))
            .collect::<Result<_>>()?;
        let controllers = addresses.iter().map(|at| at.of(Listener::Controller));
        let voters: Vec<_> = (1..).zip(controllers.flatten()).collect();
        let cluster = Cluster {
            voters: &voters,
            ca: &files.ca,
        };
        let settings = (1..)
            .zip(&addresses)
            .map(|(id, address)| write_settings(id, address, &cluster, &authority, &directory))
            .collect::<Result<_>>()?;
        Ok(Self {
            directory,
            addresses,
            faults,
            files,
            settings,
        })
    }
}

/// Where the broker with this node id keeps its data.
fn data_directory(directory: &Path, id: usize) -> PathBuf {
    directory.join(format!("data-{id}"))
}

fn write_settings(
    id: usize,
    address: &Address,
    cluster: &Cluster<'_>,
    authority: &Authority,
    directory: &Path,
) -> Result<PathBuf> {
    let identity = authority.server(&[&address.host.to_string()])?;
    let node = Node {
        id,
        host: address.host,
        ports: address.ports,
        proxy: address.proxy.address(),
        data: &data_directory(directory, id),
        identity: &identity.write(directory, &format!("kafka-{id}"))?.both,
    };
    let path = directory.join(format!("kafka-{id}.properties"));
    fs::write(&path, settings::properties(&node, cluster))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
