//! Which layer counts, and that everything that is wrong is said at once.

use super::*;

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
        "bootstrapServers (not set): a broker must be known: set --bootstrap-servers or PARCELHOOK_BOOTSTRAP_SERVERS\n\
         targets (not set): the worker must know where its targets are, unless --kubernetes is given: set --targets or PARCELHOOK_TARGETS"
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
fn targets_come_from_one_place() {
    let given = || {
        Given::nothing()
            .flag("--bootstrap-servers=a:1")
            .flag("--kubernetes")
    };
    let from = |given: Given| given.load().unwrap().targets;
    let nothing_more = TargetsFrom::Kubernetes {
        namespace: None,
        snapshots: None,
    };
    assert_eq!(from(given()), nothing_more);
    let all = given()
        .flag("--kubernetes-namespace=hooks")
        .flag("--snapshot-dir=.");
    let expected = TargetsFrom::Kubernetes {
        namespace: Some("hooks".to_owned()),
        snapshots: Some(".".into()),
    };
    assert_eq!(from(all), expected);
    assert_eq!(
        given().flag("--targets=.").faults(),
        "targets (--targets): means nothing while kubernetes is true; remove one of them"
    );
    assert_eq!(
        Given::required().flag("--snapshot-dir=.").faults(),
        "snapshotDir (--snapshot-dir): means nothing without kubernetes; remove one of them"
    );
    let faults = given().flag("--kubernetes-namespace=A.b").faults();
    assert!(
        faults.starts_with("kubernetesNamespace (--kubernetes-namespace): must be"),
        "{faults}"
    );
}
