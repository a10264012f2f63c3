//! A shard: the entries of some targets, packed and named by what it holds.
//!
//! Its name is a SHA-256 over its content, so a shard never changes and two writers of the same content
//! write the same object. The content begins with a salt that only readers of the manifest know: a name
//! alone gives nobody a way to guess at a secret within.

use std::fmt;
use std::io;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::target::{Read, Written};
use super::zip;
use crate::compiled::CompiledTarget;

/// Bytes of the digest that make the name.
const DIGEST_BYTES: usize = 16;

/// What the group's workers run of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The generation that was compiled.
    pub generation: i64,
    /// The target may not run as it is asked for now: its events are kept, and nothing is sent.
    pub held: bool,
    /// The target, without requests.
    pub target: CompiledTarget,
}

impl Entry {
    /// The target as a worker runs it.
    pub fn into_target(self) -> CompiledTarget {
        CompiledTarget {
            suspend: self.target.suspend || self.held,
            ..self.target
        }
    }
}

/// An entry that cannot be read: a later version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compiled target cannot be read: {message}; a later version wrote it")]
pub struct Unreadable {
    /// The target.
    pub uid: Uuid,
    /// The generation that was compiled.
    pub generation: i64,
    /// What is wrong; holds no secret.
    pub message: String,
}

/// A shard's name: 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardName(String);

impl ShardName {
    /// Reads a name; none for what is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_name = text.len() == 2 * DIGEST_BYTES && text.bytes().all(digit);
        is_name.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A shard that is ready to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Its name.
    pub name: ShardName,
    /// Its bytes, packed. They hold secrets.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("name", &self.name)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Why a shard cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// It is not packed as it should be.
    #[error("the shard cannot be unpacked: {0}")]
    Packed(#[from] io::Error),
    /// It is not what its name says.
    #[error("the shard named {name} holds something else; somebody has changed it")]
    Changed {
        /// The name.
        name: ShardName,
    },
    /// It has another form.
    #[error("the shard has a form that this version does not know, at line {line}")]
    Form {
        /// Line of its JSON.
        line: usize,
    },
}

/// The number of the shard that a target belongs to, of `shards`. The uid's own bits are random where
/// an API server gave it; they are hashed all the same, because a uid may also be made from a name.
pub fn shard_of(uid: Uuid, shards: usize) -> usize {
    let digest = digest(&SHA256, uid.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    let rest = u64::from_be_bytes(first) % (shards.max(1) as u64);
    usize::try_from(rest).unwrap_or(0)
}

#[derive(Serialize, Deserialize)]
struct Content<E> {
    salt: Uuid,
    entries: Vec<E>,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    uid: Uuid,
    generation: i64,
    held: bool,
    target: Written<'a>,
}

#[derive(Deserialize)]
struct EntryIn {
    uid: Uuid,
    generation: i64,
    #[serde(default)]
    held: bool,
    target: Box<RawValue>,
}

/// A shard as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// What can be read.
    pub entries: Vec<Entry>,
    /// What cannot.
    pub unreadable: Vec<Unreadable>,
}

impl Shard {
    /// Packs entries. They are sorted, so the same entries make the same shard.
    pub fn encode(salt: Uuid, entries: &[&Entry]) -> Encoded {
        let mut entries: Vec<_> = entries.iter().map(|entry| out(entry)).collect();
        entries.sort_by_key(|entry| entry.uid);
        // Strings, numbers and fixed fields only: nothing in it can fail.
        let json = serde_json::to_vec(&Content { salt, entries }).unwrap_or_default();
        Encoded {
            name: name_of(&json),
            bytes: zip::pack(&json),
        }
    }

    /// Reads a shard, and checks that it is the one of that name.
    ///
    /// # Errors
    /// When the whole shard cannot be used. An entry that cannot be read is no error.
    pub fn decode(name: &ShardName, bytes: &[u8]) -> Result<Self, ShardError> {
        let json = zip::unpack(bytes)?;
        if name_of(&json) != *name {
            return Err(ShardError::Changed { name: name.clone() });
        }
        // The parser's own words may hold a part of a secret.
        let content: Content<EntryIn> = serde_json::from_slice(&json)
            .map_err(|error| ShardError::Form { line: error.line() })?;
        let mut shard = Self::default();
        for entry in content.entries {
            match serde_json::from_str::<Read>(entry.target.get()) {
                Ok(Read(target)) => shard.entries.push(Entry {
                    generation: entry.generation,
                    held: entry.held,
                    target,
                }),
                Err(error) => shard.unreadable.push(Unreadable {
                    uid: entry.uid,
                    generation: entry.generation,
                    message: told(&error),
                }),
            }
        }
        Ok(shard)
    }
}

fn out(entry: &Entry) -> EntryOut<'_> {
    EntryOut {
        uid: entry.target.uid,
        generation: entry.generation,
        held: entry.held,
        target: Written(&entry.target),
    }
}

/// Where an entry cannot be read. A parser quotes what it does not understand, which may be a secret.
fn told(error: &serde_json::Error) -> String {
    format!(
        "it has a form that is not known, at column {}",
        error.column()
    )
}

fn name_of(json: &[u8]) -> ShardName {
    let digest = digest(&SHA256, json);
    let bytes = digest.as_ref().iter().take(DIGEST_BYTES);
    ShardName(bytes.map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
