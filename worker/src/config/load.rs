//! From layers of text to one validated [`Config`], or to everything that is wrong with them.
//!
//! Looks at the directories that the configuration names, so that a path with a typing error is found before
//! anything starts. How Kafka is reached is checked by [`parcelhook_kafka::given`].

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use parcelhook_kafka::connection::Kafka;
use parcelhook_kafka::{Fault, Faults, Origin};

use super::cli::Options;
use super::layers::{Environment, Layers};
use super::settings::Setting;
use super::{Config, Log, PROGRAM, TargetsFrom, file, value};

impl Config {
    /// Loads the configuration from flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(options: &Options, environment: &Environment) -> Result<Self, Faults> {
        let mut layers = Layers::default();
        if let Some(path) = options.config.clone().or_else(|| environment.config()) {
            file::read(&path, &mut layers);
        }
        layers.lay_over(environment, options);
        let faults = std::mem::take(&mut layers.faults);
        let mut checks = Checks { layers, faults };
        let config = checks.config();
        match config {
            Some(config) if checks.faults.is_empty() => Ok(config),
            Some(_) | None => Err(Faults(checks.faults)),
        }
    }
}

/// The layers, and what was found wrong so far. A method that answers `None` for a setting that must
/// have a value has added a fault.
struct Checks {
    layers: Layers,
    faults: Vec<Fault>,
}

impl Checks {
    fn config(&mut self) -> Option<Config> {
        // Each is checked before any is missed, so that all faults are found.
        let kafka = self.kafka();
        let prefix = self.value(Setting::Prefix, value::prefix);
        let installation = self.value(Setting::Installation, value::name);
        let worker_group = self.value(Setting::WorkerGroup, value::name);
        let targets = self.targets();
        let create_topics = self.value(Setting::CreateTopics, value::switch);
        let admin_listen = self.value(Setting::AdminListen, value::listen);
        let egress_allow = self.values(Setting::EgressAllow, value::network);
        let shards = self.value(Setting::Shards, value::shards);
        let byte_budget = self.value(Setting::ByteBudget, value::bytes);
        let shutdown_grace = self.value(Setting::ShutdownGrace, value::grace);
        let log_format = self.value(Setting::LogFormat, value::log_format);
        let log_level = self.value(Setting::LogLevel, value::log_level);
        Some(Config {
            kafka: kafka?,
            prefix: prefix?,
            installation: installation?,
            worker_group: worker_group?,
            targets: targets?,
            create_topics: create_topics?,
            cluster: super::Cluster::Kafka,
            admin_listen: admin_listen?,
            egress_allow,
            shards: shards.unwrap_or_else(cores),
            byte_budget: byte_budget?,
            shutdown_grace: shutdown_grace?,
            log: Log {
                format: log_format?,
                level: log_level?,
            },
        })
    }

    fn targets(&mut self) -> Option<TargetsFrom> {
        let manifests = self.directory(Setting::Targets);
        let secrets = self.directory(Setting::SecretsDir);
        let namespace = self.value(Setting::KubernetesNamespace, value::name);
        let snapshots = self.directory(Setting::SnapshotDir);
        if self.value(Setting::Kubernetes, value::switch)? {
            for setting in [Setting::Targets, Setting::SecretsDir] {
                self.means_nothing(setting, "while kubernetes is true");
            }
            return Some(TargetsFrom::Kubernetes {
                namespace,
                snapshots,
            });
        }
        for setting in [Setting::KubernetesNamespace, Setting::SnapshotDir] {
            self.means_nothing(setting, "without kubernetes");
        }
        let Some(manifests) = manifests else {
            let why = "the worker must know where its targets are, unless --kubernetes is given";
            self.missing(Setting::Targets, why);
            return None;
        };
        Some(TargetsFrom::Directory { manifests, secrets })
    }

    fn kafka(&mut self) -> Option<Kafka> {
        match self.layers.kafka().check(PROGRAM) {
            Ok(kafka) => Some(kafka),
            Err(Faults(faults)) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// The value that was given, or the default.
    fn value<T>(&mut self, setting: Setting, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.layers.one(setting).map(|given| given.value.as_str());
        match parse(given.or(setting.row().default)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(setting, message);
                None
            }
        }
    }

    /// The values of a list that can be used; each that cannot is a fault.
    fn values<T>(&mut self, setting: Setting, parse: fn(&str) -> Result<T, String>) -> Vec<T> {
        let mut values = Vec::new();
        for given in self.layers.list(setting) {
            match parse(&given.value) {
                Ok(value) => values.push(value),
                Err(message) => {
                    let path = setting.row().path;
                    let fault = Fault::new(path, given.origin.clone(), message);
                    self.faults.push(fault);
                }
            }
        }
        values
    }

    /// The path of a directory that can be read.
    fn directory(&mut self, setting: Setting) -> Option<PathBuf> {
        self.path(setting, std::fs::read_dir)
    }

    /// A path that was given; a fault when the probe fails. The path is returned all the same, so
    /// that what is merely unreadable is not called missing too.
    fn path<T>(
        &mut self,
        setting: Setting,
        probe: fn(PathBuf) -> io::Result<T>,
    ) -> Option<PathBuf> {
        let path = PathBuf::from(&self.layers.one(setting)?.value);
        if let Err(error) = probe(path.clone()) {
            self.fault(
                setting,
                format!("{} cannot be read: {error}", path.display()),
            );
        }
        Some(path)
    }

    fn fault(&mut self, setting: Setting, message: impl Into<String>) {
        let origin = match self.layers.one(setting) {
            Some(given) => given.origin.clone(),
            None => Origin::Nowhere,
        };
        self.faults
            .push(Fault::new(setting.row().path, origin, message));
    }

    /// A setting that must not be given beside another.
    fn means_nothing(&mut self, setting: Setting, when: &str) {
        if self.layers.one(setting).is_some() {
            self.fault(setting, format!("means nothing {when}; remove one of them"));
        }
    }

    /// A required setting that was not given. One that was given, and is wrong, is a fault already.
    fn missing(&mut self, setting: Setting, why: &str) {
        if self.layers.one(setting).is_none() {
            let row = setting.row();
            let message = format!("{why}: set --{} or {}", row.flag, row.variable);
            self.fault(setting, message);
        }
    }
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
