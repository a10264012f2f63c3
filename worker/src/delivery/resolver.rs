//! Name resolution under the egress policy.
//!
//! The client connects to the addresses that come from here and to no others, so what is checked is what
//! is connected to: a name that answers differently the second time gains nothing. A host that is
//! written as an address never comes here; [`Policy::check_literal`] judges it before the request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use super::egress::Policy;

/// Resolves names by the system's resolver and checks every address.
#[derive(Debug)]
pub(crate) struct Guarded {
    policy: Arc<Policy>,
    /// The host to connect to, whatever name is asked for: set where the URL carries the name of the
    /// certificate instead of the host.
    instead: Option<Host>,
}

impl Guarded {
    pub(crate) fn new(policy: Arc<Policy>, instead: Option<Host>) -> Self {
        Self { policy, instead }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let host = match &self.instead {
            Some(host) => host.clone(),
            None => Host::Domain(name.as_str().to_owned()),
        };
        Box::pin(async move {
            let addresses = match host {
                Host::Domain(name) => look_up(&name).await?,
                Host::Ipv4(address) => vec![SocketAddr::from((address, 0))],
                Host::Ipv6(address) => vec![SocketAddr::from((address, 0))],
            };
            policy.check_all(addresses.iter().map(SocketAddr::ip))?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

async fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    // The port comes from the URL; the client fills it in for a zero.
    let addresses: Vec<_> = tokio::net::lookup_host((name, 0)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::super::egress::Denied;
    use super::*;

    async fn resolve(policy: Policy, instead: Option<Host>, name: &str) -> Result<bool, Denied> {
        let resolver = Guarded::new(Arc::new(policy), instead);
        match resolver.resolve(name.parse().unwrap()).await {
            Ok(mut addresses) => Ok(addresses.all(|address| address.ip().is_loopback())),
            Err(error) => Err(*error.downcast::<Denied>().unwrap()),
        }
    }

    fn loopback_opened() -> Policy {
        let ranges = ["127.0.0.0/8", "::1/128"].map(|range| range.parse().unwrap());
        Policy::new(ranges.to_vec())
    }

    #[tokio::test]
    async fn a_name_for_loopback_is_refused_until_loopback_is_opened() {
        let refused = resolve(Policy::default(), None, "localhost").await;
        assert!(matches!(refused, Err(Denied::Private(_))));
        assert_eq!(
            resolve(loopback_opened(), None, "localhost").await,
            Ok(true)
        );
    }

    #[tokio::test]
    async fn a_host_that_stands_instead_of_the_name_is_checked_too() {
        let instead = || Some(Host::Ipv4([127, 0, 0, 9].into()));
        let refused = resolve(Policy::default(), instead(), "example.com").await;
        assert!(matches!(refused, Err(Denied::Private(_))));
        let opened = resolve(loopback_opened(), instead(), "example.com").await;
        assert_eq!(opened, Ok(true));
    }
}
