//! What the directories look like from outside, in one number. Blocking.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::read::{entries, is_secret_name, manifests};
use super::{Place, release};

/// Names, inodes, sizes and times of every file that
/// would be read. Equal for equal states; a change of content, permission or target of a link shows.
pub(super) fn signature(place: &Place) -> u64 {
    let mut hasher = DefaultHasher::new();
    let manifests = manifests(&place.targets).map(|mut files| {
        files.push((release::FILE.to_owned(), place.targets.join(release::FILE)));
        files
    });
    hash_files(&manifests, &mut hasher);
    if let Some(directory) = &place.secrets {
        let secrets = entries(directory, is_secret_name);
        // Directories are hashed too: a new key shows in the time of its directory.
        hash_files(&secrets, &mut hasher);
        for (_, path) in secrets.unwrap_or_default() {
            hash_files(&entries(&path, is_secret_name), &mut hasher);
        }
    }
    hasher.finish()
}

fn hash_files(files: &io::Result<Vec<(String, PathBuf)>>, hasher: &mut DefaultHasher) {
    let files = match files {
        Ok(files) => files,
        Err(error) => return error.kind().hash(hasher),
    };
    files.len().hash(hasher);
    for (name, path) in files {
        name.hash(hasher);
        match fs::metadata(path) {
            Ok(metadata) => hash_metadata(&metadata, hasher),
            Err(error) => error.kind().hash(hasher),
        }
    }
}

/// The change time is there for permissions, which change nothing else.
fn hash_metadata(metadata: &Metadata, hasher: &mut DefaultHasher) {
    (metadata.dev(), metadata.ino(), metadata.size()).hash(hasher);
    (metadata.mtime(), metadata.mtime_nsec()).hash(hasher);
    (metadata.ctime(), metadata.ctime_nsec()).hash(hasher);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_kind_of_change_shows_in_the_signature() {
        let root = tempfile::tempdir().unwrap();
        let place = Place {
            targets: root.path().join("targets"),
            secrets: Some(root.path().join("secrets")),
        };
        fs::create_dir(&place.targets).unwrap();
        fs::create_dir(root.path().join("secrets")).unwrap();
        let path = |name: &str| place.targets.join(name);
        let mut seen = vec![signature(&place)];
        let mut changed = |what: &str| {
            let now = signature(&place);
            assert_eq!(now, signature(&place), "{what}: not stable");
            assert!(!seen.contains(&now), "{what}: not seen");
            seen.push(now);
        };
        fs::write(path("a.yaml"), "1").unwrap();
        changed("added");
        fs::write(path("a.yaml"), "22").unwrap();
        changed("grown");
        fs::write(path("next"), "33").unwrap();
        fs::rename(path("next"), path("a.yaml")).unwrap();
        changed("replaced");
        fs::write(path("revision"), "1:1").unwrap();
        changed("revision added");
        fs::write(path("revision"), "1:2").unwrap();
        changed("revision changed");
        fs::rename(path("a.yaml"), path("b.yaml")).unwrap();
        changed("renamed");
        fs::create_dir(root.path().join("secrets/token")).unwrap();
        changed("secret added");
        fs::write(root.path().join("secrets/token/value"), "1").unwrap();
        changed("key added");
        fs::write(root.path().join("secrets/token/value"), "22").unwrap();
        changed("key changed");
        symlink("b.yaml", path("c.yaml")).unwrap();
        changed("link added");
        fs::remove_file(path("b.yaml")).unwrap();
        changed("link broken");
        fs::remove_dir_all(&place.targets).unwrap();
        changed("directory gone");
    }
}
