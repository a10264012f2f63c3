//! A broker's properties file.
//!
//! What differs from Kafka's defaults does so for one of three reasons: one node cannot hold
//! several replicas, a test should not wait for what a fleet should, and nothing may be made by
//! accident.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use super::access::{Listener, Mechanism, PASSWORD, USER};

/// The cluster that a broker is part of.
pub(super) struct Cluster<'a> {
    /// Node id and address of every controller.
    pub(super) voters: &'a [(usize, SocketAddr)],
    /// The authority's certificate.
    pub(super) ca: &'a Path,
}

/// One broker of it.
pub(super) struct Node<'a> {
    /// Its number, from 1.
    pub(super) id: usize,
    /// Where it listens.
    pub(super) host: Ipv4Addr,
    /// The ports of [`Listener::ALL`], in that order.
    pub(super) ports: [u16; Listener::ALL.len()],
    /// Where clients reach [`Listener::Proxied`].
    pub(super) proxy: SocketAddr,
    /// Where it keeps its data.
    pub(super) data: &'a Path,
    /// Its key and certificate, PEM.
    pub(super) identity: &'a Path,
}

/// The text of the file.
pub(super) fn properties(node: &Node<'_>, cluster: &Cluster<'_>) -> String {
    let mut properties = Vec::new();
    properties.extend(place(node, cluster));
    properties.extend(security(node, cluster));
    properties.extend(replication(cluster.voters.len()));
    properties.extend(tempo());
    let mut text = String::new();
    for (name, value) in properties {
        // Backslashes would be escapes; no value of ours has one.
        let _infallible = writeln!(text, "{name}={value}");
    }
    text
}

type Property = (String, String);

fn set(name: impl Into<String>, value: impl ToString) -> Property {
    (name.into(), value.to_string())
}

fn list<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    items.into_iter().map(show).collect::<Vec<_>>().join(",")
}

fn place(node: &Node<'_>, cluster: &Cluster<'_>) -> Vec<Property> {
    let at =
        |(listener, port): (Listener, u16)| format!("{}://{}:{port}", listener.name(), node.host);
    let reached_at = |(listener, port)| match listener {
        Listener::Proxied => format!("{}://{}", listener.name(), node.proxy),
        Listener::Plaintext
        | Listener::Tls
        | Listener::MutualTls
        | Listener::SaslPlaintext
        | Listener::SaslTls
        | Listener::Controller => at((listener, port)),
    };
    let listeners = || Listener::ALL.into_iter().zip(node.ports);
    let for_clients = listeners().filter(|(listener, _)| *listener != Listener::Controller);
    vec![
        set("process.roles", "broker,controller"),
        set("node.id", node.id),
        set(
            "controller.quorum.voters",
            list(cluster.voters, |(id, at)| format!("{id}@{at}")),
        ),
        set("log.dirs", node.data.display()),
        set("listeners", list(listeners(), at)),
        set("advertised.listeners", list(for_clients, reached_at)),
        set("controller.listener.names", Listener::Controller.name()),
        set("inter.broker.listener.name", Listener::Plaintext.name()),
        set("auto.create.topics.enable", false),
    ]
}

fn security(node: &Node<'_>, cluster: &Cluster<'_>) -> Vec<Property> {
    let mut properties = vec![
        set(
            "listener.security.protocol.map",
            list(Listener::ALL, |listener| {
                format!("{}:{}", listener.name(), listener.protocol())
            }),
        ),
        set("ssl.keystore.type", "PEM"),
        set("ssl.keystore.location", node.identity.display()),
        set("ssl.truststore.type", "PEM"),
        set("ssl.truststore.location", cluster.ca.display()),
        set("listener.name.mutual_tls.ssl.client.auth", "required"),
        set(
            "sasl.enabled.mechanisms",
            list(Mechanism::ALL, |mechanism| mechanism.name().to_owned()),
        ),
    ];
    for listener in [Listener::SaslPlaintext, Listener::SaslTls] {
        for mechanism in Mechanism::ALL {
            let name = format!(
                "listener.name.{}.{}.sasl.jaas.config",
                listener.name().to_lowercase(),
                mechanism.name().to_lowercase()
            );
            properties.push(set(name, login(mechanism)));
        }
    }
    properties
}

/// SCRAM users are in the cluster's metadata, made when the node is formatted; PLAIN users are
/// here.
fn login(mechanism: Mechanism) -> String {
    let package = "org.apache.kafka.common.security";
    match mechanism {
        Mechanism::Plain => {
            format!("{package}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";")
        }
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
            format!("{package}.scram.ScramLoginModule required;")
        }
    }
}

/// A cluster of three goes on without one of its nodes, and loses nothing that was acknowledged.
fn replication(nodes: usize) -> Vec<Property> {
    let replicas = nodes.min(3);
    let in_sync = replicas.div_ceil(2);
    vec![
        set("default.replication.factor", replicas),
        set("min.insync.replicas", in_sync),
        set("offsets.topic.replication.factor", replicas),
        set("transaction.state.log.replication.factor", replicas),
        set("transaction.state.log.min.isr", in_sync),
        set("share.coordinator.state.topic.replication.factor", replicas),
        set("share.coordinator.state.topic.min.isr", in_sync),
    ]
}

/// Kafka's defaults are for fleets; with these a test sees within seconds what takes minutes there.
fn tempo() -> Vec<Property> {
    vec![
        // 50 by default, and each is a directory to open at start.
        set("offsets.topic.num.partitions", 4),
        set("transaction.state.log.num.partitions", 4),
        set("share.coordinator.state.topic.num.partitions", 4),
        set("group.initial.rebalance.delay.ms", 0),
        // Lets a test's consumer be declared dead within a second of its kill -9.
        set("group.min.session.timeout.ms", 500),
        // A killed broker is fenced after 3 s instead of 9.
        set("broker.session.timeout.ms", 3_000),
        set("broker.heartbeat.interval.ms", 500),
        // Retention does its work within seconds after a test has shortened it.
        set("log.initial.task.delay.ms", 500),
        set("log.retention.check.interval.ms", 1_000),
        set("log.segment.delete.delay.ms", 500),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(voters: usize) -> String {
        let node = Node {
            id: 1,
            host: Ipv4Addr::LOCALHOST,
            ports: [1, 2, 3, 4, 5, 6, 7],
            proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
            data: Path::new("/data"),
            identity: Path::new("/node.pem"),
        };
        let voters: Vec<_> = (1..=voters)
            .map(|id| (id, SocketAddr::from((Ipv4Addr::LOCALHOST, 7))))
            .collect();
        let cluster = Cluster {
            voters: &voters,
            ca: Path::new("/ca.pem"),
        };
        properties(&node, &cluster)
    }

    #[test]
    fn the_controller_is_listened_on_but_not_advertised() {
        let text = text(1);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("listeners=").contains("CONTROLLER://127.0.0.1:7"));
        assert!(!line("advertised.listeners=").contains("CONTROLLER"));
    }

    #[test]
    fn clients_are_sent_to_the_proxy_where_there_is_one() {
        let text = text(1);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("listeners=").contains("PROXIED://127.0.0.1:2,"));
        assert!(line("advertised.listeners=").contains("PROXIED://127.0.0.1:9,"));
    }

    #[test]
    fn three_nodes_survive_one_and_one_node_is_content_with_itself() {
        assert!(text(3).contains("\nmin.insync.replicas=2\n"));
        assert!(text(1).contains("\nmin.insync.replicas=1\n"));
    }
}
