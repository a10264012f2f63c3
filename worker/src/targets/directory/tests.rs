//! The shell on real directories. The clock is paused: it jumps from look to look, so nothing waits.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::targets::fake::{FakeCompiler, manifest, manifest_with_secret};

/// A watched directory.
struct Watched {
    root: TempDir,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

fn place(root: &Path) -> Place {
    Place {
        targets: root.join("targets"),
        secrets: Some(root.join("secrets")),
    }
}

impl Watched {
    /// Prepares the directory, loads it, and watches it.
    fn start(prepare: impl FnOnce(&Path)) -> (Self, impl Future<Output = ()>) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("targets")).unwrap();
        fs::create_dir(root.path().join("secrets")).unwrap();
        prepare(root.path());
        let opened = Directory::open(place(root.path()), "default", FakeCompiler::default());
        let (directory, first) = opened.unwrap();
        let (publish, snapshots) = watch::channel(first);
        (Self { root, snapshots }, directory.watch(publish))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.root.path().join(file), text).unwrap();
    }

    /// Waits for the snapshot that looks like this.
    async fn eventually(&mut self, expected: &str) {
        let wait = self
            .snapshots
            .wait_for(|snapshot| shown(snapshot) == expected);
        let found = tokio::time::timeout(Duration::from_secs(60), wait).await;
        let found = found.is_ok_and(|found| found.is_ok());
        assert!(found, "{expected}, not {}", shown(&self.snapshots.borrow()));
    }
}

/// What runs, and how many problems there are.
fn shown(snapshot: &Snapshot) -> String {
    let targets = snapshot.targets.iter();
    let targets: Vec<String> = targets
        .map(|target| {
            let keys = target.signing_keys.iter();
            let keys: String = keys
                .map(|key| String::from_utf8_lossy(key.expose()))
                .collect();
            format!("{}={}{keys}", target.name, target.endpoint.shown_url)
        })
        .collect();
    format!("{} !{}", targets.join(" "), snapshot.problems.len())
}

/// Runs the watch beside a story, and ends it with the story.
async fn told(watch: impl Future<Output = ()>, story: impl Future<Output = ()>) {
    tokio::select! {
        () = watch => panic!("the watch ended"),
        () = story => {}
    }
}

