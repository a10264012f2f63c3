//! A way to an API server with the credentials of one client: for kube's client, for `kubectl`, and
//! for a program that reads a kubeconfig.

use std::{
    fmt, fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use serde_json::json;

use super::{kubectl::Kubectl, provision::Program, proxy::Proxy};

/// The token of the user who may do everything. Tests search all output for it.
pub(super) const ADMIN_TOKEN: &str = "queen-of-hearts-off-with-their-heads";

/// See the module.
#[derive(Clone)]
pub struct Access {
    pub(super) address: SocketAddr,
    pub(super) authority: Trust,
    pub(super) token: String,
}

/// The authority that a client has to trust.
#[derive(Clone)]
pub(super) struct Trust {
    pub(super) der: Vec<u8>,
    pub(super) pem: PathBuf,
    /// Where files of clients are put.
    pub(super) directory: PathBuf,
}

impl Access {
    /// The same client, but by way of `proxy`.
    pub fn through(&self, proxy: &Proxy) -> Self {
        Self {
            address: proxy.address(),
            ..self.clone()
        }
    }

    /// What kube's client needs.
    ///
    /// # Errors
    /// None that a test can cause.
    pub fn config(&self) -> Result<Config> {
        let url = self.url().parse().context("read our own URL")?;
        let mut config = Config::new(url);
        config.root_cert = Some(vec![self.authority.der.clone()]);
        config.auth_info.token = Some(self.token.clone().into());
        Ok(config)
    }

    /// A client. It belongs to the runtime on which it is made, so tests do not share one.
    ///
    /// # Errors
    /// None that a test can cause.
    pub fn client(&self) -> Result<Client> {
        Client::try_from(self.config()?).context("make a client of the API server")
    }

    /// A new kubeconfig file, which holds the token.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let path = self
            .authority
            .directory
            .join(format!("kubeconfig-{number}"));
        let name = "tests";
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": self.url(),
                "certificate-authority": self.authority.pem,
            }}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        });
        // A reader of YAML reads JSON.
        fs::write(&path, text.to_string()).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// A `kubectl` of this client, built when it is first asked for.
    ///
    /// # Errors
    /// When it cannot be built, or its files not be written.
    pub async fn kubectl(&self) -> Result<Kubectl> {
        let program = Program::Kubectl.provision().await?;
        let cache = self.authority.directory.join("kubectl");
        Ok(Kubectl::new(program, self.kubeconfig()?, cache))
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

/// Without the token.
impl fmt::Debug for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Access")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
