//! Whole configurations: precedence, everything that is wrong at once, secrets, and that the example
//! and the documentation say what the code does.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use tempfile::TempDir;

use super::settings::{SETTINGS, Shape};
use super::*;

/// A configuration about to be loaded, in a directory of its own.
struct Given {
    directory: TempDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Given {
    fn nothing() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The two settings that have no default.
    fn required() -> Self {
        let given = Self::nothing();
        let path = given.path("").display().to_string();
        given
            .flag(&format!("--targets={path}"))
            .flag("--bootstrap-servers=a:1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn named_file(self, flag: &str, text: &str) -> Self {
        let path = self.path(flag);
        fs::write(&path, text).unwrap();
        self.flag(&format!("--{flag}={}", path.display()))
    }

    fn file(self, text: &str) -> Self {
        self.named_file("config", text)
    }

    fn load(&self) -> Result<Config, Faults> {
        let arguments = ["parcelhook-worker", "run"].map(str::to_owned);
        let cli = Cli::parse_from(arguments.iter().chain(&self.flags));
        let Command::Run(options) = cli.command else {
            panic!("not run");
        };
        Config::load(&options, &self.variables.iter().cloned().collect())
    }

    /// The faults as a person reads them, without the name of the temporary directory.
    fn faults(&self) -> String {
        let faults = self.load().unwrap_err().to_string();
        faults.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

#[test]
fn only_targets_and_servers_have_no_default() {
    let config = Given::required().load().unwrap();
    assert_eq!(config.consumer_group(), "parcelhook.default.default");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.byte_budget, 16 * 1024 * 1024);
    assert_eq!(config.shutdown_grace, Duration::from_secs(6));
    assert_eq!(config.kafka.session_timeout(), Duration::from_secs(10));
    assert_eq!(config.kafka.tls, None);
    assert_eq!(config.kafka.sasl, None);
    assert!(!config.create_topics && config.egress_allow.is_empty());
    assert_eq!(
        Given::nothing().faults(),
        "bootstrapServers (not set): the worker must know a broker: set --bootstrap-servers or PARCELHOOK_BOOTSTRAP_SERVERS\n\
         targets (not set): the worker must know where its targets are: set --targets or PARCELHOOK_TARGETS"
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let file = "prefix: file\ninstallation: file\nworkerGroup: file\n\
                egressAllow: [10.0.0.0/8, 10.1.0.0/16]\n\
                kafka: {properties: {client.id: file, client.rack: file, debug: cgrp}}\n";
    let config = Given::required()
        .file(file)
        .variable("PARCELHOOK_INSTALLATION", "env")
        .variable("PARCELHOOK_WORKER_GROUP", "env")
        .variable("PARCELHOOK_EGRESS_ALLOW", "10.2.0.0/16, 10.3.0.0/16")
        .variable(
            "PARCELHOOK_KAFKA_PROPERTIES",
            "client.id=env\nclient.rack=env\n",
        )
        .flag("--worker-group=flag")
        .flag("--kafka-properties=client.rack=flag")
        .load()
        .unwrap();
    assert_eq!(config.consumer_group(), "file.env.flag");
    let networks: Vec<String> = config.egress_allow.iter().map(IpNet::to_string).collect();
    assert_eq!(networks, ["10.2.0.0/16", "10.3.0.0/16"]);
    let properties = config.kafka_client_properties();
    for (name, value) in [
        ("client.id", "env"),
        ("client.rack", "flag"),
        ("debug", "cgrp"),
    ] {
        let expected = (name.to_owned(), value.to_owned());
        assert!(properties.contains(&expected), "{name}");
    }
}

#[test]
fn an_empty_value_counts_as_not_given_and_strangers_in_the_environment_are_left_alone() {
    let config = Given::required()
        .file("prefix:\nworkerGroup: ''\nkafka:\n  tls:\n  properties:\n")
        .variable("PARCELHOOK_INSTALLATION", "")
        .variable("PARCELHOOK_SERVICE_HOST", "10.0.0.1")
        .load()
        .unwrap();
    assert_eq!(config.consumer_group(), "parcelhook.default.default");
}

#[test]
fn the_environment_may_name_the_file() {
    let given = Given::required();
    let path = given.path("worker.yaml");
    fs::write(&path, "prefix: file\n").unwrap();
    let given = given.variable("PARCELHOOK_CONFIG", &path.display().to_string());
    assert_eq!(given.load().unwrap().prefix, "file");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let file = "shards: 0\n\
                adminListen: here\n\
                egressAllow:\n- 10.0.0.0/8\n- nowhere\n\
                kafka:\n  tls:\n    ca: /nonexistent/ca.crt\n  properties:\n    group.id: mine\n";
    let faults = Given::required()
        .file(file)
        .variable("PARCELHOOK_BYTE_BUDGET", "lots")
        .flag("--shutdown-grace=6")
        .faults();
    assert_eq!(
        faults,
        "kafka.tls.ca (config:8): /nonexistent/ca.crt cannot be read: No such file or directory (os error 2)\n\
         kafka.properties.group.id (config:10): cannot be set here: the consumer group is <prefix>.<installation>.<workerGroup>; set those\n\
         adminListen (config:2): must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080, not 'here'\n\
         egressAllow (config:5): must be a network such as 10.0.0.0/8 or fd00::/8, not 'nowhere'\n\
         shards (config:1): must be a number from 1 to 256, not '0'\n\
         byteBudget (PARCELHOOK_BYTE_BUDGET): must be a number of bytes such as 16Mi or 1Gi, not 'lots'\n\
         shutdownGrace (--shutdown-grace): must be a duration such as 6s, 500ms or 1m30s, not '6'"
    );
}

#[test]
fn a_value_of_the_file_is_taken_as_it_is_written() {
    for written in [
        "007", "1.10", "0x10", "1_000", "yes", "no", "n", "True", "1e3", "'007'",
    ] {
        let file = format!("# ä\nkafka:\n  sasl: {{username: {written}, mechanism: PLAIN}} # x\n");
        let given = Given::required()
            .file(&file)
            .variable("PARCELHOOK_KAFKA_SASL_PASSWORD", "hunter2");
        let sasl = given.load().unwrap().kafka.sasl.unwrap();
        assert_eq!(sasl.username, written.trim_matches('\''));
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (file, expected) in [
        (
            "bootstrapServer: a:1",
            "bootstrapServer (config:1): there is no such key; did you mean bootstrapServers?",
        ),
        (
            "a: 1\nb: 2",
            "a (config:1): there is no such key; `parcelhook-worker run --help`",
        ),
        (
            "kafka:\n  tsl: {}",
            "kafka.tsl (config:2): there is no such key; did you mean kafka.tls?",
        ),
        (
            "kafka:\n  sasl:\n    user_name: x",
            "kafka.sasl.user_name (config:3): there is no such key; did you mean kafka.sasl.username?",
        ),
        ("kafka: 7", "kafka (config:1): must be a map of settings"),
        (
            "prefix: [a]",
            "prefix (config:1): must be one value, as in NAME",
        ),
        (
            "egressAllow: {a: b}",
            "egressAllow (config:1): must be a list",
        ),
        (
            "kafka: {properties: {a.b: {c: d}}}",
            "kafka.properties.a.b (config:1): must be one value",
        ),
        (
            "kafka: {properties: [a]}",
            "kafka.properties (config:1): must be a map",
        ),
        ("- prefix", "config (config): must be a YAML map"),
        ("prefix: a\nprefix: b", "config (config:2): is not YAML: "),
        ("prefix: 'a", "config (config:"),
    ] {
        let faults = Given::required().file(file).faults();
        assert!(faults.starts_with(expected), "{file}: {faults}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_and_not_a_default() {
    let missing = Given::required().flag("--config=/nonexistent/worker.yaml");
    assert!(
        missing
            .faults()
            .starts_with("config (/nonexistent/worker.yaml): cannot be read: ")
    );
    let comments = "# nothing but a comment\n".repeat(50_000);
    let large = Given::required().file(&comments).faults();
    assert_eq!(large, "config (config): is larger than 1048576 bytes");
    let no_directory = Given::nothing().flag("--bootstrap-servers=a:1");
    let no_directory = no_directory
        .flag("--targets=/nonexistent")
        .flag("--secrets-dir=/etc/hostname");
    assert_eq!(
        no_directory.faults(),
        "targets (--targets): /nonexistent cannot be read: No such file or directory (os error 2)\n\
         secretsDir (--secrets-dir): /etc/hostname cannot be read: Not a directory (os error 20)"
    );
}

#[test]
fn tls_is_on_when_it_is_configured_and_contradictions_are_refused() {
    let tls = |given: Given| given.load().unwrap().kafka.tls;
    let enabled = Given::required().flag("--kafka-tls-enabled");
    assert_eq!(tls(enabled), Some(Tls::default()));
    assert_eq!(
        tls(Given::required().flag("--kafka-tls-enabled=false")),
        None
    );
    let with_ca = || Given::required().named_file("kafka-tls-ca", "PEM");
    assert!(tls(with_ca()).is_some_and(|tls| tls.ca.is_some()));
    assert_eq!(
        with_ca().flag("--kafka-tls-enabled=false").faults(),
        "kafka.tls.ca (--kafka-tls-ca): means nothing while kafka.tls.enabled is false; remove one of them"
    );
    let alone = Given::required().named_file("kafka-tls-certificate", "PEM");
    assert_eq!(
        alone.faults(),
        "kafka.tls.key (not set): kafka.tls.certificate needs it: set --kafka-tls-key or PARCELHOOK_KAFKA_TLS_KEY"
    );
    let both = alone.named_file("kafka-tls-key", "PEM");
    assert!(tls(both).is_some_and(|tls| tls.identity.is_some()));
}

fn sasl() -> Given {
    Given::required()
        .flag("--kafka-sasl-mechanism=SCRAM-SHA-512")
        .flag("--kafka-sasl-username=me")
}

#[test]
fn the_password_comes_from_its_file_or_the_environment_and_from_nowhere_else() {
    for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        let config = sasl().named_file("kafka-sasl-password-file", text);
        let sasl = config.load().unwrap().kafka.sasl.unwrap();
        assert_eq!(sasl.password.expose(), b"hunter2");
    }
    let environment = sasl().variable("PARCELHOOK_KAFKA_SASL_PASSWORD", "hunter2");
    let properties = environment.load().unwrap().kafka_client_properties();
    for (name, value) in [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "me"),
        ("sasl.password", "hunter2"),
    ] {
        assert!(
            properties.contains(&(name.to_owned(), value.to_owned())),
            "{name}"
        );
    }
    let twice = environment.named_file("kafka-sasl-password-file", "x");
    assert!(twice.faults().contains("given twice"));
    let in_file = sasl().file("kafka: {sasl: {password: hunter2}}").faults();
    assert!(in_file.starts_with("kafka.sasl.password (config:1): is not read from this file"));
}

#[test]
fn half_of_sasl_is_refused() {
    let partial = Given::required().flag("--kafka-sasl-username=me").faults();
    assert!(
        partial.contains("kafka.sasl.mechanism (not set)"),
        "{partial}"
    );
    assert!(
        partial.contains("kafka.sasl.passwordFile (not set)"),
        "{partial}"
    );
    let wrong = sasl().named_file("kafka-sasl-password-file", "one\ntwo\n");
    assert!(wrong.faults().contains("control character"));
    let empty = sasl().named_file("kafka-sasl-password-file", "\n");
    assert!(empty.faults().contains("the password is empty"));
    let directory = sasl().flag("--kafka-sasl-password-file=/");
    assert!(
        directory
            .faults()
            .contains("kafka.sasl.passwordFile (--kafka-sasl-password-file): / cannot be read")
    );
}

#[test]
fn no_secret_is_in_debug_or_errors() {
    let given = sasl()
        .variable("PARCELHOOK_KAFKA_SASL_PASSWORD", "hunter2")
        .variable("PARCELHOOK_KAFKA_PROPERTIES", "ssl.key.password=hunter3");
    let config = given.load().unwrap();
    let environment: Environment = given.variables.iter().cloned().collect();
    let shown = format!("{config:?} {environment:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    let wrong = given
        .variable(
            "PARCELHOOK_KAFKA_PROPERTIES",
            "sasl.password=hunter4\nssl.key.pasword=hunter5\nhunter6",
        )
        .faults();
    assert!(!wrong.contains("hunter"), "{wrong}");
    assert_eq!(wrong.lines().count(), 3, "{wrong}");
}

#[test]
fn the_client_is_made_with_defaults_and_with_what_was_given() {
    let config = Given::required()
        .flag("--bootstrap-servers=b:2,c:3")
        .flag("--kafka-properties=session.timeout.ms=20000")
        .load();
    // A repeated flag adds to the list.
    let config = config.unwrap();
    assert_eq!(config.kafka.session_timeout(), Duration::from_secs(20));
    let mut client = rdkafka::ClientConfig::new();
    for (name, value) in config.kafka_client_properties() {
        assert_eq!(client.get(&name), None, "{name} twice");
        client.set(name, value);
    }
    for (name, value) in [
        ("bootstrap.servers", "a:1,b:2,c:3"),
        ("group.id", "parcelhook.default.default"),
        ("session.timeout.ms", "20000"),
        ("heartbeat.interval.ms", "1000"),
        ("security.protocol", "plaintext"),
    ] {
        assert_eq!(client.get(name), Some(value), "{name}");
    }
    assert!(client.create_native_config().is_ok());
}

#[test]
fn a_session_outlives_three_heartbeats() {
    let faults = Given::required()
        .flag("--kafka-properties=heartbeat.interval.ms=5000")
        .faults();
    assert!(
        faults.contains("at most a third of session.timeout.ms"),
        "{faults}"
    );
}

fn repository_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_example_says_the_defaults() {
    let example = repository_file("docs/examples/worker.yaml");
    let from_example = Given::nothing().file(&example).load().unwrap();
    let defaults = Given::nothing()
        .flag("--targets=.")
        .flag("--bootstrap-servers=127.0.0.1:9092");
    assert_eq!(from_example, defaults.load().unwrap());
    // Written in the same words, not only with the same meaning.
    for row in SETTINGS.iter() {
        if let Some(default) = row.default {
            let line = format!("\n{}: {default}\n", row.path);
            assert!(example.contains(&line), "{line}");
        }
    }
}

#[test]
fn the_example_with_everything_uncommented_has_every_key_and_none_too_many() {
    let example =
        repository_file("docs/examples/worker.yaml").replace("egressAllow: []", "egressAllow:");
    let uncommented: String = example
        .lines()
        .map(|line| {
            let text = line.trim_start();
            // `#key: value` is a setting, `# words` are words.
            let setting = text
                .strip_prefix('#')
                .filter(|rest| !rest.starts_with("# "));
            match setting {
                Some(rest) if rest.starts_with("  - ") || !rest.starts_with(' ') => {
                    line.replacen('#', "", 1)
                }
                Some(_) | None => line.to_owned(),
            }
        })
        .map(|line| line + "\n")
        .collect();
    let faults = Given::nothing().file(&uncommented).faults();
    // The files that the example names are not there; nothing else is wrong.
    for line in faults.lines() {
        assert!(
            line.contains("cannot be read: No such file"),
            "{line}\n{uncommented}"
        );
    }
    for row in SETTINGS.iter().filter(|row| row.shape != Shape::Secret) {
        let last = row.path.rsplit('.').next().unwrap();
        let written = uncommented
            .lines()
            .any(|line| line.trim_start().starts_with(&format!("{last}:")));
        assert!(written, "{} is missing", row.path);
    }
}

#[test]
fn the_documentation_names_every_key_variable_flag_default_and_exit_code() {
    let document = repository_file("docs/configuration.md");
    for row in &SETTINGS {
        let start = format!("| `{}` |", row.path);
        let line = document.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{} has no row", row.path));
        assert!(line.contains(&format!("`{}`", row.variable)), "{line}");
        if row.shape != Shape::Secret {
            assert!(line.contains(&format!("`--{}`", row.flag)), "{line}");
        }
        if let Some(default) = row.default {
            assert!(line.contains(&format!("| `{default}` |")), "{line}");
        }
    }
    for (name, value) in kafka::DEFAULTS.iter().chain(&crate::source::OWNED) {
        assert!(
            document.contains(&format!("| `{name}` | `{value}` |")),
            "{name}"
        );
    }
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(document.contains(&row), "{row}");
    }
}