#[tokio::test(start_paused = true)]
async fn edits_are_published_and_a_broken_file_keeps_what_ran() {
    let (mut watched, watch) = Watched::start(|root| {
        fs::write(root.join("targets/a.yaml"), manifest("a", "1")).unwrap();
    });
    told(watch, async {
        watched.eventually("a=1 !0").await;
        watched.write("targets/a.yaml", &manifest("a", "22"));
        watched.eventually("a=22 !0").await;
        watched.write(
            "targets/b.json",
            r#"{"kind":"DeliveryTarget","metadata":{"name":"b"},"spec":{"url":"1"}}"#,
        );
        watched.eventually("a=22 b=1 !0").await;
        watched.write("targets/a.yaml", "kind: [");
        watched.eventually("a=22 b=1 !1").await;
        watched.write("targets/a.yaml", &manifest("a", "333"));
        watched.eventually("a=333 b=1 !0").await;
        fs::remove_file(watched.root.path().join("targets/a.yaml")).unwrap();
        watched.eventually("b=1 !0").await;
        let secret = manifest_with_secret("s", "token/value");
        watched.write("targets/s.yaml", &secret);
        watched.eventually("b=1 !1").await;
        fs::create_dir(watched.root.path().join("secrets/token")).unwrap();
        watched.write("secrets/token/value", "old");
        watched.eventually("b=1 s=uold !0").await;
        watched.write("secrets/token/value", "rotated");
        watched.eventually("b=1 s=urotated !0").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_config_map_swaps_all_its_files_at_once() {
    let version = |root: &Path, name: &str, url: &str| {
        let directory = root.join("targets").join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.yaml"), manifest("a", url)).unwrap();
        fs::write(directory.join("b.yaml"), manifest("b", url)).unwrap();
    };
    let (mut watched, watch) = Watched::start(|root| {
        version(root, "..2026_01", "1");
        symlink("..2026_01", root.join("targets/..data")).unwrap();
        for file in ["a.yaml", "b.yaml"] {
            let link = root.join("targets").join(file);
            symlink(Path::new("..data").join(file), link).unwrap();
        }
    });
    told(watch, async {
        watched.eventually("a=1 b=1 !0").await;
        let root = watched.root.path().to_owned();
        version(&root, "..2026_02", "2");
        symlink("..2026_02", root.join("targets/..data_tmp")).unwrap();
        fs::rename(root.join("targets/..data_tmp"), root.join("targets/..data")).unwrap();
        fs::remove_dir_all(root.join("targets/..2026_01")).unwrap();
        watched.eventually("a=2 b=2 !0").await;
        assert_eq!(watched.snapshots.borrow().changes, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_goes_away_and_comes_back_ends_nothing() {
    let (mut watched, watch) = Watched::start(|root| {
        fs::write(root.join("targets/a.yaml"), manifest("a", "1")).unwrap();
    });
    told(watch, async {
        let targets = watched.root.path().join("targets");
        let away = watched.root.path().join("away");
        fs::rename(&targets, &away).unwrap();
        watched.eventually("a=1 !1").await;
        fs::rename(&away, &targets).unwrap();
        watched.eventually("a=1 !0").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_a_revision_changes_count_when_it_rises_and_secrets_at_once() {
    let (mut watched, watch) = Watched::start(|root| {
        fs::write(root.join("targets/revision"), "1:1").unwrap();
        let secret = manifest_with_secret("a", "token/value");
        fs::write(root.join("targets/a.yaml"), secret).unwrap();
        fs::create_dir(root.join("secrets/token")).unwrap();
        fs::write(root.join("secrets/token/value"), "old").unwrap();
    });
    told(watch, async {
        watched.eventually("a=uold !0").await;
        watched.write("targets/b.yaml", &manifest("b", "1"));
        watched.eventually("a=uold !1").await;
        watched.write("secrets/token/value", "rotated");
        watched.eventually("a=urotated !1").await;
        watched.write("targets/revision", "1:2");
        watched.eventually("a=urotated b=1 !0").await;
        let revision = watched.snapshots.borrow().revision;
        assert_eq!(revision, "1:2".parse().ok());
        fs::remove_file(watched.root.path().join("targets/revision")).unwrap();
        watched.eventually("a=urotated b=1 !1").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_watch_ends_when_nobody_listens() {
    let (watched, watch) = Watched::start(|_| {});
    drop(watched.snapshots);
    watch.await;
}

#[test]
fn a_directory_that_cannot_be_read_is_an_error_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let open = || Directory::open(place(root.path()), "default", FakeCompiler::default());
    assert!(matches!(open(), Err(OpenError::Targets(_))));
    fs::create_dir(root.path().join("targets")).unwrap();
    assert!(matches!(open(), Err(OpenError::Secrets(_))));
    fs::create_dir(root.path().join("secrets")).unwrap();
    assert!(open().is_ok_and(|(_, snapshot)| snapshot.changes == 1));
    fs::write(root.path().join("targets/revision"), "42").unwrap();
    let error = open().unwrap_err().to_string();
    assert_eq!(
        error,
        "targets: the file `revision` is not of the form <lineage>:<number>, such as 1:42; write it as <lineage>:<number>, or remove it"
    );
}

#[test]
fn a_change_is_read_when_two_looks_are_alike() {
    let mut rest = Rest::default();
    assert_eq!(rest.look(1), Look::Wait);
    assert_eq!(rest.look(1), Look::Read, "the first load is read once more");
    rest.was_read(1);
    assert_eq!(rest.look(1), Look::Wait);
    assert_eq!(rest.look(2), Look::Wait);
    assert_eq!(rest.look(3), Look::Wait);
    assert_eq!(rest.look(3), Look::Read);
    rest.was_read(3);
    // A change that is taken back is none.
    assert_eq!(rest.look(4), Look::Wait);
    assert_eq!(rest.look(3), Look::Wait);
    assert_eq!(rest.look(4), Look::Wait);
}

#[test]
fn directories_that_never_rest_are_read_all_the_same() {
    let mut rest = Rest::default();
    rest.was_read(0);
    let looks: Vec<Look> = (1..=4).map(|signature| rest.look(signature)).collect();
    let wait = Look::Wait;
    assert_eq!(looks, [wait, wait, wait, Look::ReadAnyway]);
}
