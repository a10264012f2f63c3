//! What was in the directories at one moment: plain data, between the reading and the thinking.

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelhook_crds::secret::Secret;

use super::release::{Files, Said};

/// The manifests and Secrets at one moment.
#[derive(Debug)]
pub(super) struct Scan {
    /// What the file `revision` said before the manifests were read: whoever writes it last never has
    /// it read with manifests that are older.
    pub(super) revision: Said,
    /// The manifests by name; `Err` when the directory itself could not be read.
    pub(super) files: Result<Files, String>,
    /// The Secrets.
    pub(super) secrets: Secrets,
}

/// The bytes of a manifest file, or why they could not be read.
pub(super) type Content = Result<Arc<[u8]>, String>;

/// The Secrets of `--secrets-dir` at one moment: `<name>/<key>`. `Debug` shows no value.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Why none could be read, when that is so.
    pub(super) unreadable: Option<String>,
    /// By name.
    pub(super) values: BTreeMap<String, Keys>,
}

/// The values of a Secret by key, each or all of them with a reason when they could not be read.
pub(super) type Keys = Result<BTreeMap<String, Result<Secret, String>>, String>;

/// What was found for a reference to a Secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Its value, byte for byte as in the file.
    Found(&'a Secret),
    /// There is no directory of this name.
    NoSecret,
    /// The directory has no file for the key.
    NoKey,
    /// It is there, and cannot be read. Holds no secret.
    Unreadable(&'a str),
}

impl Secrets {
    /// Looks a reference up.
    pub fn get(&self, name: &str, key: &str) -> Lookup<'_> {
        if let Some(why) = &self.unreadable {
            return Lookup::Unreadable(why);
        }
        let keys = match self.values.get(name) {
            None => return Lookup::NoSecret,
            Some(Err(why)) => return Lookup::Unreadable(why),
            Some(Ok(keys)) => keys,
        };
        match keys.get(key) {
            None => Lookup::NoKey,
            Some(Ok(value)) => Lookup::Found(value),
            Some(Err(why)) => Lookup::Unreadable(why),
        }
    }
}
