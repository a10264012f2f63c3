//! The system tools that the environment needs, checked before anything else runs.
//!
//! All that is missing is named in one message, each with the Debian package that has it.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

/// The oldest Java that Kafka 4 brokers run on (Kafka's documentation, "Java Version").
const OLDEST_JAVA: u32 = 17;

/// A tool, under any of its names.
struct Tool {
    what: &'static str,
    names: &'static [&'static str],
    debian_package: &'static str,
}

const JAVA: Tool = Tool {
    what: "java 17 or newer",
    names: &["java"],
    debian_package: "openjdk-17-jre-headless",
};

const MAVEN: Tool = Tool {
    what: "mvn",
    names: &["mvn"],
    debian_package: "maven",
};

/// What only has to be there; librdkafka and the cryptography are built with the first three.
const OTHERS: [Tool; 4] = [
    Tool {
        what: "a C compiler",
        names: &["cc", "gcc", "clang"],
        debian_package: "gcc",
    },
    Tool {
        what: "make",
        names: &["make"],
        debian_package: "make",
    },
    Tool {
        what: "perl",
        names: &["perl"],
        debian_package: "perl",
    },
    Tool {
        what: "setpriv",
        names: &["setpriv"],
        debian_package: "util-linux",
    },
];

/// The tools that the environment itself calls.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Java's launcher.
    pub java: PathBuf,
    /// Maven.
    pub mvn: PathBuf,
}

/// Tools that are not there.
#[derive(Debug)]
pub struct Missing {
    /// What is missing and the Debian package that has it.
    tools: Vec<(String, &'static str)>,
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut whats, mut packages) = (Vec::new(), Vec::new());
        for (what, package) in &self.tools {
            whats.push(format!("{what} (Debian package {package})"));
            packages.push(*package);
        }
        write!(
            out,
            "missing on this machine: {}. On Debian: apt-get install {}",
            whats.join(", "),
            packages.join(" ")
        )
    }
}

impl std::error::Error for Missing {}

/// Finds the tools in this process's `PATH`.
///
/// # Errors
/// [`Missing`], naming all that are missing at once.
pub fn check() -> Result<Tools> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(check_in(&path, java_version)?)
}

/// Finds the tools in `path`; `java_version` asks a Java for its major version.
fn check_in(
    path: &OsStr,
    java_version: impl FnOnce(&Path) -> Result<u32>,
) -> Result<Tools, Missing> {
    let mut missing = Vec::new();
    let mut want = |tool: &Tool, found: &Option<PathBuf>| {
        if found.is_none() {
            missing.push((tool.what.to_owned(), tool.debian_package));
        }
    };
    let (java, mvn) = (JAVA.find(path), MAVEN.find(path));
    want(&JAVA, &java);
    want(&MAVEN, &mvn);
    for tool in &OTHERS {
        want(tool, &tool.find(path));
    }
    if let Some(java) = &java {
        let instead = match java_version(java) {
            Ok(OLDEST_JAVA..) => None,
            Ok(older) => Some(format!("it is version {older}")),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(instead) = instead {
            let what = format!("{} ({} is no such: {instead})", JAVA.what, java.display());
            missing.push((what, JAVA.debian_package));
        }
    }
    match (java, mvn) {
        (Some(java), Some(mvn)) if missing.is_empty() => Ok(Tools { java, mvn }),
        _ => Err(Missing { tools: missing }),
    }
}

impl Tool {
    /// The first executable file of one of its names, in the order of `path`.
    fn find(&self, path: &OsStr) -> Option<PathBuf> {
        std::env::split_paths(path)
            .flat_map(|directory| self.names.iter().map(move |name| directory.join(name)))
            .find(|file| is_executable(file))
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

fn java_version(java: &Path) -> Result<u32> {
    let output = Command::new(java)
        .arg("-version")
        .output()
        .with_context(|| format!("run {} -version", java.display()))?;
    // `java -version` writes to standard error.
    let text = String::from_utf8_lossy(&output.stderr);
    major_version(&text).with_context(|| format!("no version in {text:?}"))
}

/// The major version in what `java -version` prints: `openjdk version "17.0.15" 2025-04-15`, and
/// before Java 9 `java version "1.8.0_412"`.
fn major_version(printed: &str) -> Option<u32> {
    let (_, version) = printed.split_once("version \"")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A directory in which each of `names` is an executable file.
    fn path_with(names: &[&str]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            symlink("/bin/sh", directory.path().join(name)).unwrap();
        }
        directory
    }

    const ALL: [&str; 6] = ["java", "mvn", "gcc", "make", "perl", "setpriv"];

    #[test]
    fn all_missing_tools_are_named_in_one_message_with_their_packages() {
        let path = path_with(&["perl"]);
        let message = check_in(path.path().as_os_str(), |_| Ok(17))
            .unwrap_err()
            .to_string();
        for named in [
            "java 17 or newer (Debian package openjdk-17-jre-headless)",
            "mvn (Debian package maven)",
            "a C compiler (Debian package gcc)",
            "make (Debian package make)",
            "setpriv (Debian package util-linux)",
            "apt-get install openjdk-17-jre-headless maven gcc make util-linux",
        ] {
            assert!(message.contains(named), "{named:?} in {message:?}");
        }
        assert!(!message.contains("perl"), "{message}");
    }

    #[test]
    fn a_java_that_is_too_old_is_named_with_its_version() {
        let path = path_with(&ALL);
        let message = check_in(path.path().as_os_str(), |_| Ok(11))
            .unwrap_err()
            .to_string();
        assert!(message.contains("it is version 11"), "{message}");
        assert!(message.contains("openjdk-17-jre-headless"), "{message}");
    }

    #[test]
    fn tools_are_found_when_all_are_there() {
        let path = path_with(&ALL);
        let tools = check_in(path.path().as_os_str(), |_| Ok(21)).unwrap();
        assert_eq!(tools.java, path.path().join("java"));
        assert_eq!(tools.mvn, path.path().join("mvn"));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_tool() {
        let path = path_with(&ALL[1..]);
        std::fs::write(path.path().join("java"), "").unwrap();
        assert!(check_in(path.path().as_os_str(), |_| Ok(17)).is_err());
    }

    #[test]
    fn java_versions_are_read_in_every_form() {
        for (printed, major) in [
            (
                "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK …",
                Some(17),
            ),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("openjdk version \"22-ea\" 2024-03-19", Some(22)),
            ("java version \"1.8.0_412\"", Some(8)),
            ("Unable to locate a Java Runtime", None),
        ] {
            assert_eq!(major_version(printed), major, "{printed:?}");
        }
    }
}
