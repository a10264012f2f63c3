//! The texts around the table: what the demo is, at its start; how the receivers fare, below the
//! table; and the last words. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::manifests::DEMO_TOPICS;
use super::order::Tally;
use super::receivers::{Manner, Seen};
use super::topics::PARTITIONS;

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) own_manifests: bool,
    pub(super) manifests: PathBuf,
    pub(super) broker: String,
    pub(super) receivers: SocketAddr,
    pub(super) log: PathBuf,
    pub(super) status: SocketAddr,
}

/// What the table's foot tells of the worker and the producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Condition {
    /// Whether the worker has its partitions.
    pub(super) joined: bool,
    /// Whether the producer waits.
    pub(super) holding: bool,
}

/// The first lines.
pub(super) fn welcome(scene: &Scene) -> Vec<String> {
    let [first, second] = DEMO_TOPICS;
    let manifests = scene.manifests.display();
    let whose = if scene.own_manifests {
        "yours"
    } else {
        "removed at the end"
    };
    let mut lines = vec![
        "Parcelhook demo: a real worker, and around it a broker in memory, a producer and three receivers."
            .to_owned(),
        "The broker is a demo and not for real data: everything in it is gone at the end.".to_owned(),
        String::new(),
        format!("manifests   {manifests} ({whose}; edit them while it runs)"),
        format!("status      http://{}/targets", scene.status),
        format!(
            "broker      {} (topics {first}, {second}; {PARTITIONS} partitions each)",
            scene.broker
        ),
    ];
    for manner in Manner::ALL {
        lines.push(format!(
            "receiver    http://{}/{} ({})",
            scene.receivers,
            manner.name(),
            manner.says()
        ));
    }
    lines.push(format!("log         {}", scene.log.display()));
    lines.push(String::new());
    lines.push("Ctrl-C ends the demo.".to_owned());
    lines.push(String::new());
    lines
}

/// The lines below the table.
pub(super) fn foot(seen: &Seen, condition: Condition) -> Vec<String> {
    let received = Manner::ALL
        .map(|manner| format!("{} {}", manner.name(), seen.tally(manner).received))
        .join(", ");
    let mut lines = vec![
        String::new(),
        format!("received: {received}   {}", verdict(total(seen))),
    ];
    if !condition.joined {
        lines.push("joining the consumer group".to_owned());
    }
    if condition.holding {
        lines.push(
            "the producer waits: it would push undelivered events out of the demo broker (5 MiB a partition)"
                .to_owned(),
        );
    }
    lines
}

/// The last lines.
pub(super) fn farewell(seen: &Seen) -> Vec<String> {
    let tally = total(seen);
    vec![format!(
        "The demo has ended. Its receivers got {} events.   {}",
        tally.received,
        verdict(tally)
    )]
}

/// Whether every event that was checked came in order.
pub(super) fn in_order(seen: &Seen) -> bool {
    let tally = total(seen);
    tally.late == 0 && tally.unchecked == 0
}

fn total(seen: &Seen) -> Tally {
    Manner::ALL
        .map(|manner| seen.tally(manner))
        .into_iter()
        .fold(Tally::default(), Tally::plus)
}

fn verdict(tally: Tally) -> String {
    let order = match (tally.received, tally.late) {
        (0, _) => "in order: nothing received yet".to_owned(),
        (_, 0) => "in order: yes".to_owned(),
        (_, late) => format!("in order: NO, {late} late"),
    };
    let mut text = format!("{order}   repeated: {}", tally.repeated);
    for (name, count) in [("skipped", tally.skipped), ("unchecked", tally.unchecked)] {
        if count > 0 {
            text.push_str(&format!("   {name}: {count}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Scene {
        Scene {
            own_manifests: false,
            manifests: "/tmp/parcelhook-dev-x/targets".into(),
            broker: "127.0.0.1:9092".to_owned(),
            receivers: ([127, 0, 0, 1], 4000).into(),
            log: "/tmp/parcelhook-dev-x/worker.log".into(),
            status: ([127, 0, 0, 1], 8080).into(),
        }
    }

    #[test]
    fn the_welcome_says_what_is_demo_and_where_everything_is() {
        insta::assert_snapshot!(welcome(&scene()).join("\n"), @r#"
        Parcelhook demo: a real worker, and around it a broker in memory, a producer and three receivers.
        The broker is a demo and not for real data: everything in it is gone at the end.

        manifests   /tmp/parcelhook-dev-x/targets (removed at the end; edit them while it runs)
        status      http://127.0.0.1:8080/targets
        broker      127.0.0.1:9092 (topics orders, payments; 4 partitions each)
        receiver    http://127.0.0.1:4000/steady (accepts everything)
        receiver    http://127.0.0.1:4000/flaky (answers 503 for 20 s of each minute)
        receiver    http://127.0.0.1:4000/slow (takes 0.8 s for each request)
        log         /tmp/parcelhook-dev-x/worker.log

        Ctrl-C ends the demo.
        "#);
    }

    #[test]
    fn a_folder_of_ones_own_is_never_said_to_be_removed() {
        let scene = Scene {
            own_manifests: true,
            ..scene()
        };
        let text = welcome(&scene).join("\n");
        assert!(text.contains("(yours; edit them"), "{text}");
        assert!(!text.contains("removed"), "{text}");
    }

    #[test]
    fn the_foot_says_what_keeps_the_demo_waiting() {
        let seen = Seen::default();
        let waiting = Condition {
            joined: false,
            holding: true,
        };
        insta::assert_snapshot!(foot(&seen, waiting).join("\n"), @r#"

        received: steady 0, flaky 0, slow 0   in order: nothing received yet   repeated: 0
        joining the consumer group
        the producer waits: it would push undelivered events out of the demo broker (5 MiB a partition)
        "#);
        let calm = foot(
            &seen,
            Condition {
                joined: true,
                holding: false,
            },
        );
        assert_eq!(calm.len(), 2);
    }

    #[test]
    fn the_verdict_is_no_when_an_event_came_late() {
        let counted = |late, unchecked| {
            verdict(Tally {
                received: 1916,
                repeated: 2,
                late,
                skipped: 7,
                unchecked,
            })
        };
        assert_eq!(counted(0, 0), "in order: yes   repeated: 2   skipped: 7");
        assert_eq!(
            counted(3, 1),
            "in order: NO, 3 late   repeated: 2   skipped: 7   unchecked: 1"
        );
        assert_eq!(
            verdict(Tally::default()),
            "in order: nothing received yet   repeated: 0"
        );
    }
}
