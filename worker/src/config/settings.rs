//! The table of settings: every key of the configuration, once.
//!
//! Flags, environment variables, keys of the file, `--help` and the checks of the documentation are
//! all made from this table. Names follow one rule: `kafka.tls.ca` in the file is `--kafka-tls-ca` on
//! the command line and `PARCELHOOK_KAFKA_TLS_CA` in the environment. What a value means, and whether
//! it is valid, is not decided here.

/// A setting. The order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Setting {
    /// `targets`
    Targets,
    /// `secretsDir`
    SecretsDir,
    /// `kubernetes`
    Kubernetes,
    /// `kubernetesNamespace`
    KubernetesNamespace,
    /// `snapshotDir`
    SnapshotDir,
    /// `bootstrapServers`
    BootstrapServers,
    /// `createTopics`
    CreateTopics,
    /// `kafka.tls.enabled`
    KafkaTlsEnabled,
    /// `kafka.tls.ca`
    KafkaTlsCa,
    /// `kafka.tls.certificate`
    KafkaTlsCertificate,
    /// `kafka.tls.key`
    KafkaTlsKey,
    /// `kafka.sasl.mechanism`
    KafkaSaslMechanism,
    /// `kafka.sasl.username`
    KafkaSaslUsername,
    /// `kafka.sasl.passwordFile`
    KafkaSaslPasswordFile,
    /// `kafka.sasl.password`
    KafkaSaslPassword,
    /// `kafka.properties`
    KafkaProperties,
    /// `prefix`
    Prefix,
    /// `installation`
    Installation,
    /// `workerGroup`
    WorkerGroup,
    /// `adminListen`
    AdminListen,
    /// `egressAllow`
    EgressAllow,
    /// `shards`
    Shards,
    /// `byteBudget`
    ByteBudget,
    /// `shutdownGrace`
    ShutdownGrace,
    /// `logFormat`
    LogFormat,
    /// `logLevel`
    LogLevel,
}

impl Setting {
    /// Its row of the table.
    pub(super) fn row(self) -> &'static Row {
        &SETTINGS[self as usize]
    }
}

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    One,
    /// True or false; the bare flag means true.
    Switch,
    /// Values: a YAML list, or separated by commas; the flag may be repeated.
    List,
    /// `name=value` pairs: a YAML map, one a flag, one a line of the variable.
    Pairs,
    /// One value that only the environment may hold: files are copied and flags are seen in `ps`.
    Secret,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) setting: Setting,
    /// Key in the file, dots between levels.
    pub(super) path: &'static str,
    /// Flag without its dashes.
    pub(super) flag: &'static str,
    /// Environment variable.
    pub(super) variable: &'static str,
    /// What stands for the value in `--help`.
    pub(super) value: &'static str,
    pub(super) shape: Shape,
    /// The default, written as a user would write it. None: without a value.
    pub(super) default: Option<&'static str>,
    /// The same for people, when the default is not one fixed text.
    pub(super) default_means: Option<&'static str>,
    pub(super) help: &'static str,
}

/// The columns that most rows share.
const BLANK: Row = Row {
    setting: Setting::Targets,
    path: "",
    flag: "",
    variable: "",
    value: "",
    shape: Shape::One,
    default: None,
    default_means: None,
    help: "",
};

