//! TLS against a real server: whom we trust, whom we are, and what a bad certificate comes to.

use std::sync::Arc;

use parcelhook_crds::compiled::{ClientCertificate, CompiledTarget, TlsVersion};
use parcelhook_crds::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::TlsAcceptor;

use super::super::{Deliver as _, Outcome, Reason};
use super::fixtures::{Receiver, Seen, answer, attempt, patient_client, raw, request, target};

/// A certificate authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> Secret {
        Secret::new(self.0.pem())
    }

    fn certify(&self, name: &str) -> Pair {
        self.certify_until(name, 2999)
    }

    fn certify_until(&self, name: &str, year: i32) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

static TLS12_ONLY: [&SupportedProtocolVersion; 1] = [&version::TLS12];

/// A server with this certificate; with `clients` it asks for certificates of that authority.
fn acceptor(
    pair: &Pair,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsAcceptor {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn receiver(pair: &Pair) -> Receiver {
    let acceptor = acceptor(pair, None, rustls::DEFAULT_VERSIONS);
    Receiver::start(Some(acceptor), |_: &Seen| answer(200, "ok")).await
}

fn trusting(url: &str, authority: &Authority) -> CompiledTarget {
    let mut target = target(url);
    target.endpoint.tls.ca = Some(authority.pem());
    target
}

#[tokio::test]
async fn a_private_authority_is_trusted_and_http2_is_negotiated_on_one_connection() {
    let authority = Authority::new("ours");
    let receiver = receiver(&authority.certify("localhost")).await;
    let client = patient_client();
    let target = trusting(&receiver.https("localhost"), &authority);
    let prepared = client.prepare(&Arc::new(target)).unwrap();
    for _ in 0..10 {
        let attempt = client.attempt(&prepared, request()).await;
        assert_eq!(attempt.outcome, Outcome::Delivered, "{attempt:?}");
    }
    let seen = receiver.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.version == http::Version::HTTP_2)
    );
    assert_eq!((seen.len(), receiver.connections()), (10, 1));
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_a_misconfiguration() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let cases = [
        (
            authority.certify("other.example"),
            &authority,
            "another name",
        ),
        (
            authority.certify_until("localhost", 2001),
            &authority,
            "expired",
        ),
        (
            authority.certify("localhost"),
            &stranger,
            "unknown authority",
        ),
    ];
    for (pair, trusted, words) in cases {
        let receiver = receiver(&pair).await;
        let attempt = attempt(trusting(&receiver.https("localhost"), trusted)).await;
        assert_eq!(attempt.outcome, Outcome::Misconfigured, "{words}");
        assert_eq!(attempt.reason, Reason::InvalidCertificate, "{words}");
        let detail = attempt.detail.unwrap();
        assert!(detail.contains(words), "{detail}");
        assert!(receiver.seen().is_empty());
    }
}

#[tokio::test]
async fn a_server_name_is_sent_and_verified_instead_of_the_host() {
    let authority = Authority::new("ours");
    let receiver = receiver(&authority.certify("inner.example")).await;
    for host in ["localhost", "127.0.0.1"] {
        let mut target = trusting(&receiver.https(host), &authority);
        target.endpoint.tls.server_name = Some("inner.example".to_owned());
        let attempt = attempt(target).await;
        assert_eq!(attempt.outcome, Outcome::Delivered, "{attempt:?}");
        let seen = receiver.seen().pop().unwrap();
        assert_eq!(seen.sni.as_deref(), Some("inner.example"));
        let shown = format!("{host}:{}", receiver.address.port());
        assert_eq!(seen.headers["host"], shown.as_str());
    }
}

#[tokio::test]
async fn two_hosts_with_one_server_name_are_not_mixed_up() {
    let authority = Authority::new("ours");
    let pair = authority.certify("inner.example");
    let (one, other) = (receiver(&pair).await, receiver(&pair).await);
    let client = patient_client();
    for receiver in [&one, &other] {
        let mut target = trusting(&receiver.https("localhost"), &authority);
        target.endpoint.tls.server_name = Some("inner.example".to_owned());
        let prepared = client.prepare(&Arc::new(target)).unwrap();
        let attempt = client.attempt(&prepared, request()).await;
        assert_eq!(attempt.outcome, Outcome::Delivered, "{attempt:?}");
    }
    assert_eq!((one.seen().len(), other.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_client_certificate_is_offered_and_its_refusal_is_a_misconfiguration() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let pair = authority.certify("localhost");
    for versions in [rustls::DEFAULT_VERSIONS, &TLS12_ONLY] {
        let acceptor = acceptor(&pair, Some(&authority), versions);
        let receiver = Receiver::start(Some(acceptor), |_: &Seen| answer(200, "ok")).await;
        let attempt_as = async |offered: Option<Pair>| {
            let mut target = trusting(&receiver.https("localhost"), &authority);
            target.endpoint.tls.client_certificate = offered.map(|pair| ClientCertificate {
                chain: Secret::new(pair.certificate),
                key: Secret::new(pair.key),
            });
            attempt(target).await
        };
        let ours = attempt_as(Some(authority.certify("worker"))).await;
        assert_eq!(ours.outcome, Outcome::Delivered, "{ours:?}");
        for refused in [Some(stranger.certify("worker")), None] {
            let attempt = attempt_as(refused).await;
            assert_eq!(attempt.outcome, Outcome::Misconfigured, "{attempt:?}");
            assert_eq!(attempt.reason, Reason::ClientCertificateRefused);
        }
    }
}

#[tokio::test]
async fn a_server_below_the_lowest_version_fails_the_handshake() {
    let authority = Authority::new("ours");
    let pair = authority.certify("localhost");
    let acceptor = acceptor(&pair, None, &TLS12_ONLY);
    let receiver = Receiver::start(Some(acceptor), |_: &Seen| answer(200, "ok")).await;
    let mut target = trusting(&receiver.https("localhost"), &authority);
    let accepted = attempt(target.clone()).await;
    assert_eq!(accepted.outcome, Outcome::Delivered, "{accepted:?}");
    target.endpoint.tls.min_version = TlsVersion::Tls13;
    assert_eq!(attempt(target).await.reason, Reason::TlsHandshakeFailed);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_unavailable() {
    let authority = Authority::new("ours");
    let plain = Receiver::status(200).await;
    let url = plain.https("localhost");
    let spoken = attempt(trusting(&url, &authority)).await;
    let (url, _tasks) = raw(async |stream| drop(stream)).await;
    let hung_up = attempt(trusting(&url.replace("http:", "https:"), &authority)).await;
    for attempt in [spoken, hung_up] {
        let unavailable = Outcome::Unavailable { retry_after: None };
        assert_eq!(attempt.outcome, unavailable, "{attempt:?}");
        assert_eq!(attempt.reason, Reason::TlsHandshakeFailed, "{attempt:?}");
    }
}
