//! The last configuration that ran, in a directory: for a worker that starts while the API server does
//! not answer.
//!
//! ```text
//!   manifest          replaced last, at once
//!   shard-<name>      as many as it names
//! ```
//!
//! It holds secrets: the directory is a volume in memory, and files are the worker's alone. Owns the
//! files of these names, and leaves others alone. Blocking.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use parcelhook_crds::config::{Manifest, ShardName};
use tempfile::NamedTempFile;

const MANIFEST: &str = "manifest";
const SHARD: &str = "shard-";

/// Largest file. What a Secret may hold is smaller.
const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    directory: PathBuf,
}

/// A configuration that was kept.
pub(super) struct Files {
    pub(super) manifest: Vec<u8>,
    /// What is there of the shards that it names.
    pub(super) shards: Vec<(ShardName, Vec<u8>)>,
}

impl Kept {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Reads what was kept; none when nothing was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(&self) -> io::Result<Option<Files>> {
        let Some(manifest) = self.bytes(MANIFEST)? else {
            return Ok(None);
        };
        let named = Manifest::decode(&manifest).map_err(io::Error::other)?;
        let mut shards = Vec::new();
        for name in named.named() {
            if let Some(bytes) = self.bytes(&format!("{SHARD}{name}"))? {
                shards.push((name.clone(), bytes));
            }
        }
        Ok(Some(Files { manifest, shards }))
    }

    /// Keeps a shard. It counts once a manifest names it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_shard(&self, name: &ShardName, bytes: &[u8]) -> io::Result<()> {
        self.write(&format!("{SHARD}{name}"), bytes)
    }

    /// Keeps a manifest, all of whose shards were kept, and removes the shards that it does not name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, manifest: &[u8]) -> io::Result<()> {
        self.write(MANIFEST, manifest)?;
        let named = Manifest::decode(manifest).map_err(io::Error::other)?;
        let named: BTreeSet<String> = named.named().map(|name| format!("{SHARD}{name}")).collect();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(SHARD) && !named.contains(&name) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// A reader sees the whole file or none of it. Readable by the worker's user alone.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(self.directory.join(name))?;
        Ok(())
    }

    fn bytes(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match fs::File::open(self.directory.join(name)) {
            Ok(file) => file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::assembly::tests::written;
    use super::*;
    use crate::targets::sample;

    #[test]
    fn a_configuration_comes_back_and_shards_that_nobody_names_go() {
        let directory = tempfile::tempdir().unwrap();
        let kept = Kept::new(directory.path().to_owned());
        assert!(kept.read().unwrap().is_none());
        for number in 1..=2 {
            let configuration = written(number, [sample::target()]);
            for (name, bytes) in &configuration.shards {
                kept.keep_shard(name, bytes).unwrap();
            }
            kept.keep(&configuration.manifest).unwrap();
            let files = kept.read().unwrap().unwrap();
            assert_eq!(files.manifest, configuration.manifest);
            assert_eq!(files.shards, configuration.shards);
        }
        fs::write(directory.path().join("shard-old"), "x").unwrap();
        kept.keep(&written(3, []).manifest).unwrap();
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let mode = fs::metadata(directory.path().join(MANIFEST)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(MANIFEST), "x").unwrap();
        assert!(Kept::new(directory.path().to_owned()).read().is_err());
    }
}
