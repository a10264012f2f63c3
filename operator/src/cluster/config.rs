//! The workers' configuration: shards and manifest, as Secrets of the workers' namespace.
//!
//! Shards are created and deleted, never changed. The manifest is replaced as it was read, after every
//! shard that it names, so a reader never misses one and of two writers one is told so.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::core::PartialObjectMeta;
use parcelhook_crds::config::{
    DATA_KEY, Encoded, Entry, LABEL_GROUP, LABEL_PART, MANIFEST, Manifest, SHARD, Shard, ShardName,
    manifest_secret, shard_secret,
};
use uuid::Uuid;

use super::{Cluster, ClusterError, FIELD_MANAGER, asked};
use crate::config::Found;

/// The type of the Secrets, so that nobody takes them for something else.
const SECRET_TYPE: &str = "parcelhook.dev/config";

/// The configuration as an earlier leader left it.
#[derive(Debug)]
pub struct Loaded {
    /// The manifest and its version; none when there is none.
    pub manifest: Option<(Manifest, String)>,
    /// What stands in its shards.
    pub entries: Vec<Entry>,
}

/// What is there now.
#[derive(Debug, Default)]
pub struct Stored {
    /// The version of the manifest; none when there is none.
    pub manifest: Option<String>,
    /// The shards.
    pub shards: Vec<Found>,
}

/// What came of publishing.
#[derive(Debug)]
pub enum Published {
    /// The manifest is there, in this version.
    Done(String),
    /// Somebody else has changed the manifest since it was read.
    Conflict,
}

impl Cluster {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When it is there and cannot be read. A shard that is missing or unreadable is no error: its
    /// targets are judged anew.
    pub async fn load(&self) -> Result<Loaded, ClusterError> {
        let secrets = self.config_secrets();
        let name = manifest_secret(&self.group);
        let Some(secret) = asked("reading the manifest", secrets.get_opt(&name)).await? else {
            return Ok(Loaded {
                manifest: None,
                entries: Vec::new(),
            });
        };
        let version = secret.metadata.resource_version.clone().unwrap_or_default();
        let bytes = data(secret);
        let manifest = Manifest::decode(&bytes).map_err(|error| ClusterError::Foreign {
            what: "reading the manifest",
            message: format!("{error}; delete the Secret {name} to begin a new lineage"),
        })?;
        let mut entries = Vec::new();
        for shard in manifest.named() {
            entries.extend(self.shard(&secrets, shard).await?);
        }
        let manifest = Some((manifest, version));
        Ok(Loaded { manifest, entries })
    }

    async fn shard(
        &self,
        secrets: &Api<Secret>,
        shard: &ShardName,
    ) -> Result<Vec<Entry>, ClusterError> {
        let name = shard_secret(&self.group, shard);
        let Some(secret) = asked("reading a shard", secrets.get_opt(&name)).await? else {
            tracing::warn!(
                secret = name,
                "a shard is missing; its targets are compiled anew"
            );
            return Ok(Vec::new());
        };
        match Shard::decode(shard, &data(secret)) {
            Ok(shard) => {
                for unreadable in &shard.unreadable {
                    tracing::warn!(target = %unreadable.uid, error = %unreadable, "compiled anew");
                }
                Ok(shard.entries)
            }
            Err(error) => {
                tracing::warn!(secret = name, %error, "its targets are compiled anew");
                Ok(Vec::new())
            }
        }
    }

    /// What is there, without reading it. `now` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn stored(&self, now: i64) -> Result<Stored, ClusterError> {
        let api: Api<PartialObjectMeta<Secret>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().labels(&format!("{LABEL_GROUP}={}", self.group));
        let list = asked("listing the configuration", api.list(&params)).await?;
        let prefix = self.shard_prefix();
        let mut stored = Stored::default();
        for item in list.items {
            let meta = item.metadata;
            let part = meta
                .labels
                .as_ref()
                .and_then(|labels| labels.get(LABEL_PART));
            match part.map(String::as_str) {
                Some(MANIFEST) => stored.manifest = meta.resource_version,
                Some(SHARD) => {
                    let name = meta
                        .name
                        .as_deref()
                        .and_then(|name| name.strip_prefix(&prefix));
                    let name = name.and_then(ShardName::parse);
                    let created = meta.creation_timestamp;
                    let age = created.map(|time| now.saturating_sub(time.0.as_millisecond()));
                    let age = age.and_then(|age| u64::try_from(age).ok());
                    let age = age.map(std::time::Duration::from_millis);
                    stored.shards.extend(name.map(|name| Found { name, age }));
                }
                _ => {}
            }
        }
        Ok(stored)
    }

    /// Writes shards, and then the manifest in the place of the version that was read.
    ///
    /// # Errors
    /// When something was not written, or nobody knows: what is there must be read again.
    pub async fn publish(
        &self,
        fresh: &[Encoded],
        manifest: Option<&Manifest>,
        replaces: Option<String>,
    ) -> Result<Option<Published>, ClusterError> {
        let secrets = self.config_secrets();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        for shard in fresh {
            let name = shard_secret(&self.group, &shard.name);
            let mut secret = self.secret(name, SHARD, shard.bytes.clone());
            secret.immutable = Some(true);
            match asked("writing a shard", secrets.create(&params, &secret)).await {
                Ok(_) => {}
                // The same name is the same content.
                Err(error) if error.is_already_exists() => {}
                Err(error) => return Err(error),
            }
        }
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        let name = manifest_secret(&self.group);
        let mut secret = self.secret(name.clone(), MANIFEST, manifest.encode());
        secret.metadata.resource_version = replaces.clone();
        let written = match replaces {
            None => asked("writing the manifest", secrets.create(&params, &secret)).await,
            Some(_) => {
                asked(
                    "writing the manifest",
                    secrets.replace(&name, &params, &secret),
                )
                .await
            }
        };
        match written {
            Ok(secret) => {
                let version = secret.metadata.resource_version.unwrap_or_default();
                Ok(Some(Published::Done(version)))
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                Ok(Some(Published::Conflict))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes shards that nobody needs. Those that are gone already are fine.
    ///
    /// # Errors
    /// When one could not be deleted.
    pub async fn collect(&self, shards: &[ShardName]) -> Result<(), ClusterError> {
        let secrets = self.config_secrets();
        for shard in shards {
            let name = shard_secret(&self.group, shard);
            let params = DeleteParams::default();
            match asked("deleting a shard", secrets.delete(&name, &params)).await {
                Ok(_) => tracing::debug!(secret = name, "shard deleted"),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn secret(&self, name: String, part: &str, bytes: Vec<u8>) -> Secret {
        let labels = [(LABEL_GROUP, self.group.as_str()), (LABEL_PART, part)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Secret {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.into()),
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(BTreeMap::from([(DATA_KEY.to_owned(), ByteString(bytes))])),
            ..Secret::default()
        }
    }

    fn shard_prefix(&self) -> String {
        format!("parcelhook-{}-shard-", self.group)
    }

    fn config_secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn data(secret: Secret) -> Vec<u8> {
    let mut data = secret.data.unwrap_or_default();
    data.remove(DATA_KEY)
        .map(|bytes| bytes.0)
        .unwrap_or_default()
}

impl Loaded {
    /// The targets that stand in shards.
    pub fn uids(&self) -> impl Iterator<Item = Uuid> {
        self.entries.iter().map(|entry| entry.target.uid)
    }
}
