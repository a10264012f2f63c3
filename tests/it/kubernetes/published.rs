//! The workers' configuration as it is published, read as a worker reads it, and a witness of every
//! revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ListParams, WatchEvent, WatchParams},
};
use parcelhook_crds::config::{DATA_KEY, Entry, Manifest, Shard, manifest_secret, shard_secret};
use parcelhook_env::eventually;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::release::Release;
use crate::site::SOON;

/// The worker group of all tests here.
const GROUP: &str = "default";

/// See the module.
#[derive(Clone)]
pub(super) struct Published {
    secrets: Api<Secret>,
}

impl Published {
    pub(super) fn of(release: &Release) -> Result<Self> {
        let client = release.home.client()?;
        Ok(Self {
            secrets: Api::namespaced(client, &release.own),
        })
    }

    /// The manifest; none when nothing is published.
    pub(super) async fn manifest(&self) -> Result<Option<Manifest>> {
        let found = self.secrets.get_opt(&manifest_secret(GROUP)).await?;
        found.map(manifest).transpose()
    }

    /// What stands in the shards of a manifest, by uid. No shard is missing or unreadable.
    pub(super) async fn entries(&self, manifest: &Manifest) -> Result<BTreeMap<Uuid, Entry>> {
        let mut entries = BTreeMap::new();
        for name in manifest.named() {
            let secret = self.secrets.get(&shard_secret(GROUP, name)).await;
            let secret = secret.with_context(|| format!("shard {name} of a manifest"))?;
            let shard = Shard::decode(name, &data(secret)?)?;
            ensure!(shard.unreadable.is_empty(), "{:?}", shard.unreadable);
            let found = shard.entries.into_iter();
            entries.extend(found.map(|entry| (entry.target.uid, entry)));
        }
        Ok(entries)
    }

    /// What workers are to run now.
    pub(super) async fn now(&self) -> Result<BTreeMap<Uuid, Entry>> {
        let manifest = self.manifest().await?.context("nothing is published")?;
        self.entries(&manifest).await
    }
}

fn manifest(secret: Secret) -> Result<Manifest> {
    Ok(Manifest::decode(&data(secret)?)?)
}

fn data(secret: Secret) -> Result<Vec<u8>> {
    let mut data = secret.data.context("an empty Secret")?;
    Ok(data.remove(DATA_KEY).context("no configuration in it")?.0)
}

/// Sees every manifest from its beginning on.
pub(super) struct Witness {
    published: Published,
    seen: Arc<Mutex<Vec<Manifest>>>,
    _watching: JoinSet<()>,
}

impl Witness {
    pub(super) async fn begin(published: &Published) -> Result<Self> {
        let of_manifest = format!("metadata.name={}", manifest_secret(GROUP));
        let list = ListParams::default().fields(&of_manifest);
        let list = published.secrets.list(&list).await?;
        let version = list.metadata.resource_version.context("no version")?;
        let params = WatchParams::default().fields(&of_manifest);
        let events = published.secrets.watch(&params, &version).await?;
        let mut events = events.boxed();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(secret) | WatchEvent::Modified(secret) = event
                    && let Ok(manifest) = manifest(secret)
                {
                    lock(&told).push(manifest);
                }
            }
        });
        Ok(Self {
            published: published.clone(),
            seen,
            _watching: watching,
        })
    }

    /// Whatever went wrong meanwhile: no revision was older than one before it, no generation of
    /// a target older than one that ran, and what had ended did not come back.
    pub(super) async fn saw_no_step_back(&self) -> Result<()> {
        let last = self.published.manifest().await?;
        let all = eventually("the last revision", SOON, async || {
            let seen = lock(&self.seen).clone();
            ensure!(seen.last() == last.as_ref(), "{} manifests", seen.len());
            Ok(seen)
        })
        .await?;
        let mut ended: BTreeSet<Uuid> = BTreeSet::new();
        let mut generations: BTreeMap<Uuid, i64> = BTreeMap::new();
        for pair in all.windows(2) {
            let (one, next) = (pair[0].revision, pair[1].revision);
            let rises = one.lineage == next.lineage && one.number < next.number;
            ensure!(rises, "{next} after {one}");
        }
        for manifest in &all {
            let revision = manifest.revision;
            ended.extend(manifest.deleted.iter().map(|deleted| deleted.uid));
            for (uid, entry) in self.published.entries(manifest).await? {
                let name = &entry.target.name;
                ensure!(!ended.contains(&uid), "{name} is back in {revision}");
                let before = generations.insert(uid, entry.generation);
                let rises = before.is_none_or(|before| before <= entry.generation);
                ensure!(rises, "{name}: {before:?}, then {entry:?} in {revision}");
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
