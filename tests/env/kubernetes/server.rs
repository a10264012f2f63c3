//! The two processes of a cluster, etcd and kube-apiserver: started, stopped, killed, paused, and
//! started again with the same data and the same ports.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use super::{access::ADMIN_TOKEN, provision::Program};
use crate::{
    certificates::{Authority, IdentityFiles},
    fetch, network,
    process::{Launch, Process},
};

/// How long each may take to listen: 3 s for both alone, far more on a loaded machine.
pub(super) const START: Duration = Duration::from_secs(120);

/// How long an orderly stop may take. It waits for requests under way, watches not among them.
const STOP: Duration = Duration::from_secs(90);

/// Addresses of Services, of which there are none here but that of the API itself.
const SERVICE_ADDRESSES: &str = "10.0.0.0/24";

/// An API server and its store. It is at rest until [`Server::start`], and after it was killed or
/// stopped; the store runs all the time.
#[derive(Debug)]
pub(super) struct Server {
    plan: Plan,
    etcd: Process,
    process: Mutex<Option<Arc<Process>>>,
}

/// Where everything is, written down once.
#[derive(Debug)]
struct Plan {
    program: PathBuf,
    host: Ipv4Addr,
    port: u16,
    etcd: SocketAddr,
    files: Files,
}

/// What the API server reads.
#[derive(Debug)]
struct Files {
    identity: IdentityFiles,
    /// Service accounts' tokens are signed with the one and verified with the other.
    signing_key: PathBuf,
    verifying_key: PathBuf,
    /// A line for each user: token, name, id, groups.
    tokens: PathBuf,
    /// Where it would put certificates of its own.
    certificates: PathBuf,
}

impl Server {
    /// Starts the store, and makes everything ready for the API server.
    pub(super) async fn new(directory: &Path, authority: &Authority) -> Result<Self> {
        let etcd = Program::Etcd.provision().await?;
        let program = Program::KubeApiserver.provision().await?;
        let host = network::fresh_host();
        let [port, etcd_port, peer_port] = network::free_ports(host)?;
        let etcd_address = SocketAddr::from((host, etcd_port));
        let etcd_url = format!("http://{etcd_address}");
        let etcd = Launch::new("etcd", etcd)
            .arg("--data-dir")
            .arg(directory.join("etcd"))
            .arg(format!("--listen-client-urls={etcd_url}"))
            .arg(format!("--advertise-client-urls={etcd_url}"))
            .arg(format!("--listen-peer-urls=http://{host}:{peer_port}"))
            // A power cut is not among what is tested here.
            .arg("--unsafe-no-fsync")
            .start()?;
        etcd.says("ready to serve client requests", START).await?;
        let plan = Plan {
            program,
            host,
            port,
            etcd: etcd_address,
            files: Files::write(directory, host, authority)?,
        };
        Ok(Self {
            plan,
            etcd,
            process: Mutex::new(None),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((self.plan.host, self.plan.port))
    }

    pub(super) fn etcd(&self) -> &Process {
        &self.etcd
    }

    /// Puts a value into the store, by its gateway for JSON (etcd's documentation, "gRPC gateway").
    pub(super) async fn store(&self, key: &str, value: &str) -> Result<()> {
        let put = json!({"key": BASE64.encode(key), "value": BASE64.encode(value)});
        let answer = fetch::post_body(self.plan.etcd, "/v3/kv/put", put.to_string()).await?;
        ensure!(answer.status.is_success(), "{answer:?}");
        Ok(())
    }

    /// Starts it and waits until it listens; it may not be ready yet.
    pub(super) async fn start(&self) -> Result<()> {
        let process = {
            let mut slot = self.slot();
            ensure!(slot.is_none(), "the API server runs already");
            let process = Arc::new(self.plan.launch().start()?);
            *slot = Some(Arc::clone(&process));
            process
        };
        process.says("Serving securely on", START).await?;
        Ok(())
    }

    /// Ends it in order (SIGTERM).
    pub(super) async fn stop(&self) -> Result<()> {
        self.end(Process::terminate).await
    }

    /// Ends it as a power cut would (SIGKILL).
    pub(super) async fn kill(&self) -> Result<()> {
        self.end(Process::kill).await
    }

    async fn end(&self, by: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        let process = self.process()?;
        by(&process)?;
        process.ended(STOP).await?;
        *self.slot() = None;
        Ok(())
    }

    /// Its process, while it runs.
    pub(super) fn process(&self) -> Result<Arc<Process>> {
        let process = self.slot().clone();
        process.context("the API server does not run")
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn launch(&self) -> Launch {
        let (host, files) = (self.host, &self.files);
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        Launch::new("kube-apiserver", &self.program)
            .arg(format!("--etcd-servers=http://{}", self.etcd))
            .arg(format!("--bind-address={host}"))
            .arg(format!("--advertise-address={host}"))
            .arg(format!("--secure-port={}", self.port))
            .arg(file("tls-cert-file", &files.identity.certificate))
            .arg(file("tls-private-key-file", &files.identity.key))
            .arg(file("cert-dir", &files.certificates))
            .arg("--authorization-mode=RBAC")
            .arg(file("token-auth-file", &files.tokens))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(file("service-account-key-file", &files.verifying_key))
            .arg(file("service-account-signing-key-file", &files.signing_key))
            // It wants each namespace's `default` account, which the controller manager makes.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg(format!("--service-cluster-ip-range={SERVICE_ADDRESSES}"))
            // Nobody reaches the API by its Service, and it may not stand for a loopback address.
            .arg("--endpoint-reconciler-type=none")
    }
}

impl Files {
    fn write(directory: &Path, host: Ipv4Addr, authority: &Authority) -> Result<Self> {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            anyhow::Ok(path)
        };
        let signing = rcgen::KeyPair::generate().context("make a key for service accounts")?;
        Ok(Self {
            identity: authority
                .server(&[&host.to_string()])?
                .write(directory, "kube-apiserver")?,
            signing_key: write("service-accounts.key", &signing.serialize_pem())?,
            verifying_key: write("service-accounts.pub", &signing.public_key_pem())?,
            tokens: write(
                "tokens.csv",
                &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"),
            )?,
            certificates: directory.join("certificates"),
        })
    }
}
