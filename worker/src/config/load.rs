//! From layers of text to one validated [`Config`], or to everything that is wrong with them.
//!
//! Reads what the configuration names — certificates, the password — so that a path with a typing
//! error is found before anything starts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use parcelhook_crds::secret::Secret;

use super::cli::Options;
use super::fault::{Fault, Faults, Origin};
use super::kafka::{Identity, Kafka, Sasl, Tls};
use super::layers::{Environment, Layers};
use super::settings::Setting;
use super::{Config, Log, TargetsFrom, file, owned, value};

/// Largest file of a password: more is not a password but the wrong file.
const MAX_PASSWORD_BYTES: u64 = 4096;

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
        let bootstrap_servers = self.values(Setting::BootstrapServers, value::server);
        let tls = self.tls();
        let sasl = self.sasl();
        let properties = self.properties();
        if bootstrap_servers.is_empty() {
            self.missing(Setting::BootstrapServers, "the worker must know a broker");
            return None;
        }
        let kafka = Kafka {
            bootstrap_servers,
            tls,
            sasl,
            properties,
        };
        // Three missed heartbeats are no lost session: Kafka's own advice.
        if kafka.heartbeat_interval() * 3 > kafka.session_timeout() {
            self.fault(
                Setting::KafkaProperties,
                "heartbeat.interval.ms must be at most a third of session.timeout.ms",
            );
        }
        Some(kafka)
    }

    fn tls(&mut self) -> Option<Tls> {
        let ca = self.file(Setting::KafkaTlsCa);
        let certificate = self.file(Setting::KafkaTlsCertificate);
        let key = self.file(Setting::KafkaTlsKey);
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.pair(Setting::KafkaTlsKey, Setting::KafkaTlsCertificate);
                None
            }
            (None, Some(_)) => {
                self.pair(Setting::KafkaTlsCertificate, Setting::KafkaTlsKey);
                None
            }
        };
        let tls = Tls { ca, identity };
        let enabled = self.value(Setting::KafkaTlsEnabled, value::switch);
        let given = [
            Setting::KafkaTlsCa,
            Setting::KafkaTlsCertificate,
            Setting::KafkaTlsKey,
        ]
        .into_iter()
        .find(|setting| self.layers.one(*setting).is_some());
        match (enabled, given) {
            (Some(false), Some(setting)) => {
                self.fault(
                    setting,
                    "means nothing while kafka.tls.enabled is false; remove one of them",
                );
                None
            }
            (Some(true), _) | (None, Some(_)) => Some(tls),
            (Some(false) | None, None) => None,
        }
    }

    fn sasl(&mut self) -> Option<Sasl> {
        let mechanism = self.value(Setting::KafkaSaslMechanism, value::mechanism);
        let username = self.value(Setting::KafkaSaslUsername, |text| Ok(text.to_owned()));
        let password = self.password();
        let needed = [Setting::KafkaSaslMechanism, Setting::KafkaSaslUsername];
        let given = |setting: &Setting| self.layers.one(*setting).is_some();
        let password_given =
            given(&Setting::KafkaSaslPassword) || given(&Setting::KafkaSaslPasswordFile);
        if !password_given && !needed.iter().any(given) {
            return None;
        }
        let absent: Vec<Setting> = needed
            .into_iter()
            .filter(|setting| !given(setting))
            .collect();
        for setting in absent {
            self.missing(
                setting,
                "kafka.sasl needs a mechanism, a name and a password",
            );
        }
        if !password_given {
            let message = "kafka.sasl needs a mechanism, a name and a password";
            self.missing(Setting::KafkaSaslPasswordFile, message);
        }
        Some(Sasl {
            mechanism: mechanism?,
            username: username?,
            password: password?,
        })
    }

    fn password(&mut self) -> Option<Secret> {
        let variable = self.layers.one(Setting::KafkaSaslPassword).cloned();
        let file = self.layers.one(Setting::KafkaSaslPasswordFile).cloned();
        let (text, setting) = match (variable, file) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                let message = "the password is given twice, here and in PARCELHOOK_KAFKA_SASL_PASSWORD; remove one";
                self.fault(Setting::KafkaSaslPasswordFile, message);
                return None;
            }
            (Some(password), None) => (Ok(password.value), Setting::KafkaSaslPassword),
            (None, Some(file)) => (password_of(&file.value), Setting::KafkaSaslPasswordFile),
        };
        match text.and_then(|text| printable(&text)) {
            Ok(password) => Some(password),
            Err(message) => {
                self.fault(setting, message);
                None
            }
        }
    }

    fn properties(&mut self) -> BTreeMap<String, Secret> {
        let mut properties = BTreeMap::new();
        for (name, given) in &self.layers.properties {
            if let Some(message) = owned::objection(name, &given.value) {
                let setting = format!("{}.{name}", Setting::KafkaProperties.row().path);
                self.faults
                    .push(Fault::new(setting, given.origin.clone(), message));
            }
            properties.insert(name.clone(), Secret::new(given.value.as_bytes()));
        }
        properties
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

    /// The path of a file that can be read.
    fn file(&mut self, setting: Setting) -> Option<PathBuf> {
        self.path(setting, |path| {
            // A directory opens, but does not read.
            File::open(path).and_then(|mut file| file.read(&mut [0]))
        })
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

    fn pair(&mut self, missing: Setting, given: Setting) {
        let message = format!("{} needs it", given.row().path);
        self.missing(missing, &message);
    }
}

fn password_of(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(MAX_PASSWORD_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_PASSWORD_BYTES => Err(format!(
            "{path} is larger than {MAX_PASSWORD_BYTES} bytes, so it holds no password; name the file that does"
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("{path} cannot be read: {error}")),
    }
}

/// A password as it is sent: one newline that an editor left is cut off, control characters are a
/// sign of the wrong file.
fn printable(text: &str) -> Result<Secret, String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("the password is empty; write it there".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("the password holds a control character, perhaps a second line; leave nothing but the password".to_owned());
    }
    Ok(Secret::new(text.as_bytes()))
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
