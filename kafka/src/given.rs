//! From the settings of Kafka as somebody gave them to a [`Kafka`], or to everything that is wrong.
//!
//! Flags, environment and file have come together before. Reads what the settings name (certificates, the
//! password), so that a path with a typing error is found before anything starts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use parcelhook_crds::secret::Secret;

use crate::connection::{Identity, Kafka, Sasl, Tls};
use crate::fault::{Fault, Faults, Origin, Sourced};
use crate::key::Key;
use crate::{owned, value};

/// Largest file of a password: more is not a password but the wrong file.
const MAX_PASSWORD_BYTES: u64 = 4096;

/// What was given, still as text. `Debug` shows no value.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeMap<Key, Vec<Sourced<String>>>,
    properties: BTreeMap<String, Sourced<String>>,
    faults: Vec<Fault>,
}

impl Given {
    /// A setting was given, a list as several values. An empty value counts as not given.
    pub fn set(&mut self, key: Key, values: impl IntoIterator<Item = Sourced<String>>) {
        let values = values.into_iter().filter(|given| !given.value.is_empty());
        let values: Vec<_> = values.collect();
        if !values.is_empty() {
            self.values.insert(key, values);
        }
    }

    /// Something was given that cannot be used.
    pub fn refuse(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// A property of librdkafka was given.
    pub fn set_property(&mut self, name: String, value: Sourced<String>) {
        self.properties.insert(name, value);
    }

    /// The same, written as `NAME=VALUE`.
    ///
    /// # Errors
    /// When it is not. The text is not repeated: it may be the tail of a secret.
    pub fn property(text: &str, origin: Origin) -> Result<(String, Sourced<String>), Fault> {
        let Some((name, value)) = text.split_once('=') else {
            let path = Key::Properties.path();
            let message = "each property must be written NAME=VALUE";
            return Err(Fault::new(path, origin, message));
        };
        let value = value.trim().to_owned();
        Ok((name.trim().to_owned(), Sourced { value, origin }))
    }

    /// Checks everything. `program` is how the process calls itself to brokers.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn check(mut self, program: &'static str) -> Result<Kafka, Faults> {
        let bootstrap_servers = self.servers();
        let tls = self.tls();
        let sasl = self.sasl();
        let properties = self.checked_properties();
        if bootstrap_servers.is_empty() {
            self.missing(Key::BootstrapServers, "a broker must be known");
        }
        let kafka = Kafka {
            program,
            bootstrap_servers,
            tls,
            sasl,
            properties,
        };
        // Three missed heartbeats are no lost session: Kafka's own advice.
        if kafka.heartbeat_interval() * 3 > kafka.session_timeout() {
            self.fault(
                Key::Properties,
                "heartbeat.interval.ms must be at most a third of session.timeout.ms",
            );
        }
        if self.faults.is_empty() {
            Ok(kafka)
        } else {
            Err(Faults(self.faults))
        }
    }

    fn servers(&mut self) -> Vec<String> {
        let key = Key::BootstrapServers;
        let mut servers = Vec::new();
        for given in self.values.get(&key).into_iter().flatten() {
            match value::server(&given.value) {
                Ok(server) => servers.push(server),
                Err(message) => {
                    let fault = Fault::new(key.path(), given.origin.clone(), message);
                    self.faults.push(fault);
                }
            }
        }
        servers
    }

