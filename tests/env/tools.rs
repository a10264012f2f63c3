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

/// A version as far as it matters here: its first two numbers.
type Version = (u32, u32);

/// A tool, under any of its names.
struct Tool {
    what: &'static str,
    names: &'static [&'static str],
    debian_package: &'static str,
    oldest: Option<Oldest>,
}

/// The oldest version that will do, and how a tool is asked for its own.
struct Oldest {
    version: Version,
    question: &'static str,
    answer: fn(&str) -> Option<Version>,
}

/// Kafka 4 brokers run on Java 17 (Kafka's documentation, "Java Version").
const JAVA: Tool = Tool {
    what: "java 17 or newer",
    oldest: Some(Oldest {
        version: (17, 0),
        question: "-version",
        answer: java_version,
    }),
    ..Tool::any("java", &["java"], "openjdk-17-jre-headless")
};

const MAVEN: Tool = Tool::any("mvn", &["mvn"], "maven");

/// The `go.mod` of Kubernetes 1.36 asks for Go 1.26.
const GO: Tool = Tool {
    what: "go 1.26 or newer",
    oldest: Some(Oldest {
        version: (1, 26),
        question: "version",
        answer: go_version,
    }),
    ..Tool::any("go", &["go"], "golang-1.26-go")
};

/// Where Debian's package of [`GO`] puts it: `PATH` has the default version of that Debian.
const DEBIAN_GO: &str = "/usr/lib/go-1.26/bin";

/// What only has to be there; librdkafka and the cryptography are built with the first three.
const OTHERS: [Tool; 4] = [
    Tool::any("a C compiler", &["cc", "gcc", "clang"], "gcc"),
    Tool::any("make", &["make"], "make"),
    Tool::any("perl", &["perl"], "perl"),
    Tool::any("setpriv", &["setpriv"], "util-linux"),
];

/// The tools that the environment itself calls.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Java's launcher.
    pub java: PathBuf,
    /// Maven.
    pub mvn: PathBuf,
    /// Go's command.
    pub go: PathBuf,
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

/// Finds the tools in this process's `PATH`, and where Debian puts this Go.
///
/// # Errors
/// [`Missing`], naming all that are missing at once.
pub fn check() -> Result<Tools> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(DEBIAN_GO);
    Ok(check_in(&path, ask_version)?)
}

/// Finds the tools in `path`; `version_of` asks a tool for its version.
fn check_in(
    path: &OsStr,
    version_of: impl Fn(&Oldest, &Path) -> Result<Version>,
) -> Result<Tools, Missing> {
    let mut missing = Vec::new();
    let mut want = |tool: &Tool| match tool.find(path, &version_of) {
        Ok(found) => Some(found),
        Err(what) => {
            missing.push((what, tool.debian_package));
            None
        }
    };
    let called = (want(&JAVA), want(&MAVEN), want(&GO));
    for tool in &OTHERS {
        want(tool);
    }
    match called {
        (Some(java), Some(mvn), Some(go)) if missing.is_empty() => Ok(Tools { java, mvn, go }),
        _ => Err(Missing { tools: missing }),
    }
}

