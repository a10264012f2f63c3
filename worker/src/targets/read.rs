//! Reads the directories of manifests and Secrets. Blocking; belongs off the hot threads.
//!
//! Every read is bounded. What cannot be read is told in its place, so that one bad file never hides
//! the others. Kubernetes mounts a ConfigMap or Secret as links through a `..data` directory that it
//! swaps at once: links are followed, and names that begin with `..` (or a dot, for manifests) are
//! not looked at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parcelhook_crds::secret::Secret;

use super::Place;
use super::release::{self, Files, Said};
use super::scan::{Keys, Scan, Secrets};

/// Largest manifest file: some two thousand targets in one file.
pub(super) const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// Largest file of a Secret: what a whole Secret of Kubernetes may hold.
pub(super) const MAX_SECRET_BYTES: u64 = 1 << 20;

/// All manifests, and all Secrets, together. Beyond it files are refused one by one.
const MAX_TOTAL_BYTES: u64 = 64 << 20;

/// Entries of one directory. Beyond it the directory counts as unreadable.
const MAX_ENTRIES: usize = 10_000;

/// Reads everything.
pub(super) fn scan(place: &Place) -> Scan {
    Scan {
        revision: revision(&place.targets),
        files: manifests(&place.targets)
            .map(read_manifests)
            .map_err(|error| cannot_be_read(&place.targets, &error)),
        secrets: match &place.secrets {
            Some(directory) => secrets(directory),
            None => Secrets::default(),
        },
    }
}

fn revision(directory: &Path) -> Said {
    match Reader::new(MAX_MANIFEST_BYTES).read(&directory.join(release::FILE)) {
        None => Said::Nothing,
        Some(Ok(content)) => Said::of(&content),
        Some(Err(why)) => Said::Unusable(why),
    }
}

fn read_manifests(files: Vec<(String, PathBuf)>) -> Files {
    let mut reader = Reader::new(MAX_MANIFEST_BYTES);
    let mut contents = BTreeMap::new();
    for (name, path) in files {
        if let Some(content) = reader.read(&path) {
            contents.insert(name, content.map(Arc::from));
        }
    }
    contents
}

fn secrets(directory: &Path) -> Secrets {
    let names = match entries(directory, is_secret_name) {
        Ok(names) => names,
        Err(error) => {
            return Secrets {
                unreadable: Some(cannot_be_read(directory, &error)),
                values: BTreeMap::new(),
            };
        }
    };
    let mut reader = Reader::new(MAX_SECRET_BYTES);
    let mut values = BTreeMap::new();
    for (name, path) in names {
        // A plain file beside the directories is no Secret.
        if !path.is_dir() {
            continue;
        }
        values.insert(name, keys(&path, &mut reader));
    }
    Secrets {
        unreadable: None,
        values,
    }
}

fn keys(directory: &Path, reader: &mut Reader) -> Keys {
    let files = entries(directory, is_secret_name);
    let files = files.map_err(|error| cannot_be_read(directory, &error))?;
    let read = files.into_iter().filter_map(|(key, path)| {
        let content = reader.read(&path)?;
        Some((key, content.map(Secret::new)))
    });
    Ok(read.collect())
}

pub(super) fn manifests(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    entries(directory, |name| {
        let known = [".yaml", ".yml", ".json"];
        !name.starts_with('.') && known.iter().any(|extension| name.ends_with(extension))
    })
}

/// Keys of Secrets may begin with one dot (`.dockerconfigjson`), not with two.
pub(super) fn is_secret_name(name: &str) -> bool {
    !name.starts_with("..")
}

/// The entries that are wanted, by name.
pub(super) fn entries(
    directory: &Path,
    wanted: fn(&str) -> bool,
) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !wanted(&name) {
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            let message =
                format!("holds more than {MAX_ENTRIES} files; split it between worker groups");
            return Err(io::Error::other(message));
        }
        entries.push((name, entry.path()));
    }
    entries.sort();
    Ok(entries)
}

fn cannot_be_read(directory: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", directory.display())
}

/// Reads files, each and all together bounded.
struct Reader {
    max_file_bytes: u64,
    remaining: u64,
}

impl Reader {
    fn new(max_file_bytes: u64) -> Self {
        Self {
            max_file_bytes,
            remaining: MAX_TOTAL_BYTES,
        }
    }

    /// The bytes, or what is wrong. None when the file went away since the directory was listed.
    fn read(&mut self, path: &Path) -> Option<Result<Vec<u8>, String>> {
        let error = match self.try_read(path) {
            Ok(content) => return Some(content),
            Err(error) => error,
        };
        if error.kind() != io::ErrorKind::NotFound {
            return Some(Err(format!("cannot be read: {error}")));
        }
        // A name that is still there, and leads nowhere, is a broken link.
        let link = fs::symlink_metadata(path).is_ok();
        link.then(|| Err("is a link to a file that does not exist".to_owned()))
    }