/// Every setting, in the order of `--help`.
pub(super) const SETTINGS: [Row; 26] = [
    Row {
        setting: Setting::Targets,
        path: "targets",
        flag: "targets",
        variable: "PARCELHOOK_TARGETS",
        value: "DIR",
        help: "Directory of DeliveryTarget manifests (*.yaml, *.yml, *.json), watched while the worker runs. Required without --kubernetes",
        ..BLANK
    },
    Row {
        setting: Setting::SecretsDir,
        path: "secretsDir",
        flag: "secrets-dir",
        variable: "PARCELHOOK_SECRETS_DIR",
        value: "DIR",
        help: "Directory of the Secrets that manifests refer to: DIR/<secret name>/<key>, watched like the manifests",
        ..BLANK
    },
    Row {
        setting: Setting::Kubernetes,
        path: "kubernetes",
        flag: "kubernetes",
        variable: "PARCELHOOK_KUBERNETES",
        value: "true|false",
        shape: Shape::Switch,
        default: Some("false"),
        help: "Take the targets from the Secrets that the operator writes, instead of a directory. The API server is found as a pod finds it, or by KUBECONFIG",
        ..BLANK
    },
    Row {
        setting: Setting::KubernetesNamespace,
        path: "kubernetesNamespace",
        flag: "kubernetes-namespace",
        variable: "PARCELHOOK_KUBERNETES_NAMESPACE",
        value: "NAME",
        default_means: Some("that of the service account"),
        help: "Namespace of those Secrets: the operator's --namespace",
        ..BLANK
    },
    Row {
        setting: Setting::SnapshotDir,
        path: "snapshotDir",
        flag: "snapshot-dir",
        variable: "PARCELHOOK_SNAPSHOT_DIR",
        value: "DIR",
        default_means: Some("nothing is kept"),
        help: "Directory, a volume in memory, in which the last configuration from Kubernetes is kept with its secrets: the worker starts from it when the API server does not answer",
        ..BLANK
    },
    Row {
        setting: Setting::BootstrapServers,
        path: "bootstrapServers",
        flag: "bootstrap-servers",
        variable: "PARCELHOOK_BOOTSTRAP_SERVERS",
        value: "HOST:PORT",
        shape: Shape::List,
        help: "Kafka brokers to ask first; more than one, so that one may be away. Required",
        ..BLANK
    },
    Row {
        setting: Setting::CreateTopics,
        path: "createTopics",
        flag: "create-topics",
        variable: "PARCELHOOK_CREATE_TOPICS",
        value: "true|false",
        shape: Shape::Switch,
        default: Some("false"),
        help: "Create topics that the cluster lacks: the worker's own with the settings they need, and those that targets read with the cluster's defaults",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaTlsEnabled,
        path: "kafka.tls.enabled",
        flag: "kafka-tls-enabled",
        variable: "PARCELHOOK_KAFKA_TLS_ENABLED",
        value: "true|false",
        shape: Shape::Switch,
        default_means: Some("true when another kafka.tls key is set"),
        help: "Speak TLS to the brokers and verify their certificates",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaTlsCa,
        path: "kafka.tls.ca",
        flag: "kafka-tls-ca",
        variable: "PARCELHOOK_KAFKA_TLS_CA",
        value: "FILE",
        default_means: Some("the system's authorities"),
        help: "PEM file of the authorities that sign the brokers' certificates",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaTlsCertificate,
        path: "kafka.tls.certificate",
        flag: "kafka-tls-certificate",
        variable: "PARCELHOOK_KAFKA_TLS_CERTIFICATE",
        value: "FILE",
        help: "PEM file of the worker's own certificate and its chain; needs kafka.tls.key",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaTlsKey,
        path: "kafka.tls.key",
        flag: "kafka-tls-key",
        variable: "PARCELHOOK_KAFKA_TLS_KEY",
        value: "FILE",
        help: "PEM file of the private key to kafka.tls.certificate",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaSaslMechanism,
        path: "kafka.sasl.mechanism",
        flag: "kafka-sasl-mechanism",
        variable: "PARCELHOOK_KAFKA_SASL_MECHANISM",
        value: "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
        default_means: Some("no SASL"),
        help: "How the worker authenticates with a name and a password",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaSaslUsername,
        path: "kafka.sasl.username",
        flag: "kafka-sasl-username",
        variable: "PARCELHOOK_KAFKA_SASL_USERNAME",
        value: "NAME",
        help: "The name for SASL",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaSaslPasswordFile,
        path: "kafka.sasl.passwordFile",
        flag: "kafka-sasl-password-file",
        variable: "PARCELHOOK_KAFKA_SASL_PASSWORD_FILE",
        value: "FILE",
        help: "File with the password for SASL; one newline at its end is cut off",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaSaslPassword,
        path: "kafka.sasl.password",
        flag: "kafka-sasl-password",
        variable: "PARCELHOOK_KAFKA_SASL_PASSWORD",
        value: "PASSWORD",
        shape: Shape::Secret,
        help: "The password for SASL, when there is no passwordFile",
        ..BLANK
    },
    Row {
        setting: Setting::KafkaProperties,
        path: "kafka.properties",
        flag: "kafka-properties",
        variable: "PARCELHOOK_KAFKA_PROPERTIES",
        value: "NAME=VALUE",
        shape: Shape::Pairs,
        default_means: Some("none"),
        help: "Any other property of librdkafka, except those that the worker owns. Each property has its own precedence",
        ..BLANK
    },
    Row {
        setting: Setting::Prefix,
        path: "prefix",
        flag: "prefix",
        variable: "PARCELHOOK_PREFIX",
        value: "NAME",
        default: Some("parcelhook"),
        help: "Begins the names of the worker's own topics and of its consumer group",
        ..BLANK
    },
    Row {
        setting: Setting::Installation,
        path: "installation",
        flag: "installation",
        variable: "PARCELHOOK_INSTALLATION",
        value: "NAME",
        default: Some("default"),
        help: "Tells two installations on one Kafka apart. The consumer group is <prefix>.<installation>.<workerGroup>",
        ..BLANK
    },
    Row {
        setting: Setting::WorkerGroup,
        path: "workerGroup",
        flag: "worker-group",
        variable: "PARCELHOOK_WORKER_GROUP",
        value: "NAME",
        default: Some("default"),
        help: "The workers that share one set of targets; only manifests with this spec.workerGroup count",
        ..BLANK
    },
    Row {
        setting: Setting::AdminListen,
        path: "adminListen",
        flag: "admin-listen",
        variable: "PARCELHOOK_ADMIN_LISTEN",
        value: "ADDRESS:PORT",
        default: Some("127.0.0.1:8080"),
        help: "Where /livez, /readyz, /metrics and /targets are served. Port 0 takes any free one",
        ..BLANK
    },
    Row {
        setting: Setting::EgressAllow,
        path: "egressAllow",
        flag: "egress-allow",
        variable: "PARCELHOOK_EGRESS_ALLOW",
        value: "CIDR",
        shape: Shape::List,
        default_means: Some("none: loopback, private and link-local addresses are refused"),
        help: "Networks that webhooks may be in although they are not public",
        ..BLANK
    },
    Row {
        setting: Setting::Shards,
        path: "shards",
        flag: "shards",
        variable: "PARCELHOOK_SHARDS",
        value: "NUMBER",
        default_means: Some("one for each core"),
        help: "Threads that deliver, 1 to 256",
        ..BLANK
    },
    Row {
        setting: Setting::ByteBudget,
        path: "byteBudget",
        flag: "byte-budget",
        variable: "PARCELHOOK_BYTE_BUDGET",
        value: "BYTES",
        default: Some("16Mi"),
        help: "Memory for events in flight, 1Mi to 64Gi; when it is spent, partitions pause",
        ..BLANK
    },
    Row {
        setting: Setting::ShutdownGrace,
        path: "shutdownGrace",
        flag: "shutdown-grace",
        variable: "PARCELHOOK_SHUTDOWN_GRACE",
        value: "DURATION",
        default: Some("6s"),
        help: "Whole time for letting go after SIGTERM, the last commit included, 1s to 5m. Stay below what ends the process by force",
        ..BLANK
    },
    Row {
        setting: Setting::LogFormat,
        path: "logFormat",
        flag: "log-format",
        variable: "PARCELHOOK_LOG_FORMAT",
        value: "text|json",
        default: Some("text"),
        help: "How log lines are written",
        ..BLANK
    },
    Row {
        setting: Setting::LogLevel,
        path: "logLevel",
        flag: "log-level",
        variable: "PARCELHOOK_LOG_LEVEL",
        value: "LEVEL",
        default: Some("info"),
        help: "Which lines are written: error, warn, info, debug, trace, or a filter such as info,parcelhook_worker::lane=debug",
        ..BLANK
    },
];