impl Tool {
    /// A tool of whatever version, in `PATH` only.
    const fn any(
        what: &'static str,
        names: &'static [&'static str],
        debian_package: &'static str,
    ) -> Self {
        Self {
            what,
            names,
            debian_package,
            oldest: None,
        }
    }

    /// The first that is new enough, in the order of `path`; otherwise what is missing, and what is
    /// there instead.
    fn find(
        &self,
        path: &OsStr,
        version_of: impl Fn(&Oldest, &Path) -> Result<Version>,
    ) -> Result<PathBuf, String> {
        let mut what = self.what.to_owned();
        for found in self.executables(path) {
            let Some(oldest) = &self.oldest else {
                return Ok(found);
            };
            let instead = match version_of(oldest, &found) {
                Ok(version) if version >= oldest.version => return Ok(found),
                Ok((major, minor)) => format!("it is version {major}.{minor}"),
                Err(error) => format!("{error:#}"),
            };
            what += &format!(" ({} is no such: {instead})", found.display());
        }
        Err(what)
    }

    /// The executable files of its names.
    fn executables(&self, path: &OsStr) -> impl Iterator<Item = PathBuf> {
        std::env::split_paths(path)
            .flat_map(|directory| self.names.iter().map(move |name| directory.join(name)))
            .filter(|file| is_executable(file))
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

fn ask_version(oldest: &Oldest, tool: &Path) -> Result<Version> {
    let output = Command::new(tool)
        .arg(oldest.question)
        .output()
        .with_context(|| format!("run {} {}", tool.display(), oldest.question))?;
    // `java -version` writes to standard error, `go version` to standard output.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    (oldest.answer)(&text).with_context(|| format!("no version in {text:?}"))
}

/// The version in what `java -version` prints: `openjdk version "17.0.15" 2025-04-15`, and before
/// Java 9 `java version "1.8.0_412"`, which everybody calls version 8.
fn java_version(printed: &str) -> Option<Version> {
    let (_, version) = printed.split_once("version \"")?;
    match numbers(version)? {
        (1, major) => Some((major, 0)),
        version => Some(version),
    }
}

/// The version in what `go version` prints: `go version go1.26.8 linux/amd64`.
fn go_version(printed: &str) -> Option<Version> {
    let (_, version) = printed.split_once("version go")?;
    numbers(version)
}

/// The first two numbers of a version; the second is 0 when there is none.
fn numbers(version: &str) -> Option<Version> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|number| number.parse().ok());
    Some((major, minor.unwrap_or(0)))
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

    const ALL: [&str; 7] = ["java", "mvn", "go", "gcc", "make", "perl", "setpriv"];

    /// As if every tool were of its oldest good version.
    fn old_enough(oldest: &Oldest, _: &Path) -> Result<Version> {
        Ok(oldest.version)
    }

    /// As if every tool said that it is of this version.
    fn all_are(version: Version) -> impl Fn(&Oldest, &Path) -> Result<Version> {
        move |_, _| Ok(version)
    }

    #[test]
    fn all_missing_tools_are_named_in_one_message_with_their_packages() {
        let path = path_with(&["perl"]);
        let message = check_in(path.path().as_os_str(), old_enough)
            .unwrap_err()
            .to_string();
        for named in [
            "java 17 or newer (Debian package openjdk-17-jre-headless)",
            "mvn (Debian package maven)",
            "go 1.26 or newer (Debian package golang-1.26-go)",
            "a C compiler (Debian package gcc)",
            "make (Debian package make)",
            "setpriv (Debian package util-linux)",
            "apt-get install openjdk-17-jre-headless maven golang-1.26-go gcc make util-linux",
        ] {
            assert!(message.contains(named), "{named:?} in {message:?}");
        }
        assert!(!message.contains("perl"), "{message}");
    }

    #[test]
    fn a_tool_that_is_too_old_is_named_with_its_version() {
        let path = path_with(&ALL);
        let message = check_in(path.path().as_os_str(), all_are((1, 25)))
            .unwrap_err()
            .to_string();
        for named in [
            "openjdk-17-jre-headless",
            "/go is no such: it is version 1.25",
            "golang-1.26-go",
        ] {
            assert!(message.contains(named), "{named:?} in {message:?}");
        }
        assert!(!message.contains("maven"), "{message}");
    }

    #[test]
    fn a_tool_that_is_too_old_does_not_hide_a_later_one_that_is_not() {
        let (old, new) = (path_with(&ALL), path_with(&["go"]));
        let path = std::env::join_paths([old.path(), new.path()]).unwrap();
        let version_of = |oldest: &Oldest, tool: &Path| {
            let is_old_go = tool == old.path().join("go");
            Ok(if is_old_go { (1, 19) } else { oldest.version })
        };
        let tools = check_in(&path, version_of).unwrap();
        assert_eq!(tools.go, new.path().join("go"));
    }

    #[test]
    fn tools_are_found_when_all_are_there() {
        let path = path_with(&ALL);
        let tools = check_in(path.path().as_os_str(), all_are((21, 0))).unwrap();
        assert_eq!(tools.java, path.path().join("java"));
        assert_eq!(tools.mvn, path.path().join("mvn"));
        assert_eq!(tools.go, path.path().join("go"));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_tool() {
        let path = path_with(&ALL[1..]);
        std::fs::write(path.path().join("java"), "").unwrap();
        assert!(check_in(path.path().as_os_str(), old_enough).is_err());
    }

    #[test]
    fn versions_are_read_in_every_form() {
        let java: fn(&str) -> Option<Version> = java_version;
        for (read, printed, version) in [
            (
                java,
                "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK …",
                Some((17, 0)),
            ),
            (java, "openjdk version \"25\" 2025-09-16", Some((25, 0))),
            (java, "openjdk version \"22-ea\" 2024-03-19", Some((22, 0))),
            (java, "java version \"1.8.0_412\"", Some((8, 0))),
            (java, "Unable to locate a Java Runtime", None),
            (go_version, "go version go1.26.8 linux/amd64", Some((1, 26))),
            (
                go_version,
                "go version go1.27rc1 linux/arm64",
                Some((1, 27)),
            ),
            (go_version, "go version devel linux/amd64", None),
        ] {
            assert_eq!(read(printed), version, "{printed:?}");
        }
    }
}
