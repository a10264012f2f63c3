//! What is said to librdkafka: TLS, passwords, properties. No secret is shown.

use super::*;

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

#[test]
fn what_the_protocol_owns_is_refused_by_name() {
    let owned = crate::source::OWNED
        .iter()
        .chain(&crate::park::produce::OWNED);
    let owned = owned.map(|(name, _)| *name);
    let typed = [
        "group.id",
        "bootstrap.servers",
        "metadata.broker.list",
        "group.protocol",
        "transactional.id",
        "security.protocol",
        "sasl.password",
        "ssl.ca.location",
    ];
    for name in owned.chain(typed) {
        let objection = parcelhook_kafka::objection(name, "x").unwrap_or_default();
        assert!(objection.starts_with("cannot be set here: "), "{name}");
    }
}
