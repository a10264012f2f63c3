//! Flags and environment: every setting of the operator, once.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use ipnet::IpNet;
use parcelhook_kafka::value;

mod kafka;

pub use kafka::KafkaOptions;

/// Parcelhook's operator: compiles DeliveryTargets for the workers, and tells how their webhooks fare.
#[derive(Clone, Debug, Parser)]
#[command(name = "parcelhook-operator", version, after_help = EXIT_CODES)]
pub struct Settings {
    /// Worker group whose targets are served. Targets of other groups are nobody's concern here.
    #[arg(long, env = "PARCELHOOK_WORKER_GROUP", default_value = "default", value_parser = value::name)]
    pub worker_group: String,

    /// Namespace of the workers: their configuration and the operators' Lease are written there.
    #[arg(long, env = "PARCELHOOK_NAMESPACE")]
    pub namespace: String,

    /// Namespaces whose targets are served, separated by commas. All, when none is named.
    #[arg(long, env = "PARCELHOOK_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// File of grants: which namespaces may read which topics (`grants: [{namespaces, topics,
    /// deadLetterTopics}]`). Without it the workers' namespace may read all topics, and no other any.
    #[arg(long, env = "PARCELHOOK_GRANTS", value_name = "FILE")]
    pub grants: Option<PathBuf>,

    /// Networks that webhooks may be in although they are not public, separated by commas. The workers
    /// need the same.
    #[arg(
        long,
        env = "PARCELHOOK_EGRESS_ALLOW",
        value_delimiter = ',',
        value_name = "NETWORK"
    )]
    pub egress_allow: Vec<IpNet>,

    /// How Kafka is reached.
    #[command(flatten)]
    pub kafka: KafkaOptions,

    /// Prefix of Parcelhook's own topics, as the workers have it.
    #[arg(long, env = "PARCELHOOK_PREFIX", default_value = "parcelhook", value_parser = value::prefix)]
    pub prefix: String,

    /// Installation, as the workers have it: it tells two on one Kafka apart.
    #[arg(long, env = "PARCELHOOK_INSTALLATION", default_value = "default", value_parser = value::name)]
    pub installation: String,

    /// Name of this process among the operators, usually the pod's. Some random letters are added.
    #[arg(long, env = "PARCELHOOK_IDENTITY", default_value = "operator")]
    pub identity: String,

    /// Name of the operator's Deployment, to which Events are attached that concern no target alone.
    #[arg(
        long,
        env = "PARCELHOOK_DEPLOYMENT",
        default_value = "parcelhook-operator"
    )]
    pub deployment: String,

    /// Statuses that are written each second, over time.
    #[arg(long, env = "PARCELHOOK_STATUS_RATE", default_value_t = crate::status::writes::RATE, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub status_rate: u32,

    /// Statuses that are written at once after a quiet time.
    #[arg(long, env = "PARCELHOOK_STATUS_BURST", default_value_t = crate::status::writes::BURST, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub status_burst: u32,

    /// Where the admin endpoints are served; port 0 is any.
    #[arg(
        long,
        env = "PARCELHOOK_ADMIN_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub admin_listen: SocketAddr,

    /// Form of log lines.
    #[arg(long, env = "PARCELHOOK_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// Which lines are logged: a level, or a filter such as `info,parcelhook_operator=debug`.
    #[arg(long, env = "PARCELHOOK_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

const EXIT_CODES: &str = "\
The API server is found by KUBECONFIG, or as a pod finds it.

Exit codes:
  0  clean: the Lease is released
  1  internal failure; the log says which
  2  wrong usage or configuration";

impl Settings {
    /// The workers' consumer group.
    pub fn consumer_group(&self) -> String {
        format!(
            "{}.{}.{}",
            self.prefix, self.installation, self.worker_group
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use parcelhook_kafka::Key;

    use super::*;

    #[test]
    fn clap_accepts_the_definition_and_every_flag_says_what_it_is() {
        let command = Settings::command();
        command.clone().debug_assert();
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{}", argument.get_id());
            let is_own = ["help", "version"].contains(&argument.get_id().as_str());
            assert!(
                is_own || argument.get_env().is_some(),
                "{}",
                argument.get_id()
            );
        }
    }

    #[test]
    fn the_documentation_names_every_flag_variable_and_default() {
        let document = include_str!("../../../docs/operator.md");
        for argument in Settings::command().get_arguments() {
            let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else {
                continue;
            };
            let flag = format!("`--{}", argument.get_id().as_str().replace('_', "-"));
            assert!(document.contains(&flag), "{flag}");
            let row = document
                .lines()
                .find(|line| line.contains(&format!("`{variable}`")));
            let is_of_kafka = Key::ALL.iter().any(|key| key.variable() == variable);
            assert!(row.is_some() || is_of_kafka, "{variable}");
            for default in argument.get_default_values() {
                let default = format!("| `{}` |", default.display());
                assert!(row.is_some_and(|row| row.contains(&default)), "{default}");
            }
        }
    }

    #[test]
    fn lists_are_separated_by_commas_and_a_bad_group_is_refused() {
        let parse = |more: &[&str]| {
            let base = ["x", "--namespace=parcelhook", "--bootstrap-servers=a:1,b:2"];
            Settings::try_parse_from([&base[..], more].concat())
        };
        let settings = parse(&["--watch-namespaces=a,b", "--egress-allow=10.0.0.0/8"]).unwrap();
        assert_eq!(settings.watch_namespaces, ["a", "b"]);
        let kafka = settings.kafka.check().unwrap();
        assert_eq!(kafka.bootstrap_servers, ["a:1", "b:2"]);
        assert_eq!(settings.consumer_group(), "parcelhook.default.default");
        for group in ["A", "-a", "a_b"] {
            assert!(
                parse(&[&format!("--worker-group={group}")]).is_err(),
                "{group}"
            );
        }
    }

    fn kafka(more: &[&str]) -> Result<Vec<(String, String)>, String> {
        let base = ["x", "--namespace=parcelhook", "--bootstrap-servers=a:1"];
        let settings = Settings::try_parse_from([&base[..], more].concat()).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        let kafka = settings.kafka.check();
        kafka
            .map(|kafka| kafka.properties_of("tail"))
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn kafka_is_reached_as_the_worker_reaches_it() {
        let properties = kafka(&[
            "--kafka-tls-enabled",
            "--kafka-properties=client.rack=a",
            "--kafka-properties",
            "ssl.key.password=hunter2",
        ]);
        let properties = properties.unwrap();
        for (name, value) in [
            ("bootstrap.servers", "a:1"),
            ("client.id", "parcelhook-operator-tail"),
            ("client.rack", "a"),
            ("security.protocol", "ssl"),
            ("ssl.key.password", "hunter2"),
        ] {
            let given = properties.iter().find(|(given, _)| given == name);
            assert_eq!(
                given.map(|(_, value)| value.as_str()),
                Some(value),
                "{name}"
            );
        }
    }

    #[test]
    fn what_the_protocol_owns_and_half_of_sasl_are_refused_all_at_once() {
        let refused = kafka(&[
            "--kafka-properties=acks=hunter2",
            "--kafka-properties=hunter2",
            "--kafka-sasl-username=me",
        ]);
        let refused = refused.unwrap_err();
        for part in [
            "kafka.properties.acks (--kafka-properties): cannot be set here",
            "kafka.properties (--kafka-properties): each property must be written NAME=VALUE",
            "kafka.sasl.mechanism (not set)",
            "set --kafka-sasl-password-file or PARCELHOOK_KAFKA_SASL_PASSWORD_FILE",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
