//! A way to the API server on which calls are counted, and can go wrong.
//!
//! It passes everything on until a test says otherwise. Clients come by TLS and HTTP/1.1 with their own
//! credentials, which it passes on and keeps nowhere. Each client under test gets a proxy of its
//! own, so what is counted is its alone.

mod call;
mod carry;
mod memory;

pub use call::{Call, Verb};

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use http::StatusCode;
use tokio::sync::watch;

use self::{carry::Ways, memory::Memory};
use crate::{certificates::Authority, network, serving::Serving};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is passed on, and so is its answer.
    Pass,
    /// The same, after this time.
    Delay(Duration),
    /// The proxy answers with this status; the API server never hears of the call.
    Fail(StatusCode),
    /// The connection closes; the API server never hears of the call.
    Lose,
    /// The connection closes after the API server has answered: what was asked for is done.
    LoseAnswer,
    /// It is answered as the same call was answered first after [`Proxy::remember`], and passed on
    /// when it was never answered.
    Replay,
    /// A watch is passed on and ends in order after this time; other calls are passed on.
    Cut(Duration),
}

/// How often what was asked for.
pub type Counts = BTreeMap<(Verb, String), u64>;

type Rule = Box<dyn FnMut(&Call) -> Action + Send>;

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    script: Arc<Script>,
    _serving: Serving,
}

/// What all connections share.
struct Script {
    rule: Mutex<Rule>,
    counts: Mutex<Counts>,
    memory: Mutex<Memory>,
    /// Raised by one when all watches under way are to end.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub(super) fn start(server: SocketAddr, authority: &Authority) -> Result<Self> {
        let (listener, address) = network::listen(network::fresh_host())?;
        let ways = Arc::new(Ways::new(server, address, authority)?);
        let script = Arc::new(Script {
            rule: Mutex::new(Box::new(|_| Action::Pass)),
            counts: Mutex::default(),
            memory: Mutex::default(),
            cuts: watch::Sender::new(0),
        });
        let told = Arc::clone(&script);
        let serving = Serving::start("kubernetes-proxy", listener, move |_, client| {
            carry::connection(Arc::clone(&ways), Arc::clone(&told), client)
        })?;
        Ok(Self {
            address,
            script,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `rule` says what becomes of each call. Replaces what was said before.
    pub fn on_call(&self, rule: impl FnMut(&Call) -> Action + Send + 'static) {
        *lock(&self.script.rule) = Box::new(rule);
    }

    /// From now on everything is passed on.
    pub fn pass(&self) {
        self.on_call(|_| Action::Pass);
    }

    /// Ends all watches under way in order, as the API server does with old ones.
    pub fn cut_watches(&self) {
        self.script.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on keeps the first answer to each get and list, for [`Action::Replay`]. Forgets
    /// those that it kept before.
    pub fn remember(&self) {
        *lock(&self.script.memory) = Memory::awake();
    }

    /// How often what was asked for, whatever became of it, since the start or the last
    /// [`Proxy::take_counts`].
    pub fn counts(&self) -> Counts {
        lock(&self.script.counts).clone()
    }

    /// The counts so far; counting begins anew.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut *lock(&self.script.counts))
    }
}

impl Script {
    /// Counts a call and asks the rule about it.
    fn decide(&self, call: &Call) -> Action {
        let what = (call.verb, call.resource.clone());
        *lock(&self.counts).entry(what).or_default() += 1;
        lock(&self.rule)(call)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Script")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// A rule that panicked has failed its test already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
