//! What a receiver answers: set by the test, held back by gates that the test opens.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::watch;

use super::Request;

/// Holds answers back until it is opened. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A gate that is shut.
    #[expect(
        clippy::new_without_default,
        reason = "whether a gate starts shut or open should be read where it is made"
    )]
    pub fn new() -> Self {
        let (open, _) = watch::channel(false);
        Self {
            open: Arc::new(open),
        }
    }

    /// Lets all pass that wait, and all that come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Holds back all that come from now on.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    async fn pass(&self) {
        // The sender lives as long as `self`, so the wait ends only when the gate is open.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) ending: Ending,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    gate: Option<Gate>,
    delay: Option<Duration>,
}

/// How the exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With this status; the connection stays open.
    Status(StatusCode),
    /// With this status; then the connection is closed.
    StatusThenClose(StatusCode),
    /// Without an answer: the connection (of HTTP/2: the stream) is closed.
    HangUp,
}

impl Answer {
    /// 200, at once, without a body.
    pub fn ok() -> Self {
        Self::ending(Ending::Status(StatusCode::OK))
    }

    /// This status, at once, without a body.
    ///
    /// # Errors
    /// When it is no status code (100–999).
    pub fn status(status: u16) -> Result<Self> {
        let status = StatusCode::from_u16(status).with_context(|| format!("status {status}"))?;
        Ok(Self::ending(Ending::Status(status)))
    }

    /// No answer: the connection is closed when the request has been read.
    pub fn hang_up() -> Self {
        Self::ending(Ending::HangUp)
    }

    fn ending(ending: Ending) -> Self {
        Self {
            ending,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            gate: None,
            delay: None,
        }
    }

    /// Adds a header.
    ///
    /// # Errors
    /// When HTTP does not allow that name or value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let name = HeaderName::try_from(name).with_context(|| format!("header {name:?}"))?;
        let value =
            HeaderValue::try_from(value).with_context(|| format!("header value {value:?}"))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Holds the answer back until `gate` is open.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Takes this long: a slow receiver. Tests that wait for something use a [`Gate`].
    pub fn delayed_by(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Closes the connection after the answer.
    pub fn then_close(mut self) -> Self {
        self.ending = match self.ending {
            Ending::Status(status) | Ending::StatusThenClose(status) => {
                Ending::StatusThenClose(status)
            }
            Ending::HangUp => Ending::HangUp,
        };
        self
    }

    /// Waits until it may be given.
    pub(super) async fn due(&self) {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
    }
}

type Rule = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// Which request gets which answer. Until told otherwise, every one gets 200.
#[derive(Default)]
pub(super) struct Script {
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// Answers to single requests; they go before the rule.
    by_number: HashMap<u64, Answer>,
    rule: Option<Rule>,
}

impl Script {
    pub(super) fn set_rule(&self, rule: Rule) {
        self.lines().rule = Some(rule);
    }

    pub(super) fn set_number(&self, number: u64, answer: Answer) {
        self.lines().by_number.insert(number, answer);
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let rule = {
            let mut lines = self.lines();
            if let Some(answer) = lines.by_number.remove(&request.number) {
                return answer;
            }
            lines.rule.clone()
        };
        // Called without the lock: a rule may take its time, or change the script.
        rule.map_or_else(Answer::ok, |rule| rule(request))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Script").finish_non_exhaustive()
    }
}
