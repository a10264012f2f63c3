//! Watches: what the API server tells by itself, as plain events.
//!
//! Every object of a watch is guarded, so that one that cannot be read stops nothing. The raw events are
//! handed on, for a filter on generations would swallow deletions.

use futures::stream::{BoxStream, SelectAll, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Resource};
use parcelhook_crds::spec::DeliveryTarget;

use super::{Cluster, PAGE};

/// Which of several watches of a kind an event is from: each namespace has its own.
pub type Scope = usize;

/// What a watch of Secrets tells. Nothing of their content is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSeen {
    /// A list of everything begins.
    Begins,
    /// A Secret is there, or has changed.
    There {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// It was deleted.
    Gone {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The list is complete: what it did not have is not there.
    Complete,
}

/// A watch's events. It never ends: errors are told, and the watch begins again, later each time.
type Events<T> = SelectAll<BoxStream<'static, T>>;

impl Cluster {
    /// The API of a kind in each namespace, or in all when none is named.
    pub(super) fn scoped<K>(&self, namespaces: &[String]) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        if namespaces.is_empty() {
            return vec![Api::all(self.client.clone())];
        }
        let namespaced = namespaces.iter();
        namespaced
            .map(|namespace| Api::namespaced(self.client.clone(), namespace))
            .collect()
    }
}

/// Watches the targets of the worker group.
pub fn targets(
    cluster: &Cluster,
    namespaces: &[String],
) -> Events<(Scope, watcher::Event<DeserializeGuard<DeliveryTarget>>)> {
    let selector = format!("spec.workerGroup={}", cluster.group());
    let config = watcher::Config::default().fields(&selector).page_size(PAGE);
    let apis = cluster.scoped::<DeserializeGuard<DeliveryTarget>>(namespaces);
    let streams = apis.into_iter().enumerate().map(|(scope, api)| {
        watcher(api, config.clone())
            .default_backoff()
            .filter_map(move |event| async move {
                let event = event.inspect_err(told("targets")).ok()?;
                Some((scope, event))
            })
            .boxed()
    });
    futures::stream::select_all(streams)
}

/// Watches the Secrets' metadata.
pub fn secrets(cluster: &Cluster, namespaces: &[String]) -> Events<(Scope, SecretSeen)> {
    let config = watcher::Config::default().page_size(PAGE);
    let apis = cluster.scoped::<PartialObjectMeta<Secret>>(namespaces);
    let streams = apis.into_iter().enumerate().map(|(scope, api)| {
        watcher(api, config.clone())
            .default_backoff()
            .filter_map(move |event| async move {
                let event = event.inspect_err(told("Secrets")).ok()?;
                Some((scope, seen(event)?))
            })
            .boxed()
    });
    futures::stream::select_all(streams)
}

fn seen(event: watcher::Event<PartialObjectMeta<Secret>>) -> Option<SecretSeen> {
    match event {
        watcher::Event::Init => Some(SecretSeen::Begins),
        watcher::Event::InitDone => Some(SecretSeen::Complete),
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            Some(SecretSeen::There {
                namespace: object.metadata.namespace?,
                name: object.metadata.name?,
                version: object.metadata.resource_version?,
            })
        }
        watcher::Event::Delete(object) => Some(SecretSeen::Gone {
            namespace: object.metadata.namespace?,
            name: object.metadata.name?,
        }),
    }
}

fn told(what: &'static str) -> impl Fn(&watcher::Error) {
    move |error| tracing::warn!(%error, "watching {what} was interrupted; it begins again")
}
