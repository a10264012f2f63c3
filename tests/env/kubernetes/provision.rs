//! The programs of a cluster and of its users, from Go modules: built when a test first needs one,
//! kept under `target/`.

use std::{fs, path::Path, path::PathBuf};

use anyhow::{Context as _, Result};
use tokio::sync::Mutex;

use crate::{announce, directories, process::Launch, tools};

/// The version of Kubernetes: of its API server and of kubectl.
pub const VERSION: &str = "1.36.3";

const GO_MOD: &str = include_str!("go.mod");
const GO_SUM: &str = include_str!("go.sum");

/// Compilers at once. With Go's own choice, one for each core, nothing else would get on.
const COMPILERS: &str = "-p=2";

/// A program that `go.mod` names as a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The API server.
    KubeApiserver,
    /// Its store.
    Etcd,
    /// What a person talks to it with.
    Kubectl,
    /// What installs charts.
    Helm,
    /// What compares manifests with schemas.
    Kubeconform,
}

impl Program {
    #[cfg(test)]
    const ALL: [Self; 5] = [
        Self::KubeApiserver,
        Self::Etcd,
        Self::Kubectl,
        Self::Helm,
        Self::Kubeconform,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::Etcd => "etcd",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Kubeconform => "kubeconform",
        }
    }

    /// The version that `go.mod` names. The cache is keyed by it.
    fn version(self) -> &'static str {
        match self {
            Self::KubeApiserver | Self::Kubectl => VERSION,
            Self::Etcd => "3.6.8",
            Self::Helm => "4.3.1",
            Self::Kubeconform => "0.7.0",
        }
    }

    /// The module and the package in it, empty for its root.
    fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::KubeApiserver => ("k8s.io/kubernetes", "/cmd/kube-apiserver"),
            Self::Etcd => ("go.etcd.io/etcd/server/v3", ""),
            Self::Kubectl => ("k8s.io/kubernetes", "/cmd/kubectl"),
            Self::Helm => ("helm.sh/helm/v4", "/cmd/helm"),
            Self::Kubeconform => ("github.com/yannh/kubeconform", "/cmd/kubeconform"),
        }
    }

    /// The variables in which a release build writes down its version.
    fn version_variables(self) -> String {
        let version = self.version();
        match self {
            Self::KubeApiserver | Self::Kubectl => {
                let mut numbers = version.split('.');
                let mut number = || numbers.next().unwrap_or_default();
                let (major, minor) = (number(), number());
                let at = "-X k8s.io/component-base/version.git";
                format!("{at}Version=v{version} {at}Major={major} {at}Minor={minor}")
            }
            Self::Etcd => String::new(),
            Self::Helm => format!("-X helm.sh/helm/v4/internal/version.version=v{version}"),
            Self::Kubeconform => format!("-X main.version=v{version}"),
        }
    }

    /// What a person who waits wants to know about the first build on two cores.
    fn cost(self) -> &'static str {
        match self {
            Self::KubeApiserver => "about 4 minutes",
            Self::Helm => "about 2 minutes",
            Self::Etcd | Self::Kubectl | Self::Kubeconform => "under a minute",
        }
    }

    /// Builds it, unless it is here already, and returns where it is. Checks the tools first.
    ///
    /// # Errors
    /// When a tool is missing, or a module cannot be fetched or built.
    pub async fn provision(self) -> Result<PathBuf> {
        /// One build at a time, as two would use twice the [`COMPILERS`].
        static BUILDING: Mutex<()> = Mutex::const_new(());
        let _building = BUILDING.lock().await;
        let tools = tools::check()?;
        // Blocks on the lock of another run, and on Go.
        let place = tokio::task::spawn_blocking(move || {
            let part = format!("{}-{}", self.name(), self.version());
            directories::provision(&part, |place| self.build(&tools.go, place))
        })
        .await??;
        Ok(place.join(self.name()))
    }

    fn build(self, go: &Path, place: &Path) -> Result<()> {
        let (name, version) = (self.name(), self.version());
        announce(&format!(
            "building {name} {version} from its Go modules ({}, once; kept in {})",
            self.cost(),
            directories::cache().display()
        ));
        for (file, text) in [("go.mod", GO_MOD), ("go.sum", GO_SUM)] {
            fs::write(place.join(file), text)
                .with_context(|| format!("write {file} to {}", place.display()))?;
        }
        let (module, package) = self.package();
        Launch::new(format!("go build {name}"), go)
            .directory(place)
            // What the machine's owner has set for other builds must not change this one.
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=readonly")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .args(["build", COMPILERS, "-trimpath", "-buildvcs=false"])
            .arg(format!("-ldflags=-s -w {}", self.version_variables()))
            .arg(format!("-o={name}"))
            .arg(format!("{module}{package}"))
            .run()?;
        announce(&format!("{name} {version} is here"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_a_tool_of_the_version_that_keys_its_cache() {
        for program in Program::ALL {
            let (module, package) = program.package();
            let required = format!("\t{module} v{}", program.version());
            assert!(GO_MOD.contains(&required), "{required:?}");
            let tool = format!("\t{module}{package}\n");
            assert!(GO_MOD.contains(&tool), "{tool:?}");
        }
    }

    #[test]
    fn parts_of_kubernetes_are_of_its_version() {
        let (_, minor_and_patch) = VERSION.split_once('.').unwrap();
        let replaced: Vec<&str> = GO_MOD
            .lines()
            .filter(|line| line.contains(" => "))
            .collect();
        assert!(replaced.len() > 20, "{replaced:?}");
        for line in replaced {
            assert!(line.ends_with(&format!(" v0.{minor_and_patch}")), "{line}");
        }
    }
}
