//! TLS of a target: whom to trust, what to offer, which version to accept.
//!
//! Verification cannot be switched off. The provider is ring, named here and not taken from the
//! process, so that no start-up order matters. Errors hold no byte of a certificate or key.

use std::sync::{Arc, OnceLock};

use parcelhook_crds::compiled::{ClientCertificate, Tls, TlsVersion};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::PrepareError;

/// Servers whose session is kept for a resumed handshake (88 µs instead of 160). The identity that all
/// targets without TLS settings share serves many; 0.3 MiB when full, then the oldest is forgotten.
const SHARED_SESSIONS: usize = 1024;
/// The same for an identity of its own, which serves one target or one organisation's.
const OWN_SESSIONS: usize = 32;

/// Makes the TLS configurations of one client. The system's authorities are read once, when the first
/// target needs them.
pub(crate) struct Configs {
    provider: Arc<CryptoProvider>,
    system: OnceLock<Arc<dyn ServerCertVerifier>>,
}

impl Configs {
    pub(crate) fn new() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            system: OnceLock::new(),
        }
    }

    /// The configuration for `tls`. `http2` offers HTTP/2 beside HTTP/1.1.
    ///
    /// # Errors
    /// When a certificate or key cannot be used, or the system has no authorities.
    pub(crate) fn of(&self, tls: &Tls, http2: bool) -> Result<ClientConfig, PrepareError> {
        let verifier = match &tls.ca {
            Some(pem) => self.only(pem.expose())?,
            None => self.system()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(tls.min_version))
            .map_err(|error| refused("spec.endpoint.tls.minVersion", &error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &tls.client_certificate {
            Some(certificate) => {
                let (chain, key) = parse_certificate(certificate)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| refused(CLIENT, "the private key does not fit the certificate"))?
            }
            None => builder.with_no_client_auth(),
        };
        let shared = tls.ca.is_none() && tls.client_certificate.is_none();
        let sessions = if shared {
            SHARED_SESSIONS
        } else {
            OWN_SESSIONS
        };
        config.resumption = Resumption::in_memory_sessions(sessions);
        config.alpn_protocols = match http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Ok(config)
    }

    /// A configuration that trusts nobody: for targets that are plain HTTP.
    ///
    /// # Errors
    /// Never with the present versions of TLS.
    pub(crate) fn none(&self) -> Result<ClientConfig, PrepareError> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused("spec.endpoint.tls", &error.to_string()))?;
        let mut config = builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn only(&self, pem: &[u8]) -> Result<Arc<dyn ServerCertVerifier>, PrepareError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            certificate
                .ok()
                .and_then(|certificate| roots.add(certificate).ok())
                .ok_or_else(|| refused(CA, "a certificate in it cannot be read"))?;
        }
        if roots.is_empty() {
            return Err(refused(CA, "holds no PEM certificate"));
        }
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| refused(CA, "cannot be used as authorities"))?;
        Ok(verifier)
    }

    fn system(&self) -> Result<Arc<dyn ServerCertVerifier>, PrepareError> {
        if let Some(verifier) = self.system.get() {
            return Ok(Arc::clone(verifier));
        }
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&self.provider))
            .map_err(|_| {
                refused(
                    CA,
                    "is not set and the system has no certificate authorities; \
                     install them (Debian: ca-certificates) or set it",
                )
            })?;
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(verifier))))
    }
}

const CA: &str = "spec.endpoint.tls.caSecretRef";
const CLIENT: &str = "spec.endpoint.tls.clientCertificateSecretRef";

fn refused(field: &'static str, message: &str) -> PrepareError {
    PrepareError {
        field,
        message: message.to_owned(),
    }
}

fn versions(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match lowest {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_13,
    }
}

fn parse_certificate(
    certificate: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PrepareError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.chain.expose())
        .collect::<Result<_, _>>()
        .map_err(|_| refused(CLIENT, "the certificate chain cannot be read"))?;
    if chain.is_empty() {
        return Err(refused(CLIENT, "holds no PEM certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose())
        .map_err(|_| refused(CLIENT, "holds no PEM private key"))?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::secret::Secret;

    use super::*;

    fn field_of(tls: &Tls) -> &'static str {
        Configs::new().of(tls, true).unwrap_err().field
    }

    fn self_signed() -> (Secret, Secret) {
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        (Secret::new(made.cert.pem()), Secret::new(key))
    }

    #[test]
    fn a_ca_that_is_no_certificate_is_refused_by_its_field() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        for pem in ["", "hunter2", broken] {
            let tls = Tls {
                ca: Some(Secret::new(pem)),
                ..Tls::default()
            };
            assert_eq!(field_of(&tls), CA, "{pem:?}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_its_certificate_is_refused() {
        let (ca, key) = self_signed();
        let (chain, _) = self_signed();
        let tls = Tls {
            ca: Some(ca),
            client_certificate: Some(ClientCertificate { chain, key }),
            ..Tls::default()
        };
        let error = Configs::new().of(&tls, true).unwrap_err();
        assert_eq!(error.field, CLIENT);
        assert!(error.message.contains("does not fit"));
    }

    #[test]
    fn errors_show_nothing_of_what_was_read() {
        let (ca, _) = self_signed();
        let tls = Tls {
            ca: Some(ca),
            client_certificate: Some(ClientCertificate {
                chain: Secret::new("hunter2-chain"),
                key: Secret::new("hunter2-key"),
            }),
            ..Tls::default()
        };
        let error = Configs::new().of(&tls, true).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn only_the_accepted_versions_are_offered() {
        assert_eq!(versions(TlsVersion::Tls12).len(), 2);
        assert_eq!(versions(TlsVersion::Tls13).len(), 1);
    }
}
