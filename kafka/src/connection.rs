//! How Kafka is reached: the typed settings, and the properties of librdkafka that they become.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use parcelhook_crds::secret::Secret;
use rdkafka::error::KafkaError;

/// Properties with a better default than librdkafka's own, most of them for the worker's reading of source
/// topics. A user may change them.
pub const DEFAULTS: [(&str, &str); 11] = [
    // How long the partitions of a killed worker stand still. The 45 s of newer clients is too long
    // for deliveries; the broker's lower bound is 6 s.
    (SESSION_TIMEOUT, "10000"),
    // Ten chances a session, so that one lost packet is no rebalance. A rebalance is noticed by the
    // answer to a heartbeat, so this is also how long joining takes.
    (HEARTBEAT_INTERVAL, "1000"),
    // How soon new partitions and new topics are seen; the default is five minutes.
    ("topic.metadata.refresh.interval.ms", "10000"),
    // How long a partition whose fetch queue was full waits before it fetches again. The default is
    // a whole second, in which the shards would run dry.
    ("fetch.queue.backoff.ms", "10"),
    // Fetched events that wait for the consumer thread, all partitions together: the larger part of
    // an idle worker's memory. The default is 64 MiB. More than one answer waits only while the worker
    // is busier than the broker.
    ("queued.max.messages.kbytes", "2048"),
    // The same bound counted in events; a worker with small events meets this first.
    ("queued.min.messages", "10000"),
    // One partition's share of a fetch: 64 partitions fill one answer, so that all lanes get work from
    // it instead of a few getting a lot. A larger event is still fetched, alone; so is a larger batch of
    // a producer: smaller values make an answer one batch of one partition, and lanes run dry.
    ("fetch.message.max.bytes", "65536"),
    // A whole answer. Beyond this, answers overshoot the bound of the queue by much.
    ("fetch.max.bytes", "4194304"),
    // A connection that a firewall forgot is found out by the kernel, not by the next request.
    ("socket.keepalive.enable", "true"),
    // How long a broker may hold an empty fetch back. Questions to that broker wait behind it, so a
    // longer time makes taking over slower; the default is 500.
    ("fetch.wait.max.ms", "200"),
    // Brokers close idle connections; that is no news.
    ("log.connection.close", "false"),
];

/// Shown in the brokers' logs, metrics and quotas.
const CLIENT_ID: &str = "client.id";
const SESSION_TIMEOUT: &str = "session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "heartbeat.interval.ms";

/// The connection to Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// How the process calls itself to brokers, unless its properties say otherwise.
    pub program: &'static str,
    /// `host:port` of the brokers to ask first. At least one.
    pub bootstrap_servers: Vec<String>,
    /// TLS; none is plain text.
    pub tls: Option<Tls>,
    /// Name and password; none is no authentication, or that of the TLS certificate.
    pub sasl: Option<Sasl>,
    /// Further properties of librdkafka, known to it and none of them owned by the protocol. Secrets,
    /// because some of them are.
    pub properties: BTreeMap<String, Secret>,
}

/// TLS to the brokers. The files could be read when the configuration was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of the own certificate and its key.
    pub identity: Option<Identity>,
}

/// The certificate that is shown to brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file of the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

/// Name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: SaslMechanism,
    /// The name.
    pub username: String,
    /// The password, UTF-8.
    pub password: Secret,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// Sent as it is.
    Plain,
    /// Salted challenge and response (RFC 5802) with SHA-256.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// Every mechanism.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name in IANA's registry, which Kafka uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Why librdkafka makes no client, without the value that it refuses, which may be a secret.
pub fn refusal(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, message, name, _) = error {
        format!("{name}: {message}")
    } else {
        error.to_string()
    }
}

/// Whether a property is about a member of a group, or about fetching.
fn is_about_consuming(property: &str) -> bool {
    ["group.", "fetch.", "queued."]
        .iter()
        .any(|family| property.starts_with(family))
        || [SESSION_TIMEOUT, HEARTBEAT_INTERVAL, "max.poll.interval.ms"].contains(&property)
}

impl Kafka {
    /// The value of a property that has a default here, in milliseconds.
    fn milliseconds(&self, name: &str) -> Duration {
        let given = self.properties.get(name);
        let given = given.and_then(|value| std::str::from_utf8(value.expose()).ok());
        let default = DEFAULTS.iter().find(|(known, _)| *known == name);
        let texts = given.into_iter().chain(default.map(|(_, value)| *value));
        let millis = texts.filter_map(|text| text.trim().parse().ok()).next();
        Duration::from_millis(millis.unwrap_or(0))
    }

    /// How long the group keeps the partitions of a worker that it hears nothing from.
    pub fn session_timeout(&self) -> Duration {
        self.milliseconds(SESSION_TIMEOUT)
    }

    /// How often the worker tells the group that it lives.
    pub fn heartbeat_interval(&self) -> Duration {
        self.milliseconds(HEARTBEAT_INTERVAL)
    }

    /// What the client of the source topics is made with. Holds secrets: never log it.
    pub fn client_properties(&self, group: &str) -> Vec<(String, String)> {
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            properties.insert(name.to_owned(), value.to_owned());
        };
        set(CLIENT_ID, self.program);
        for (name, value) in DEFAULTS {
            set(name, value);
        }
        for (name, value) in &self.properties {
            set(name, &String::from_utf8_lossy(value.expose()));
        }
        set("group.id", group);
        set("bootstrap.servers", &self.bootstrap_servers.join(","));
        set("security.protocol", self.security_protocol());
        if let Some(tls) = &self.tls {
            if let Some(ca) = &tls.ca {
                set("ssl.ca.location", &ca.to_string_lossy());
            }
            if let Some(identity) = &tls.identity {
                let certificate = identity.certificate.to_string_lossy();
                set("ssl.certificate.location", &certificate);
                set("ssl.key.location", &identity.key.to_string_lossy());
            }
        }
        if let Some(sasl) = &self.sasl {
            set("sasl.mechanism", sasl.mechanism.name());
            set("sasl.username", &sasl.username);
            set(
                "sasl.password",
                &String::from_utf8_lossy(sasl.password.expose()),
            );
        }
        properties.into_iter().collect()
    }

    /// What any other client is made with: the same connection, under a name of its own and
    /// without what only concerns reading the source topics. Holds secrets: never log it.
    pub fn properties_of(&self, part: &str) -> Vec<(String, String)> {
        let properties = self.client_properties("").into_iter();
        let shared = properties.filter(|(name, _)| !is_about_consuming(name));
        shared
            .map(|(name, value)| {
                let own = name == CLIENT_ID;
                let value = if own {
                    format!("{value}-{part}")
                } else {
                    value
                };
                (name, value)
            })
            .collect()
    }

    const fn security_protocol(&self) -> &'static str {
        match (self.tls.is_some(), self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }
}
