//! The election, as a state machine: what to ask and to write next, and whether this one leads.
//!
//! Safe without a common clock. A holder counts its time from when it *began* to write its last renewal,
//! and leads for [`Timing::deadline`]; another takes over when it has *seen* no change of the Lease for
//! [`Timing::lease`], which is longer. What was written was seen after it was begun, so the first has
//! ended before the second begins, however long requests take. Each write replaces exactly the version
//! that was read: of two candidates one gets a conflict. Times within the Lease are for people, and never
//! compared.

use std::time::{Duration, Instant};

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a Lease that does not change is respected.
    pub lease: Duration,
    /// How long a holder leads after it began its last renewal that was accepted.
    pub deadline: Duration,
    /// Time between two renewals, or two looks.
    pub retry: Duration,
}

impl Default for Timing {
    /// As Kubernetes' own controllers.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a Lease says, as far as the election goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version that was read: it changes with each write.
    pub version: String,
    /// Who holds it; empty when it was released.
    pub holder: String,
    /// How often it went from one holder to another.
    pub transitions: i32,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Read the Lease, and tell [`Elector::on_read`].
    Read,
    /// Write the Lease, and tell [`Elector::on_written`].
    Write(Write),
    /// Nothing before this moment.
    Wait(Instant),
}

/// A write of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The version that it replaces; none creates the Lease.
    pub replaces: Option<String>,
    /// The new holder; empty releases.
    pub holder: String,
    /// Holders so far.
    pub transitions: i32,
    /// Whether the holder changes: then it also begins to hold now.
    pub acquires: bool,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The Lease is as it was written.
    Accepted(Seen),
    /// It had changed, or was there already.
    Conflict,
    /// Nobody knows: no answer, or an error.
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub struct Elector {
    me: String,
    timing: Timing,
    seen: Option<(Seen, Instant)>,
    /// Whether the Lease is known not to exist.
    absent: bool,
    /// When the last renewal that was accepted was begun.
    renewed: Option<Instant>,
    /// When the write that is under way was begun.
    writing: Option<Instant>,
    next: Instant,
    must_read: bool,
    releasing: bool,
}

impl Elector {
    /// A candidate of a name that nobody else has.
    pub fn new(me: &str, timing: Timing, now: Instant) -> Self {
        Self {
            me: me.to_owned(),
            timing,
            seen: None,
            absent: false,
            renewed: None,
            writing: None,
            next: now,
            must_read: true,
            releasing: false,
        }
    }

    /// Whether this one leads. It must be asked before each thing that only a leader does.
    pub fn leads(&self, now: Instant) -> bool {
        self.leads_until().is_some_and(|until| now < until)
    }

    /// Until when this one leads, unless it renews.
    pub fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|begun| begun + self.timing.deadline)
    }

    /// What to do next. A write is begun at `now`.
    pub fn next(&mut self, now: Instant) -> Step {
        if now < self.next && !self.releasing {
            return Step::Wait(self.next);
        }
        if self.must_read {
            return Step::Read;
        }
        match self.write(now) {
            Some(write) => {
                self.writing = Some(now);
                Step::Write(write)
            }
            None => {
                // Somebody else holds it: look again.
                self.must_read = true;
                self.next = now + self.timing.retry;
                Step::Wait(self.next)
            }
        }
    }

    /// The Lease was read: none when there is none. An error is told as [`Elector::on_unread`].
    pub fn on_read(&mut self, lease: Option<Seen>, now: Instant) {
        self.must_read = false;
        self.absent = lease.is_none();
        match lease {
            Some(lease) => self.see(lease, now),
            None => self.seen = None,
        }
        self.next = now;
    }

    /// The Lease could not be read.
    pub fn on_unread(&mut self, now: Instant) {
        self.must_read = true;
        self.next = now + self.timing.retry;
    }

    /// A write has ended.
    pub fn on_written(&mut self, written: Written, now: Instant) {
        let begun = self.writing.take().unwrap_or(now);
        self.next = now + self.timing.retry;
        match written {
            Written::Accepted(lease) => {
                let mine = lease.holder == self.me;
                self.renewed = mine.then_some(begun);
                self.absent = false;
                self.see(lease, now);
            }
            Written::Conflict | Written::Unknown => {
                self.must_read = true;
                // A holder tries again soon: its time runs.
                if self.leads(now) {
                    self.next = now + self.timing.retry / 4;
                }
            }
        }
    }

    /// Gives the Lease away: the write to make, when there is anything to give. This one leads no more.
    pub fn release(&mut self, now: Instant) -> Option<Write> {
        self.releasing = true;
        let led = self.leads(now);
        self.renewed = None;
        let (seen, _) = self.seen.as_ref()?;
        (led && seen.holder == self.me).then(|| Write {
            replaces: Some(seen.version.clone()),
            holder: String::new(),
            transitions: seen.transitions,
            acquires: false,
        })
    }

    fn see(&mut self, lease: Seen, now: Instant) {
        // Only a change proves that somebody lives; the moment of seeing it starts the clock.
        let same = self.seen.as_ref();
        let same = same.is_some_and(|(seen, _)| seen.version == lease.version);
        if !same {
            self.seen = Some((lease, now));
        }
    }

    fn write(&self, now: Instant) -> Option<Write> {
        let Some((seen, since)) = &self.seen else {
            return self.absent.then(|| Write {
                replaces: None,
                holder: self.me.clone(),
                transitions: 0,
                acquires: true,
            });
        };
        let mine = seen.holder == self.me;
        let expired = now.saturating_duration_since(*since) >= self.timing.lease;
        (mine || seen.holder.is_empty() || expired).then(|| Write {
            replaces: Some(seen.version.clone()),
            holder: self.me.clone(),
            transitions: seen.transitions.saturating_add(i32::from(!mine)),
            acquires: !mine,
        })
    }
}

#[cfg(test)]
mod tests;
