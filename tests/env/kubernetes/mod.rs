//! A real Kubernetes API server: one that all tests share, or one of a test's own.
//!
//! It validates, defaults, authorizes (RBAC) and stores as every API server does. There is no
//! controller manager and no node: nothing collects garbage, a deleted namespace stays, and no pod
//! ever runs.

mod access;
mod kubectl;
mod provision;
mod proxy;
mod server;

pub use access::Access;
pub use kubectl::{Kubectl, Said};
pub use provision::{Program, VERSION};
pub use proxy::{Action, Call, Counts, Proxy, Verb};

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
};
use kube::{Api, api::PostParams};
use serde_json::Value;
use tokio::sync::OnceCell;

use self::{
    access::{ADMIN_TOKEN, Trust},
    server::{START, Server},
};
use crate::{announce, certificates::Authority, directories, eventually, process::Process};

/// A running API server with an empty store. It dies with the run, or when this is dropped.
#[derive(Debug)]
pub struct ApiServer {
    server: Server,
    admin: Access,
    authority: Authority,
}

impl ApiServer {
    /// The one that all tests of this process share, started when first asked for.
    ///
    /// # Errors
    /// When a tool is missing, a program cannot be built or does not start. Whoever asks again
    /// gets the same answer: it is not tried twice.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Result<ApiServer, String>> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let started = Self::fresh().await;
                started.map_err(|error| format!("{error:#}"))
            })
            .await
            .as_ref()
            .map_err(|error| anyhow!("start the shared API server: {error}"))
    }

    /// A new one, for tests that stop it or change what all of its users share.
    ///
    /// # Errors
    /// As [`ApiServer::shared`].
    pub async fn fresh() -> Result<Self> {
        let directory = directories::fresh("kubernetes-files")?;
        let authority = Authority::new("Kubernetes of the tests")?;
        let server = Server::new(&directory, &authority).await?;
        announce(&format!(
            "starting kube-apiserver {VERSION}, logs and data in {}",
            directory.parent().unwrap_or(&directory).display()
        ));
        let admin = Access {
            address: server.address(),
            authority: trust(&authority, &directory)?,
            token: ADMIN_TOKEN.to_owned(),
        };
        let api = Self {
            server,
            admin,
            authority,
        };
        api.start().await?;
        Ok(api)
    }

    /// Starts it after [`ApiServer::stop`] or [`ApiServer::kill`], and waits until it is ready.
    ///
    /// # Errors
    /// When it runs already, or does not come up.
    pub async fn start(&self) -> Result<()> {
        self.server.start().await?;
        let client = self.admin.client()?;
        eventually("a ready API server", START, async || {
            let said = client.request_text(http::Request::get("/readyz").body(Vec::new())?);
            let said = said.await?;
            ensure!(said == "ok", "{said}");
            Ok(())
        })
        .await
    }

    /// Ends it in order (SIGTERM). What it stored is kept.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub async fn stop(&self) -> Result<()> {
        self.server.stop().await
    }

    /// Ends it as a power cut would (SIGKILL). What it stored is kept.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self) -> Result<()> {
        self.server.kill().await
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.process()?.pause()
    }

    /// Lets it go on after [`ApiServer::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.server.process()?.resume()
    }

    /// Puts an object into its store as it is, past every check: as an older version, or a restored
    /// backup, may have left it there. `resource` is as in the store: of a custom resource
    /// `<group>/<plural>`.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn store(&self, resource: &str, object: &Value) -> Result<()> {
        let [namespace, name] = ["namespace", "name"].map(|field| {
            let text = object["metadata"][field].as_str();
            text.with_context(|| format!("the object has no {field}"))
        });
        let key = format!("/registry/{resource}/{}/{}", namespace?, name?);
        self.server.store(&key, &object.to_string()).await
    }

    /// Its store's process.
    pub fn etcd(&self) -> &Process {
        self.server.etcd()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The access of a user who may do everything.
    pub fn admin(&self) -> &Access {
        &self.admin
    }

    /// The access of whoever this token names.
    pub fn user(&self, token: impl Into<String>) -> Access {
        Access {
            token: token.into(),
            ..self.admin.clone()
        }
    }

    /// A proxy in front of it, which passes everything on until it is told otherwise.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn proxy(&self) -> Result<Proxy> {
        Proxy::start(self.address(), &self.authority)
    }

    /// Makes a namespace. Returns its name, which starts with `prefix` and is no other test's.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_namespace(&self, prefix: &str) -> Result<String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        let api: Api<Namespace> = Api::all(self.admin.client()?);
        api.create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("make namespace {name}"))?;
        Ok(name)
    }

    /// The access of a service account that exists, by a token that the API server gives out for
    /// an hour (TokenRequest), as a pod's is.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Access> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.client()?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec::default(),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("ask for a token of {namespace}/{name}"))?;
        let status = answer.status.context("no token in the answer")?;
        Ok(self.user(status.token))
    }
}

fn trust(authority: &Authority, directory: &Path) -> Result<Trust> {
    Ok(Trust {
        der: authority.certificate()?.to_vec(),
        pem: authority.write(directory)?,
        directory: directory.to_owned(),
    })
}
