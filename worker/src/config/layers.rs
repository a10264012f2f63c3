//! Flags, environment and file, laid over each other: a flag wins over the environment, the
//! environment over the file. A list is replaced as a whole; each property of librdkafka is on its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use parcelhook_kafka::given::Given;
use parcelhook_kafka::{Fault, Key, Origin, Sourced};

use super::cli::Options;
use super::settings::{SETTINGS, Setting, Shape};

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "PARCELHOOK_CONFIG";

/// The settings of Kafka, as the operator has them, too.
pub(super) const KAFKA: [(Setting, Key); 9] = [
    (Setting::BootstrapServers, Key::BootstrapServers),
    (Setting::KafkaTlsEnabled, Key::TlsEnabled),
    (Setting::KafkaTlsCa, Key::TlsCa),
    (Setting::KafkaTlsCertificate, Key::TlsCertificate),
    (Setting::KafkaTlsKey, Key::TlsKey),
    (Setting::KafkaSaslMechanism, Key::SaslMechanism),
    (Setting::KafkaSaslUsername, Key::SaslUsername),
    (Setting::KafkaSaslPasswordFile, Key::SaslPasswordFile),
    (Setting::KafkaSaslPassword, Key::SaslPassword),
];

/// The environment variables that belong to the configuration.
///
/// Others that begin with `PARCELHOOK_` are left alone: Kubernetes sets some of its own, such as
/// `PARCELHOOK_SERVICE_HOST`, for a Service named `parcelhook`.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    /// The configuration file that it names.
    pub(super) fn config(&self) -> Option<PathBuf> {
        self.0.get(CONFIG_VARIABLE).map(PathBuf::from)
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .filter(|(name, value)| name.starts_with("PARCELHOOK_") && !value.is_empty())
                .collect(),
        )
    }
}

/// Names only: one of them holds the password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What was given, after precedence, still as text. No `Debug`: it holds the password.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<Setting, Vec<Sourced<String>>>,
    pub(super) properties: BTreeMap<String, Sourced<String>>,
    pub(super) faults: Vec<Fault>,
}

impl Layers {
    /// Lays the environment, and the flags over it, on what the file gave.
    pub(super) fn lay_over(&mut self, environment: &Environment, options: &Options) {
        self.environment(environment);
        self.flags(options);
    }

    /// The one value of a setting, when it was given.
    pub(super) fn one(&self, setting: Setting) -> Option<&Sourced<String>> {
        self.values.get(&setting)?.first()
    }

    /// The values of a list.
    pub(super) fn list(&self, setting: Setting) -> &[Sourced<String>] {
        self.values.get(&setting).map_or(&[], Vec::as_slice)
    }

    /// How Kafka is to be reached.
    pub(super) fn kafka(&self) -> Given {
        let mut given = Given::default();
        for (setting, key) in KAFKA {
            given.set(key, self.list(setting).iter().cloned());
        }
        for (name, value) in &self.properties {
            given.set_property(name.clone(), value.clone());
        }
        given
    }

    /// Sets a setting in place of what a lower layer said. An empty value counts as not given.
    pub(super) fn set(&mut self, setting: Setting, mut values: Vec<Sourced<String>>) {
        values.retain(|given| !given.value.is_empty());
        if !values.is_empty() {
            self.values.insert(setting, values);
        }
    }

    /// The same for a list that is written as one text with commas.
    pub(super) fn set_list(&mut self, setting: Setting, text: &str, origin: &Origin) {
        self.set(setting, split(text, origin));
    }

    fn environment(&mut self, environment: &Environment) {
        for row in &SETTINGS {
            let Some(value) = environment.0.get(row.variable) else {
                continue;
            };
            let origin = Origin::Variable(row.variable);
            let Some(value) = value.to_str() else {
                let fault = Fault::new(row.path, origin, "must be UTF-8");
                self.faults.push(fault);
                continue;
            };
            match row.shape {
                Shape::One | Shape::Switch | Shape::Secret => {
                    let value = value.to_owned();
                    self.set(row.setting, vec![Sourced { value, origin }]);
                }
                Shape::List => self.set_list(row.setting, value, &origin),
                Shape::Pairs => {
                    for line in value.lines().filter(|line| !line.trim().is_empty()) {
                        self.property(line, origin.clone());
                    }
                }
            }
        }
    }

    fn flags(&mut self, options: &Options) {
        for (setting, typed) in &options.given {
            let row = setting.row();
            let origin = Origin::Flag(row.flag);
            match row.shape {
                Shape::One | Shape::Switch | Shape::Secret => {
                    let value = typed.concat();
                    self.set(*setting, vec![Sourced { value, origin }]);
                }
                Shape::List => {
                    let values = typed.iter().flat_map(|text| split(text, &origin));
                    self.set(*setting, values.collect());
                }
                Shape::Pairs => {
                    for text in typed {
                        self.property(text, origin.clone());
                    }
                }
            }
        }
    }

    fn property(&mut self, text: &str, origin: Origin) {
        match Given::property(text, origin) {
            Ok((name, value)) => drop(self.properties.insert(name, value)),
            Err(fault) => self.faults.push(fault),
        }
    }
}

fn split(text: &str, origin: &Origin) -> Vec<Sourced<String>> {
    text.split(',')
        .map(|value| Sourced {
            value: value.trim().to_owned(),
            origin: origin.clone(),
        })
        .collect()
}
