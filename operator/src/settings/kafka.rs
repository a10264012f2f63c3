//! Flags and environment by which Kafka is reached: the worker's, with the same names and the same checks.
//!
//! Collects what was typed; what it means, and whether it is valid, [`Given::check`] decides.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use parcelhook_kafka::connection::Kafka;
use parcelhook_kafka::given::Given;
use parcelhook_kafka::{Fault, Faults, Key, Origin, Sourced};

/// How the operator calls itself to brokers.
const PROGRAM: &str = "parcelhook-operator";

/// What was given. `Debug` shows no value.
#[derive(Clone, Debug, Default)]
pub struct KafkaOptions(Given);

impl KafkaOptions {
    /// The connection.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(&self) -> Result<Kafka, Faults> {
        self.0.clone().check(PROGRAM)
    }
}

impl Args for KafkaOptions {
    fn augment_args(command: Command) -> Command {
        Key::ALL
            .into_iter()
            .filter_map(argument)
            .fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// None for the password, which only the environment may hold.
fn argument(key: Key) -> Option<Arg> {
    let (value, help) = words(key)?;
    let argument = Arg::new(key.flag())
        .long(key.flag())
        .env(key.variable())
        // One of them may hold a secret.
        .hide_env_values(true)
        .value_name(value)
        .help(help);
    Some(match key {
        Key::BootstrapServers => argument.action(ArgAction::Append).value_delimiter(','),
        Key::Properties => argument.action(ArgAction::Append).value_delimiter('\n'),
        Key::TlsEnabled => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Key::TlsCa
        | Key::TlsCertificate
        | Key::TlsKey
        | Key::SaslMechanism
        | Key::SaslUsername
        | Key::SaslPasswordFile
        | Key::SaslPassword => argument,
    })
}

/// What stands for the value in `--help`, and what it is.
fn words(key: Key) -> Option<(&'static str, &'static str)> {
    Some(match key {
        Key::BootstrapServers => (
            "HOST:PORT",
            "Kafka brokers to ask first, separated by commas; more than one, so that one may be away. Required",
        ),
        Key::TlsEnabled => (
            "true|false",
            "Speak TLS to the brokers and verify their certificates. True when another of these is set",
        ),
        Key::TlsCa => (
            "FILE",
            "PEM file of the authorities that sign the brokers' certificates, instead of the system's",
        ),
        Key::TlsCertificate => (
            "FILE",
            "PEM file of the operator's own certificate and its chain; needs --kafka-tls-key",
        ),
        Key::TlsKey => ("FILE", "PEM file of the private key to that certificate"),
        Key::SaslMechanism => (
            "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
            "How the operator authenticates with a name and a password",
        ),
        Key::SaslUsername => ("NAME", "The name for SASL"),
        Key::SaslPasswordFile => (
            "FILE",
            "File with the password for SASL; one newline at its end is cut off [or the password itself in env: PARCELHOOK_KAFKA_SASL_PASSWORD]",
        ),
        Key::SaslPassword => return None,
        Key::Properties => (
            "NAME=VALUE",
            "Any other property of librdkafka, except those that Parcelhook owns; one a flag, one a line of the variable",
        ),
    })
}

impl FromArgMatches for KafkaOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Given::default();
        for key in Key::ALL {
            match key {
                Key::SaslPassword => password(&mut given),
                Key::Properties => {
                    for text in typed(matches, key) {
                        match Given::property(&text.value, text.origin) {
                            Ok((name, value)) => given.set_property(name, value),
                            Err(fault) => given.refuse(fault),
                        }
                    }
                }
                Key::BootstrapServers
                | Key::TlsEnabled
                | Key::TlsCa
                | Key::TlsCertificate
                | Key::TlsKey
                | Key::SaslMechanism
                | Key::SaslUsername
                | Key::SaslPasswordFile => given.set(key, typed(matches, key)),
            }
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What was typed, and where. An empty text counts as not given.
fn typed(matches: &ArgMatches, key: Key) -> Vec<Sourced<String>> {
    let origin = match matches.value_source(key.flag()) {
        Some(ValueSource::EnvVariable) => Origin::Variable(key.variable()),
        Some(_) | None => Origin::Flag(key.flag()),
    };
    let texts = matches.get_many::<String>(key.flag()).into_iter().flatten();
    let texts = texts.map(|text| text.trim().to_owned());
    texts
        .filter(|text| !text.is_empty())
        .map(|value| Sourced {
            value,
            origin: origin.clone(),
        })
        .collect()
}

fn password(given: &mut Given) {
    let key = Key::SaslPassword;
    let origin = Origin::Variable(key.variable());
    match std::env::var_os(key.variable()).map(std::ffi::OsString::into_string) {
        None => {}
        Some(Ok(value)) => given.set(key, [Sourced { value, origin }]),
        Some(Err(_)) => given.refuse(Fault::new(key.path(), origin, "must be UTF-8")),
    }
}
