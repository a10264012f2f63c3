//! The API server: the one Secret that is watched, and those that are read.
//!
//! A manifest is watched by its name, so a role may allow no more than that. Shards never change and are
//! read when a manifest names them. What fails is told, and who asked tries again; what takes too long
//! is over. Decides nothing.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use parcelhook_crds::config::{DATA_KEY, ShardName, manifest_secret, shard_secret};

/// How long a watch may last. One that hangs is noticed a few seconds after this.
const WATCH_SECONDS: u32 = 30;

/// How long any answer of the API server may be silent: a watch that is well ends before.
const SILENT: Duration = Duration::from_secs(40);

/// How long one read may take.
const READ: Duration = Duration::from_secs(10);

/// Nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no API server to be found.
    #[error(
        "kubernetes: the API server cannot be found: {0}; run in a pod with a service account, or set KUBECONFIG"
    )]
    Place(#[from] kube::config::InferConfigError),
    /// Its address or credentials are unusable.
    #[error("kubernetes: no client of the API server can be made: {0}")]
    Client(#[from] kube::Error),
}

/// Why a shard was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// There is none of that name.
    #[error("the Secret {0} is not there")]
    NotThere(String),
    /// The API server said no, or could not be reached.
    #[error("the Secret {name} cannot be read: {source}; the worker needs get on Secrets")]
    Refused { name: String, source: kube::Error },
    /// It took too long.
    #[error("the Secret {name} was not read within {} s", READ.as_secs())]
    TimedOut { name: String },
}

/// What the watch tells of the manifest.
pub(super) enum Seen {
    /// Its bytes; none says that there is none.
    Manifest(Option<Vec<u8>>),
    /// The watch was interrupted and begins again, later each time.
    Interrupted(String),
}

/// The Secrets of one worker group. Clones share the connections.
#[derive(Clone)]
pub(super) struct Secrets {
    api: Api<Secret>,
    client: Client,
    namespace: String,
    group: String,
}

impl Secrets {
    /// `namespace` defaults to that of the service account. Asks nobody.
    ///
    /// # Errors
    /// When it is not known whom to ask.
    pub(super) async fn connect(
        namespace: Option<&str>,
        group: &str,
    ) -> Result<Self, ConnectError> {
        // Another client of this process may have been first, with the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = kube::Config::infer().await?;
        // Whoever asks tries again by itself.
        config.default_retry = false;
        config.read_timeout = Some(SILENT);
        config.reset_reader_on_write = true;
        let client = Client::try_from(config)?;
        let namespace = namespace.unwrap_or(client.default_namespace()).to_owned();
        Ok(Self {
            api: Api::namespaced(client.clone(), &namespace),
            client,
            namespace,
            group: group.to_owned(),
        })
    }

    /// Watches the manifest, for ever.
    pub(super) fn manifest(&self) -> BoxStream<'static, Seen> {
        let name = manifest_secret(&self.group);
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={name}"))
            .timeout(WATCH_SECONDS);
        let api: Api<DeserializeGuard<Secret>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let mut listed = None;
        watcher(api, config)
            .default_backoff()
            .filter_map(move |event| std::future::ready(seen(event, &mut listed)))
            .boxed()
    }

    /// Reads a shard.
    pub(super) async fn shard(&self, shard: &ShardName) -> Result<Vec<u8>, ReadError> {
        let name = shard_secret(&self.group, shard);
        match tokio::time::timeout(READ, self.api.get_opt(&name)).await {
            Ok(Ok(Some(secret))) => Ok(data(secret)),
            Ok(Ok(None)) => Err(ReadError::NotThere(name)),
            Ok(Err(source)) => Err(ReadError::Refused { name, source }),
            Err(_) => Err(ReadError::TimedOut { name }),
        }
    }
}

/// A list is told when it is complete: then what it did not have is not there. `listed` is what the
/// present one had.
fn seen(
    event: watcher::Result<watcher::Event<DeserializeGuard<Secret>>>,
    listed: &mut Option<Vec<u8>>,
) -> Option<Seen> {
    match event {
        Ok(watcher::Event::Init) => {
            *listed = None;
            None
        }
        Ok(watcher::Event::InitApply(secret)) => {
            *listed = Some(bytes(secret));
            None
        }
        Ok(watcher::Event::InitDone) => Some(Seen::Manifest(listed.take())),
        Ok(watcher::Event::Apply(secret)) => Some(Seen::Manifest(Some(bytes(secret)))),
        Ok(watcher::Event::Delete(_)) => Some(Seen::Manifest(None)),
        Err(error) => Some(Seen::Interrupted(error.to_string())),
    }
}

/// Nothing, which is no manifest, for an object that is no Secret.
fn bytes(secret: DeserializeGuard<Secret>) -> Vec<u8> {
    secret.0.map(data).unwrap_or_default()
}

fn data(secret: Secret) -> Vec<u8> {
    let mut data = secret.data.unwrap_or_default();
    data.remove(DATA_KEY)
        .map(|bytes| bytes.0)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn manifest(text: &str) -> DeserializeGuard<Secret> {
        let value = ByteString(text.as_bytes().to_vec());
        DeserializeGuard(Ok(Secret {
            data: Some([(DATA_KEY.to_owned(), value)].into()),
            ..Secret::default()
        }))
    }

    #[test]
    fn a_list_is_told_once_it_is_complete() {
        let mut listed = None;
        let mut next = |event| match seen(Ok(event), &mut listed) {
            Some(Seen::Manifest(bytes)) => Some(bytes),
            Some(Seen::Interrupted(_)) | None => None,
        };
        assert_eq!(next(watcher::Event::Init), None);
        assert_eq!(next(watcher::Event::InitApply(manifest("1"))), None);
        let one = next(watcher::Event::InitDone);
        assert_eq!(one, Some(Some(b"1".to_vec())));
        assert_eq!(next(watcher::Event::Init), None);
        assert_eq!(
            next(watcher::Event::InitDone),
            Some(None),
            "there is none now"
        );
        let two = next(watcher::Event::Apply(manifest("2")));
        assert_eq!(two, Some(Some(b"2".to_vec())));
        assert_eq!(next(watcher::Event::Delete(manifest("2"))), Some(None));
    }
}
