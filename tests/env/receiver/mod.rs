//! A real receiver of webhooks: HTTP/1.1 and HTTP/2, plain or TLS, on a host of its own.
//!
//! It records every request in the order of arrival ([`Request`]) and answers as the test told it
//! ([`Answer`]), by default 200. It runs on its own thread and ends when it is dropped.

mod answer;
mod journal;
mod serve;

pub use answer::{Answer, Gate};
pub use journal::Request;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio_rustls::TlsAcceptor;

use self::{answer::Script, journal::Journal, serve::Shared};
use crate::{certificates::Authority, check::Transaction, eventually, network, serving::Serving};

/// A receiver about to be started.
#[derive(Debug)]
#[must_use = "nothing listens before `start`"]
pub struct Builder<'a> {
    host: Ipv4Addr,
    compact: bool,
    tls: Option<Tls<'a>>,
}

#[derive(Debug)]
struct Tls<'a> {
    authority: &'a Authority,
    /// The name in the certificate; otherwise the host that it is called by.
    name: Option<&'a str>,
    protocols: &'a [&'a str],
    /// Whose certificates a client must show; none asks for none.
    clients: Option<&'a Authority>,
}

impl<'a> Builder<'a> {
    /// Listens on this host instead of a fresh one.
    pub fn host(mut self, host: Ipv4Addr) -> Self {
        self.host = host;
        self
    }

    /// Keeps only the ids of events, for runs with very many requests.
    pub fn compact(mut self) -> Self {
        self.compact = true;
        self
    }

    /// Speaks TLS with a certificate of `authority`, and HTTP/2 or HTTP/1.1 as the client likes.
    pub fn tls(mut self, authority: &'a Authority) -> Self {
        self.tls = Some(Tls {
            authority,
            name: None,
            protocols: &["h2", "http/1.1"],
            clients: None,
        });
        self
    }

    /// Serves those alone who show a certificate of `authority`. Needs [`Builder::tls`].
    pub fn clients_of(mut self, authority: &'a Authority) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.clients = Some(authority);
        }
        self
    }

    /// Shows a certificate for `name`, which is not what it is called by. Needs [`Builder::tls`].
    pub fn certificate_for(mut self, name: &'a str) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.name = Some(name);
        }
        self
    }

    /// Does not offer HTTP/2. Needs [`Builder::tls`]; without TLS the client alone decides.
    pub fn only_http1(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.protocols = &["http/1.1"];
        }
        self
    }

    /// Listens, on a port that the kernel chooses.
    ///
    /// # Errors
    /// When the host cannot be bound.
    pub fn start(self) -> Result<Receiver> {
        let tls = self.acceptor()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (listener, address) = network::listen(self.host)?;
        let shared = Arc::new(Shared {
            journal: Journal::new(self.compact),
            script: Script::default(),
        });
        let for_connections = Arc::clone(&shared);
        let serving = Serving::start("receiver", listener, move |number, stream| {
            serve::connection(Arc::clone(&for_connections), tls.clone(), number, stream)
        })?;
        Ok(Receiver {
            address,
            scheme,
            shared,
            _serving: serving,
        })
    }

    fn acceptor(&self) -> Result<Option<TlsAcceptor>> {
        let Some(tls) = &self.tls else {
            return Ok(None);
        };
        let host = self.host.to_string();
        let identity = tls.authority.server(&[tls.name.unwrap_or(&host)])?;
        let config = match tls.clients {
            Some(clients) => identity.server_config_for(tls.protocols, clients)?,
            None => identity.server_config(tls.protocols)?,
        };
        Ok(Some(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    _serving: Serving,
}

impl Receiver {
    /// A plain receiver on a host of its own.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// A receiver with a choice of host, TLS and recording.
    pub fn builder<'a>() -> Builder<'a> {
        Builder {
            host: network::fresh_host(),
            compact: false,
            tls: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Answers every request with `answer` from now on.
    pub fn answer(&self, answer: Answer) {
        self.answer_by(move |_| answer.clone());
    }

    /// Answers every request as `rule` says from now on.
    pub fn answer_by(&self, rule: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        self.shared.script.set_rule(Arc::new(rule));
    }

    /// Answers the request of this number (from 0, in the order of arrival), whatever holds for
    /// the others.
    pub fn answer_number(&self, number: u64, answer: Answer) {
        self.shared.script.set_number(number, answer);
    }

    /// All requests so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.shared.journal.requests()
    }

    /// How many requests have arrived.
    pub fn count(&self) -> usize {
        self.shared.journal.count()
    }

    /// Waits until at least `count` requests have arrived, and returns all so far.
    ///
    /// # Errors
    /// When fewer arrive `within`.
    pub async fn arrived(&self, count: usize, within: Duration) -> Result<Vec<Arc<Request>>> {
        let what = format!("{count} requests at {}", self.address);
        eventually(&what, within, async || {
            ensure!(self.count() >= count, "{} have arrived", self.count());
            Ok(self.requests())
        })
        .await
    }

    /// The transactions that it answered with a 2xx, in the order of arrival, for the checker.
    ///
    /// # Errors
    /// When the events of one cannot be read.
    pub fn accepted(&self) -> Result<Vec<Transaction>> {
        self.shared.journal.accepted(|_| true)
    }

    /// As [`Receiver::accepted`], of one path: for a receiver that stands for several targets.
    ///
    /// # Errors
    /// When the events of one cannot be read.
    pub fn accepted_at(&self, path: &str) -> Result<Vec<Transaction>> {
        let accepted = self.shared.journal.accepted(|request| request.path == path);
        accepted.with_context(|| format!("what {path} accepted"))
    }

    /// How many connections were made. Fewer than requests: connections are reused.
    pub fn connections(&self) -> u64 {
        self.shared.journal.connections()
    }

    /// How many requests broke off before they were complete.
    pub fn cut_short(&self) -> u64 {
        self.shared.journal.cut_short()
    }

    /// How many requests are being served now.
    pub fn at_once(&self) -> u64 {
        self.shared.journal.at_once()
    }

    /// The most requests that were ever served at once.
    pub fn most_at_once(&self) -> u64 {
        self.shared.journal.most_at_once()
    }
}
