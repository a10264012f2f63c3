//! The connections of one client, kept apart by identity.
//!
//! A connection may be shared by the targets that would have made the very same one: plain HTTP, or TLS
//! with the same authorities, client certificate, lowest version and name. A pool lives as long as a
//! target uses it, so a changed certificate never meets an old connection. The egress policy is fixed
//! for the life of the client and needs no place in the identity.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use parcelhook_crds::compiled::{Tls, TlsVersion};
use parcelhook_crds::secret::Secret;
use ring::digest;
use rustc_hash::FxHashMap;
use rustls::ClientConfig;
use url::Host;

use super::egress::Policy;
use super::resolver::Guarded;
use super::{PrepareError, tls};

/// Bound on name resolution, TCP and TLS together. Lower than most deadlines, so that a host that swallows
/// packets is told from one that is slow to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: it costs 17 to 35 KiB, a new one up to a TLS handshake.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Unused connections a host: as many lanes may end their attempts at the same moment and go on in the
/// next. Over it a connection is closed.
const MAX_IDLE_PER_HOST: usize = 32;
/// HTTP/2: bytes of a response head. (HTTP/1.1: hyper's own bounds, 100 headers and 400 KiB; a lower
/// number of headers would cost an allocation an attempt.)
const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// HTTP/2: how often a connection with an open request is asked for a sign of life, and how long that may
/// take. A dead connection would otherwise fail each of its requests by its deadline.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The name to verify and send instead of the host's, and the host to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Renamed {
    /// `tls.serverName`.
    pub(crate) server_name: String,
    /// The URL's own host.
    pub(crate) host: Host,
}

/// All pools of one client.
pub(crate) struct Pools {
    policy: Arc<Policy>,
    configs: tls::Configs,
    by_identity: Mutex<FxHashMap<Identity, Weak<reqwest::Client>>>,
}

/// What makes two connections interchangeable. Holds a digest, so it keeps no secret alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Plain,
    Tls([u8; digest::SHA256_OUTPUT_LEN]),
}

impl Pools {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            configs: tls::Configs::new(),
            by_identity: Mutex::default(),
        }
    }

    /// The connections without TLS.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn plain(&self) -> Result<Arc<reqwest::Client>, PrepareError> {
        self.shared(Identity::Plain, None, || self.configs.none())
    }

    /// The connections with these TLS settings.
    ///
    /// A renamed host is reached by HTTP/1.1 only: HTTP/2 has no place for a host beside the URL's, which
    /// carries the certificate's name here.
    ///
    /// # Errors
    /// When a certificate or key cannot be used.
    pub(crate) fn tls(
        &self,
        tls: &Tls,
        renamed: Option<&Renamed>,
    ) -> Result<Arc<reqwest::Client>, PrepareError> {
        let host = renamed.map(|renamed| renamed.host.clone());
        self.shared(identity(tls, renamed), host, || {
            self.configs.of(tls, renamed.is_none())
        })
    }

    fn shared(
        &self,
        identity: Identity,
        instead: Option<Host>,
        config: impl FnOnce() -> Result<ClientConfig, PrepareError>,
    ) -> Result<Arc<reqwest::Client>, PrepareError> {
        // The map is whole between any two statements, so a poisoned lock is none.
        let mut pools = self
            .by_identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = pools.get(&identity).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let resolver = Guarded::new(Arc::clone(&self.policy), instead);
        let client = Arc::new(build(config()?, resolver)?);
        pools.retain(|_, client| client.strong_count() > 0);
        pools.insert(identity, Arc::downgrade(&client));
        Ok(client)
    }
}

fn build(config: ClientConfig, resolver: Guarded) -> Result<reqwest::Client, PrepareError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .dns_resolver(Arc::new(resolver))
        // A proxy of the environment would resolve names for itself, past the egress policy.
        .no_proxy()
        // A redirect would carry body and signature to a host that nobody named.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_INTERVAL)
        .build()
        .map_err(|error| PrepareError {
            field: "spec.endpoint",
            message: format!("no HTTP client: {}", error.without_url()),
        })
}

fn identity(tls: &Tls, renamed: Option<&Renamed>) -> Identity {
    let certificate = tls.client_certificate.as_ref();
    let host = renamed.map(|renamed| renamed.host.to_string());
    let parts: [Option<&[u8]>; 6] = [
        tls.ca.as_ref().map(Secret::expose),
        certificate.map(|certificate| certificate.chain.expose()),
        certificate.map(|certificate| certificate.key.expose()),
        renamed.map(|renamed| renamed.server_name.as_bytes()),
        host.as_deref().map(str::as_bytes),
        Some(match tls.min_version {
            TlsVersion::Tls12 => b"1.2",
            TlsVersion::Tls13 => b"1.3",
        }),
    ];
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in parts {
        // The length keeps the parts apart; what is absent differs from what is empty.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        digest.update(&length.to_be_bytes());
        digest.update(part.unwrap_or_default());
    }
    let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest.finish().as_ref());
    Identity::Tls(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools() -> Pools {
        Pools::new(Arc::new(Policy::default()))
    }

    fn trusting(ca: &str) -> Tls {
        Tls {
            ca: Some(Secret::new(ca)),
            ..Tls::default()
        }
    }

    #[test]
    fn targets_of_one_identity_share_their_connections() {
        let pools = pools();
        let (one, other) = (pools.plain().unwrap(), pools.plain().unwrap());
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn connections_go_with_the_last_target_that_uses_them() {
        let pools = pools();
        let gone = Arc::downgrade(&pools.plain().unwrap());
        assert!(gone.upgrade().is_none());
        let _other = pools.plain().unwrap();
        assert_eq!(pools.by_identity.lock().unwrap().len(), 1);
    }

    #[test]
    fn whatever_changes_the_handshake_changes_the_identity() {
        let renamed = |server_name: &str, host: &str| Renamed {
            server_name: server_name.to_owned(),
            host: Host::parse(host).unwrap(),
        };
        let certificate = |chain: &str, key: &str| Tls {
            client_certificate: Some(parcelhook_crds::compiled::ClientCertificate {
                chain: Secret::new(chain),
                key: Secret::new(key),
            }),
            ..Tls::default()
        };
        let newest = Tls {
            min_version: TlsVersion::Tls13,
            ..Tls::default()
        };
        let identities = [
            Identity::Plain,
            identity(&Tls::default(), None),
            identity(&newest, None),
            identity(&trusting("a"), None),
            identity(&trusting("b"), None),
            identity(&trusting(""), None),
            identity(&certificate("a", "b"), None),
            identity(&certificate("ab", ""), None),
            identity(&Tls::default(), Some(&renamed("a", "b"))),
            identity(&Tls::default(), Some(&renamed("b", "a"))),
            identity(&Tls::default(), Some(&renamed("a", "127.0.0.1"))),
        ];
        let distinct: std::collections::HashSet<_> = identities.iter().collect();
        assert_eq!(distinct.len(), identities.len());
        assert_eq!(identity(&trusting("a"), None), identities[3]);
    }
}
