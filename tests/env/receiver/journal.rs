//! What a receiver saw, in the order of arrival.
//!
//! A request arrives when its body is complete; one that breaks off before is only counted.
//! Recording is one push under a lock: bodies are kept as they came, shared and never copied.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, request::Parts};

use crate::{
    check::{EventId, Interner, Transaction},
    clock,
};

/// A request that arrived.
#[derive(Debug)]
pub struct Request {
    /// Its number in the order of arrival, from 0.
    pub number: u64,
    /// When it was complete.
    pub at: Instant,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers. Empty in compact mode.
    pub headers: HeaderMap,
    /// The body. Empty in compact mode.
    pub body: Bytes,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// The version of HTTP.
    pub version: Version,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The ids in the body, in compact mode.
    events: Option<Result<Vec<EventId>, String>>,
    /// The answer given: `None` for a connection closed without one.
    answered: OnceLock<Option<StatusCode>>,
}

impl Request {
    /// A header's value as text; `None` when it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status that it was answered with; `None` when it was not, or not yet.
    pub fn answered(&self) -> Option<StatusCode> {
        self.answered.get().copied().flatten()
    }

    /// The events in the body, in their order.
    ///
    /// # Errors
    /// When the body's format has no ids (see [`Interner::read`]).
    pub fn events(&self) -> Result<Vec<EventId>> {
        self.read_events(&mut Interner::default())
    }

    fn read_events(&self, interner: &mut Interner) -> Result<Vec<EventId>> {
        let events = match &self.events {
            Some(Ok(events)) => Ok(events.clone()),
            Some(Err(error)) => Err(anyhow::Error::msg(error.clone())),
            None => interner.read(&self.body),
        };
        events.with_context(|| format!("request {} to {}", self.number, self.path))
    }

    pub(super) fn set_answered(&self, status: Option<StatusCode>) {
        // It is answered once; a second status would be a bug that the first one hides.
        let _first = self.answered.set(status);
    }
}

/// Everything a receiver saw.
#[derive(Debug, Default)]
pub(super) struct Journal {
    compact: bool,
    pages: Mutex<Pages>,
    connections: AtomicU64,
    cut_short: AtomicU64,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
}

#[derive(Debug, Default)]
struct Pages {
    requests: Vec<Arc<Request>>,
    interner: Interner,
}

/// One connection, as far as its requests are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) tls: bool,
}

/// Counts a request as being served for as long as it lives.
pub(super) struct Served<'a>(&'a Journal);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Journal {
    /// In compact mode only the ids of the events are kept, neither headers nor bodies.
    pub(super) fn new(compact: bool) -> Self {
        Self {
            compact,
            ..Self::default()
        }
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_cut_short(&self) {
        self.cut_short.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn serve(&self) -> Served<'_> {
        let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        Served(self)
    }

    pub(super) fn record(&self, head: Parts, body: Bytes, connection: Connection) -> Arc<Request> {
        let path = head.uri.path_and_query();
        let mut request = Request {
            number: 0,
            at: clock::now(),
            method: head.method,
            path: path.map_or_else(String::new, ToString::to_string),
            headers: head.headers,
            body,
            connection: connection.number,
            version: head.version,
            tls: connection.tls,
            events: None,
            answered: OnceLock::new(),
        };
        let mut pages = self.pages();
        if self.compact {
            let read = pages.interner.read(&request.body);
            request.events = Some(read.map_err(|error| format!("{error:#}")));
            request.headers = HeaderMap::new();
            request.body = Bytes::new();
        }
        request.number = pages.requests.len() as u64;
        let request = Arc::new(request);
        pages.requests.push(Arc::clone(&request));
        request
    }

    pub(super) fn requests(&self) -> Vec<Arc<Request>> {
        self.pages().requests.clone()
    }

    pub(super) fn count(&self) -> usize {
        self.pages().requests.len()
    }

    /// What of `wanted` was answered with a 2xx, in the order of arrival.
    pub(super) fn accepted(&self, wanted: impl Fn(&Request) -> bool) -> Result<Vec<Transaction>> {
        let mut interner = Interner::default();
        let requests = self.requests();
        let accepted = requests.iter().filter(|request| {
            let answered = request.answered();
            answered.is_some_and(|status| status.is_success()) && wanted(request)
        });
        accepted
            .map(|request| {
                Ok(Transaction {
                    request: request.number,
                    events: request.read_events(&mut interner)?,
                })
            })
            .collect()
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn cut_short(&self) -> u64 {
        self.cut_short.load(Ordering::Relaxed)
    }

    pub(super) fn at_once(&self) -> u64 {
        self.at_once.load(Ordering::Relaxed)
    }

    pub(super) fn most_at_once(&self) -> u64 {
        self.most_at_once.load(Ordering::Relaxed)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
