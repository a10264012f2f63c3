//! The page of all targets, as `kubectl get` would print them, with what the worker itself reports.

use std::fmt::{self, Display, Formatter};

use super::{Badge, cell, foot, head, number, table};
use crate::admin::html::Text;
use crate::admin::units::{Age, Bytes, Maybe, Until};
use crate::admin::view::{PartitionView, WorkerView};

/// All targets of the worker.
pub(in crate::admin) struct Index<'a> {
    pub(in crate::admin) view: &'a WorkerView,
    /// Milliseconds since the Unix epoch.
    pub(in crate::admin) now: i64,
}

impl Display for Index<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.view;
        head(f, "Parcelhook worker")?;
        write!(
            f,
            "<h1>Parcelhook worker</h1>\n<p class=\"dim\">version {}",
            view.version
        )?;
        if let Some(revision) = &view.revision {
            write!(f, " · targets revision {revision}")?;
        }
        f.write_str("</p>\n")?;
        self.alarms(f)?;
        self.summary(f)?;
        self.targets(f)?;
        self.problems(f)?;
        self.source(f)?;
        foot(f, view.time.as_deref())
    }
}

impl Index<'_> {
    fn alarms(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let source = &self.view.source;
        for reason in &self.view.not_ready {
            writeln!(f, "<p class=\"alarm\">Not ready: {}.</p>", Text(reason))?;
        }
        for (cause, count) in source.events_lost.iter().filter(|(_, count)| **count > 0) {
            let cause = Text(cause);
            writeln!(
                f,
                "<p class=\"alarm\">{count} events lost before they were read: {cause}.</p>"
            )?;
        }
        if let Some(lacks) = &self.view.lacks {
            writeln!(
                f,
                "<p class=\"alarm\">The worker has left the group until its targets have revision {lacks}.</p>"
            )?;
        }
        for target in &self.view.targets {
            let stopped = target.lanes_not_live.get("stopped");
            if let Some(stopped @ 1..) = stopped {
                let (namespace, name) = (Text(&target.namespace), Text(&target.name));
                writeln!(
                    f,
                    "<p class=\"alarm\">{stopped} lanes of {namespace}/{name} have stopped: events are missing from the retry topic.</p>"
                )?;
            }
        }
        let own = &self.view.own_topics;
        let unreadable = own.retry_unreadable + own.lanes_unreadable;
        if unreadable > 0 {
            writeln!(
                f,
                "<p class=\"alarm\">{unreadable} records of the worker's own topics could not be read; the log names them.</p>"
            )?;
        }
        for topic in &source.missing_topics {
            writeln!(
                f,
                "<p class=\"alarm\">Topic {} does not exist.</p>",
                Text(topic)
            )?;
        }
        Ok(())
    }

    fn summary(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let targets = &self.view.targets;
        let count = |state| {
            targets
                .iter()
                .filter(|target| target.state == state)
                .count()
        };
        let (up, down, suspended) = (count("UP"), count("DOWN"), count("SUSPENDED"));
        writeln!(
            f,
            "<p>Targets: {up} UP, {down} DOWN, {suspended} SUSPENDED</p>"
        )
    }

    fn targets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.view.targets.is_empty() {
            return f.write_str("<p class=\"dim\">No targets yet.</p>\n");
        }
        let columns = [
            "NAMESPACE",
            "NAME",
            "STATE",
            "REASON",
            "PENDING",
            "PARKED",
            "OLDEST",
            "SINCE",
            "NEXT ATTEMPT",
            "SUCCESSES",
            "FAILURES",
            "ERRORS",
        ];
        table(f, &columns, &self.view.targets, |f, target| {
            let (namespace, name) = (Text(&target.namespace), Text(&target.name));
            cell(f, &namespace)?;
            write!(
                f,
                "<td><a href=\"/targets/{namespace}/{name}\">{name}</a></td>"
            )?;
            write!(f, "<td>{}</td>", Badge(target.state))?;
            cell(f, target.reason)?;
            number(f, target.pending_events)?;
            number(f, target.parked)?;
            number(f, Age(target.oldest_parked_millis, self.now))?;
            number(f, Age(target.since_millis, self.now))?;
            number(f, Until(target.next_attempt_millis, self.now))?;
            number(f, target.counters.successes)?;
            number(f, target.counters.failures)?;
            number(f, target.counters.errors)
        })
    }

    fn problems(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.view.problems.is_empty() {
            return Ok(());
        }
        f.write_str("<h2>Configuration problems</h2>\n")?;
        let columns = ["FILE", "DOCUMENT", "PROBLEM", "MEANWHILE"];
        table(f, &columns, &self.view.problems, |f, problem| {
            cell(f, &problem.file)?;
            number(f, problem.document)?;
            cell(f, &problem.message)?;
            let meanwhile = if problem.last_good_runs {
                "the last good version runs"
            } else {
                "not running"
            };
            cell(f, meanwhile)
        })
    }

    fn source(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let source = &self.view.source;
        f.write_str("<h2>Partitions</h2>\n")?;
        writeln!(
            f,
            "<p class=\"dim\">{} records read · {} in flight · {} commits, {} failed · {} rebalances · {} stalls</p>",
            source.records_read,
            Bytes(source.bytes_in_flight),
            source.commits_ok,
            source.commits_failed,
            source.rebalances,
            source.stalls,
        )?;
        if source.partitions.is_empty() {
            return f.write_str("<p class=\"dim\">This worker owns none.</p>\n");
        }
        let columns = [
            "TOPIC",
            "PARTITION",
            "POSITION",
            "COMMITTED",
            "LAG",
            "READING",
        ];
        table(f, &columns, &source.partitions, |f, one: &PartitionView| {
            cell(f, &one.topic)?;
            number(f, one.partition)?;
            number(f, one.position)?;
            number(f, Maybe(one.committed))?;
            number(f, Maybe(one.lag))?;
            match &one.lacks {
                Some(lacks) => cell(f, format_args!("waits for revision {lacks}")),
                None if one.paused => cell(f, "paused"),
                None => cell(f, "yes"),
            }
        })
    }
}
