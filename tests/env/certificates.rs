//! A private certificate authority, and the certificates that servers and clients need of it.
//!
//! Keys are made anew for every authority and stay in this process and its run's directory.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// A certificate authority that only those trust who are given its certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate().context("make a key for the authority")?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).context("sign the authority")?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its certificate, which others need in order to trust it.
    pub fn pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The same, as TLS shows it.
    ///
    /// # Errors
    /// None that a test can cause.
    pub fn certificate(&self) -> Result<CertificateDer<'static>> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .context("read our own authority")
    }

    /// Writes its certificate to `<directory>/ca.pem` and returns that path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        write(directory.join("ca.pem"), &self.certificate_pem)
    }

    /// A certificate for a server that is called by any of `names`: hosts or IP addresses.
    ///
    /// # Errors
    /// When a name is neither.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue("server", names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client that calls itself `name`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn client(&self, name: &str) -> Result<Identity> {
        self.issue(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate()?)
            .context("trust our own authority")?;
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .context("verify clients by our own authority")
    }

    fn issue(
        &self,
        common_name: &str,
        names: Vec<String>,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        let key = KeyPair::generate().context("make a key")?;
        let mut params = CertificateParams::new(names).context("understand the names")?;
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let certificate = params
            .signed_by(&key, &self.issuer)
            .context("sign a certificate")?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A certificate with its private key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Identity {
    /// The certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PKCS #8.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Writes certificate and key to `<directory>/<name>.crt` and `<name>.key`, and both to
    /// `<name>.pem`, as Java's PEM key stores want them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> Result<IdentityFiles> {
        let (certificate, key) = (self.certificate_pem(), self.key_pem());
        let file = |ending: &str| directory.join(format!("{name}.{ending}"));
        Ok(IdentityFiles {
            certificate: write(file("crt"), certificate)?,
            key: write(file("key"), &key)?,
            both: write(file("pem"), &format!("{key}{certificate}"))?,
        })
    }

    /// How a TLS server shows this certificate and speaks `protocols` (ALPN), the first preferred.
    ///
    /// # Errors
    /// When rustls refuses the key.
    pub fn server_config(&self, protocols: &[&str]) -> Result<ServerConfig> {
        self.config(protocols, None)
    }

    /// The same, for those alone who show a certificate of `clients`.
    ///
    /// # Errors
    /// When rustls refuses the key or the authority.
    pub fn server_config_for(
        &self,
        protocols: &[&str],
        clients: &Authority,
    ) -> Result<ServerConfig> {
        self.config(protocols, Some(clients))
    }

    fn config(&self, protocols: &[&str], clients: Option<&Authority>) -> Result<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der())
            .map_err(|error| anyhow::anyhow!("read our own key: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match clients {
            Some(authority) => authority.client_verifier(&provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choose TLS versions")?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], key)
            .context("use our own certificate")?;
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Ok(config)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Where an [`Identity`] was written.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, PKCS #8.
    pub key: PathBuf,
    /// Key and certificate, PEM.
    pub both: PathBuf,
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf> {
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
