//! Apache Kafka itself, from Maven Central, kept under `target/` and made once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{announce, directories, process::Launch, tools, tools::Tools};

/// The version that `pom.xml` names. The cache is keyed by it.
pub const VERSION: &str = "4.1.1";

const POM: &str = include_str!("pom.xml");

/// A Kafka that can be started.
#[derive(Debug, Clone)]
pub(super) struct Distribution {
    java: PathBuf,
    jars: PathBuf,
}

impl Distribution {
    /// Fetches Kafka, unless it is here already. Checks the tools first.
    pub(super) async fn provision() -> Result<Self> {
        let tools = tools::check()?;
        let java = tools.java.clone();
        // Blocks on the lock of another run, and on Maven.
        let jars = tokio::task::spawn_blocking(move || {
            directories::provision(&format!("kafka-{VERSION}"), |place| fetch(&tools, place))
        })
        .await??
        .join("lib");
        Ok(Self { java, jars })
    }

    /// A command line for `class` of Kafka, with at most `heap_mib` of heap.
    ///
    /// The serial collector and the first compiler alone: brokers start sooner and leave the cores
    /// to what is tested.
    pub(super) fn java(&self, name: &str, heap_mib: u32, class: &str) -> Launch {
        Launch::new(name, &self.java)
            .arg(format!("-Xmx{heap_mib}m"))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.jars.join("*"))
            .arg(class)
    }
}

/// Fills `place/lib` with the jars of Kafka and of all it needs.
fn fetch(tools: &Tools, place: &Path) -> Result<()> {
    announce(&format!(
        "fetching Apache Kafka {VERSION} from Maven Central (44 MB, once; kept in {})",
        directories::cache().display()
    ));
    let pom = place.join("pom.xml");
    fs::write(&pom, POM).with_context(|| format!("write {}", pom.display()))?;
    let jars = place.join("lib");
    Launch::new("mvn", &tools.mvn)
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-f"])
        .arg(&pom)
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .run()?;
    let kafka = jars.join(format!("kafka_2.13-{VERSION}.jar"));
    ensure!(kafka.is_file(), "mvn brought no {}", kafka.display());
    announce(&format!("Apache Kafka {VERSION} is here"));
    Ok(())
}
