//! The demo while it runs: twice a second it asks the worker, tells what happened, redraws the
//! table, and says to the producer what to do.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::report::WorkerReport;

use super::notice::{Condition, foot, in_order};
use super::producer::Plan;
use super::rates::Rates;
use super::receivers::Seen;
use super::room::{Room, Written};
use super::screen::Screen;
use super::story::Story;
use super::topics::Topics;
use super::{DemoWorker, DevError, table};

/// How often the table is redrawn.
const EVERY: Duration = Duration::from_millis(500);

/// How long the worker may take for a report before the person is told.
const REPORT_WITHIN: Duration = Duration::from_secs(2);

/// What is shown, and what is needed to show it.
pub(super) struct Stage<'a, W> {
    started: Instant,
    topics: &'a mut Topics,
    seen: &'a Seen,
    screen: &'a mut Screen<W>,
    story: Story,
    rates: Rates,
    room: Room,
    /// Topics that are too many, each told once.
    refused: BTreeSet<String>,
}

impl<'a, W: Write> Stage<'a, W> {
    /// A demo that began at `started`, with events of `size` bytes.
    pub(super) fn new(
        started: Instant,
        size: u32,
        topics: &'a mut Topics,
        seen: &'a Seen,
        screen: &'a mut Screen<W>,
    ) -> Self {
        Self {
            started,
            topics,
            seen,
            screen,
            story: Story::default(),
            rates: Rates::default(),
            room: Room::new(size),
            refused: BTreeSet::new(),
        }
    }

    /// Shows until dropped.
    ///
    /// # Errors
    /// When the screen cannot be written to.
    pub(super) async fn show(
        &mut self,
        worker: &impl DemoWorker,
        plan: &watch::Sender<Plan>,
        written: &watch::Receiver<Written>,
    ) -> Result<Infallible, DevError> {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match tokio::time::timeout(REPORT_WITHIN, worker.report()).await {
                Ok(report) => {
                    let mut lines = self.add_topics(&report);
                    let next = Plan {
                        hold: self.room.must_hold(&written.borrow(), &report),
                        ..Plan::writing_to(self.topics)
                    };
                    self.tell(&report, next.hold, &mut lines)
                        .map_err(DevError::Screen)?;
                    plan.send_if_modified(|plan| {
                        let changed = *plan != next;
                        *plan = next;
                        changed
                    });
                }
                Err(_) => {
                    let seconds = REPORT_WITHIN.as_secs();
                    let line = format!("the worker has not answered for {seconds} s");
                    self.screen.say(&[line]).map_err(DevError::Screen)?;
                }
            }
        }
    }

    /// Topics that targets name get events, and so come into being. What is too much is told.
    fn add_topics(&mut self, report: &WorkerReport) -> Vec<String> {
        let mut lines = Vec::new();
        let targets = report.targets.values();
        for source in targets.flat_map(|target| &target.target.sources) {
            let topic = &source.topic;
            if self.refused.contains(topic) {
                continue;
            }
            if let Err(error) = self.topics.add(topic) {
                lines.push(format!("topic {topic}: {error}"));
                self.refused.insert(topic.clone());
            }
        }
        lines
    }

    fn tell(
        &mut self,
        report: &WorkerReport,
        holding: bool,
        lines: &mut Vec<String>,
    ) -> io::Result<()> {
        let now = clock::now();
        let millis = clock::unix_millis();
        self.rates.sample(report, now);
        let elapsed = now.saturating_duration_since(self.started);
        let order = in_order(self.seen);
        lines.extend(self.story.observe(report, millis, elapsed, order));
        self.screen.say(lines)?;
        let rows = table::rows(report, &self.rates, millis);
        let condition = Condition {
            joined: report.source.joined,
            holding,
        };
        self.screen.draw(&rows, &foot(self.seen, condition), now)
    }
}