    fn try_read(&mut self, path: &Path) -> io::Result<Result<Vec<u8>, String>> {
        // Asked first: opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Ok(Err("is not a file".to_owned()));
        }
        let limit = self.max_file_bytes.min(self.remaining);
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        let length = bytes.len() as u64;
        if length > self.max_file_bytes {
            let limit = self.max_file_bytes;
            return Ok(Err(format!("is larger than {limit} bytes; split it")));
        }
        if length > self.remaining {
            return Ok(Err(format!(
                "is beyond the {MAX_TOTAL_BYTES} bytes that the directory may hold; split it between worker groups"
            )));
        }
        self.remaining -= length;
        Ok(Ok(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;
    use crate::targets::Lookup;
    use crate::targets::scan::Content;

    fn place() -> (TempDir, Place) {
        let root = tempfile::tempdir().unwrap();
        let place = Place {
            targets: root.path().join("targets"),
            secrets: Some(root.path().join("secrets")),
        };
        fs::create_dir(&place.targets).unwrap();
        fs::create_dir(root.path().join("secrets")).unwrap();
        (root, place)
    }

    /// Name and content, or name and complaint.
    fn files(place: &Place) -> Vec<(String, String)> {
        let files = scan(place).files.unwrap();
        let text = |content: Content| match content {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(message) => message,
        };
        files
            .into_iter()
            .map(|(name, content)| (name, text(content)))
            .collect()
    }

    #[test]
    fn only_visible_manifests_of_the_directory_itself_are_read() {
        let (_root, place) = place();
        for name in [
            "b.yml",
            "a.yaml",
            "c.json",
            ".hidden.yaml",
            "..data.yaml",
            "README.md",
            "x.yaml~",
        ] {
            fs::write(place.targets.join(name), name).unwrap();
        }
        fs::create_dir(place.targets.join("below")).unwrap();
        fs::write(place.targets.join("below/d.yaml"), "d").unwrap();
        let expected = ["a.yaml", "b.yml", "c.json"].map(|name| (name.to_owned(), name.to_owned()));
        assert_eq!(files(&place), expected);
    }

    #[test]
    fn what_cannot_be_read_is_told_in_its_place() {
        let (_root, place) = place();
        let path = |name: &str| place.targets.join(name);
        fs::write(path("a.yaml"), "good").unwrap();
        fs::create_dir(path("b.yaml")).unwrap();
        symlink(path("nowhere"), path("c.yaml")).unwrap();
        symlink(path("d.yaml"), path("d.yaml")).unwrap();
        let large = File::create(path("e.yaml")).unwrap();
        large.set_len(MAX_MANIFEST_BYTES + 1).unwrap();
        let files = files(&place);
        for ((name, content), expected) in files.iter().zip([
            "good",
            "is not a file",
            "is a link to a file that does not exist",
            "cannot be read: ",
            "is larger than 4194304 bytes; split it",
        ]) {
            assert!(content.starts_with(expected), "{name}: {content}");
        }
        assert_eq!(files.len(), 5);
    }

    #[test]
    fn a_directory_has_a_bound_in_all() {
        let (_root, place) = place();
        for number in 10..27 {
            let file = File::create(place.targets.join(format!("{number}.yaml"))).unwrap();
            file.set_len(MAX_MANIFEST_BYTES).unwrap();
        }
        let files = scan(&place).files.unwrap();
        let refused: Vec<&String> = files
            .iter()
            .filter(|(_, content)| content.is_err())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(refused, ["26.yaml"]);
    }

    #[test]
    fn secrets_are_files_below_their_name() {
        let (root, place) = place();
        let secrets = root.path().join("secrets");
        fs::create_dir_all(secrets.join("token/..2026_01")).unwrap();
        fs::write(secrets.join("token/..2026_01/value"), "hunter2\n").unwrap();
        symlink("..2026_01", secrets.join("token/..data")).unwrap();
        symlink("..data/value", secrets.join("token/value")).unwrap();
        fs::write(secrets.join("token/.dotted"), "x").unwrap();
        fs::write(secrets.join("loose"), "x").unwrap();
        let large = File::create(secrets.join("token/large")).unwrap();
        large.set_len(MAX_SECRET_BYTES + 1).unwrap();
        let secrets = scan(&place).secrets;
        assert_eq!(
            secrets.get("token", "value"),
            Lookup::Found(&Secret::new("hunter2\n"))
        );
        assert_eq!(
            secrets.get("token", ".dotted"),
            Lookup::Found(&Secret::new("x"))
        );
        assert_eq!(secrets.get("token", "..data"), Lookup::NoKey);
        assert_eq!(secrets.get("loose", "x"), Lookup::NoSecret);
        let large = Lookup::Unreadable("is larger than 1048576 bytes; split it");
        assert_eq!(secrets.get("token", "large"), large);
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_whose_directory_cannot_be_listed_is_told_as_such() {
        let (root, place) = place();
        let secret = root.path().join("secrets/token");
        fs::create_dir(&secret).unwrap();
        for number in 0..=MAX_ENTRIES {
            File::create(secret.join(number.to_string())).unwrap();
        }
        let secrets = scan(&place).secrets;
        let Lookup::Unreadable(why) = secrets.get("token", "0") else {
            panic!("{:?}", secrets.get("token", "0"));
        };
        assert!(why.contains("token cannot be read: holds more"), "{why}");
    }

    #[test]
    fn a_missing_directory_is_an_error_and_no_empty_one() {
        let (_root, place) = place();
        fs::remove_dir(&place.targets).unwrap();
        fs::remove_dir(place.secrets.as_ref().unwrap()).unwrap();
        let scan = scan(&place);
        assert!(scan.files.unwrap_err().contains("cannot be read"));
        assert!(matches!(scan.secrets.get("a", "b"), Lookup::Unreadable(_)));
    }

    #[test]
    fn the_revision_is_a_file_beside_the_manifests() {
        let (_root, place) = place();
        let path = place.targets.join("revision");
        assert_eq!(scan(&place).revision, Said::Nothing);
        fs::write(&path, "1:42\n").unwrap();
        assert_eq!(scan(&place).revision, Said::of(b"1:42"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let unusable = Said::Unusable("is not a file".to_owned());
        assert_eq!(scan(&place).revision, unusable);
        assert!(files(&place).is_empty(), "it is no manifest");
    }
}