    fn tls(&mut self) -> Option<Tls> {
        let ca = self.file(Key::TlsCa);
        let certificate = self.file(Key::TlsCertificate);
        let key = self.file(Key::TlsKey);
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.pair(Key::TlsKey, Key::TlsCertificate);
                None
            }
            (None, Some(_)) => {
                self.pair(Key::TlsCertificate, Key::TlsKey);
                None
            }
        };
        let tls = Tls { ca, identity };
        let enabled = self.value(Key::TlsEnabled, value::switch);
        let given = [Key::TlsCa, Key::TlsCertificate, Key::TlsKey]
            .into_iter()
            .find(|key| self.one(*key).is_some());
        match (enabled, given) {
            (Some(false), Some(key)) => {
                self.fault(
                    key,
                    "means nothing while kafka.tls.enabled is false; remove one of them",
                );
                None
            }
            (Some(true), _) | (None, Some(_)) => Some(tls),
            (Some(false) | None, None) => None,
        }
    }

    fn sasl(&mut self) -> Option<Sasl> {
        let mechanism = self.value(Key::SaslMechanism, value::mechanism);
        let username = self.value(Key::SaslUsername, |text| Ok(text.to_owned()));
        let password = self.password();
        let needed = [Key::SaslMechanism, Key::SaslUsername];
        let given = |key: &Key| self.one(*key).is_some();
        let password_given = given(&Key::SaslPassword) || given(&Key::SaslPasswordFile);
        if !password_given && !needed.iter().any(given) {
            return None;
        }
        let why = "kafka.sasl needs a mechanism, a name and a password";
        let absent: Vec<Key> = needed.into_iter().filter(|key| !given(key)).collect();
        for key in absent {
            self.missing(key, why);
        }
        if !password_given {
            self.missing(Key::SaslPasswordFile, why);
        }
        Some(Sasl {
            mechanism: mechanism?,
            username: username?,
            password: password?,
        })
    }

    fn password(&mut self) -> Option<Secret> {
        let variable = self.one(Key::SaslPassword).cloned();
        let file = self.one(Key::SaslPasswordFile).cloned();
        let (text, key) = match (variable, file) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                let message = "the password is given twice, here and in PARCELHOOK_KAFKA_SASL_PASSWORD; remove one";
                self.fault(Key::SaslPasswordFile, message);
                return None;
            }
            (Some(password), None) => (Ok(password.value), Key::SaslPassword),
            (None, Some(file)) => (password_of(&file.value), Key::SaslPasswordFile),
        };
        match text.and_then(|text| printable(&text)) {
            Ok(password) => Some(password),
            Err(message) => {
                self.fault(key, message);
                None
            }
        }
    }

    fn checked_properties(&mut self) -> BTreeMap<String, Secret> {
        let mut properties = BTreeMap::new();
        for (name, given) in &self.properties {
            if let Some(message) = owned::objection(name, &given.value) {
                let path = format!("{}.{name}", Key::Properties.path());
                let fault = Fault::new(path, given.origin.clone(), message);
                self.faults.push(fault);
            }
            properties.insert(name.clone(), Secret::new(given.value.as_bytes()));
        }
        properties
    }

    /// The value that was given.
    fn value<T>(&mut self, key: Key, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.one(key)?.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault(key, message);
                None
            }
        }
    }

    /// The path of a file. One that cannot be read is a fault, and is returned all the same, so that it
    /// is not called missing too.
    fn file(&mut self, key: Key) -> Option<PathBuf> {
        let path = PathBuf::from(&self.one(key)?.value);
        // A directory opens, but does not read.
        let read = File::open(&path).and_then(|mut file| file.read(&mut [0]));
        if let Err(error) = read {
            self.fault(key, format!("{} cannot be read: {error}", path.display()));
        }
        Some(path)
    }

    fn one(&self, key: Key) -> Option<&Sourced<String>> {
        self.values.get(&key)?.first()
    }

    fn fault(&mut self, key: Key, message: impl Into<String>) {
        let origin = self.one(key).map(|given| given.origin.clone());
        let origin = origin.unwrap_or(Origin::Nowhere);
        self.faults.push(Fault::new(key.path(), origin, message));
    }

    /// A setting that was not given. One that was given, and is wrong, is a fault already.
    fn missing(&mut self, key: Key, why: &str) {
        if self.one(key).is_none() {
            let message = format!("{why}: set --{} or {}", key.flag(), key.variable());
            self.fault(key, message);
        }
    }

    fn pair(&mut self, missing: Key, given: Key) {
        self.missing(missing, &format!("{} needs it", given.path()));
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
