//! Targets and the Secrets that they refer to: single objects, asked for by name.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use parcelhook_crds::compile::SecretLookupError;
use parcelhook_crds::spec::DeliveryTarget;
use parcelhook_crds::status::DeliveryTargetStatus;
use parcelhook_crds::{API_VERSION, KIND};
use serde_json::json;
use uuid::Uuid;

use super::{Cluster, ClusterError, FIELD_MANAGER, PAGE, asked};
use crate::target::{Fetched, Secrets};

/// Whether a target is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// There is none of that uid.
    Gone,
}

/// Secrets that were fetched.
#[derive(Debug)]
pub struct Fetching {
    /// What was found.
    pub secrets: Secrets,
    /// Whether some could not be read, and must be asked for again.
    pub incomplete: bool,
}

impl Cluster {
    /// Whether a target is there, as the API server itself says it, whatever caches hold.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn presence(
        &self,
        uid: Uuid,
        (namespace, name): (&str, &str),
    ) -> Result<Presence, ClusterError> {
        let generation = self.generation(uid, (namespace, name)).await?;
        Ok(match generation {
            Some(_) => Presence::There,
            None => Presence::Gone,
        })
    }

    /// The generation of a target, as the API server itself says it; none when it is not there.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn generation(
        &self,
        uid: Uuid,
        (namespace, name): (&str, &str),
    ) -> Result<Option<i64>, ClusterError> {
        let api: Api<PartialObjectMeta<DeliveryTarget>> =
            Api::namespaced(self.client.clone(), namespace);
        let found = asked("looking for a target", api.get_opt(name)).await?;
        let same = found.filter(|found| found.metadata.uid == Some(uid.to_string()));
        Ok(same.map(|found| found.metadata.generation.unwrap_or_default()))
    }

    /// The uids of all targets, as the API server itself says it.
    ///
    /// # Errors
    /// When the list is not complete.
    pub async fn uids(&self, namespaces: &[String]) -> Result<BTreeSet<Uuid>, ClusterError> {
        let mut uids = BTreeSet::new();
        for api in self.scoped::<PartialObjectMeta<DeliveryTarget>>(namespaces) {
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = asked("listing targets", api.list(&params)).await?;
                let found = page
                    .items
                    .iter()
                    .filter_map(|item| item.metadata.uid.as_deref());
                uids.extend(found.filter_map(|uid| uid.parse::<Uuid>().ok()));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(uids)
    }

    /// Secrets of a namespace by name. One that is not there is known not to be there.
    ///
    /// # Errors
    /// When the API server does not answer: then nothing can be judged.
    pub async fn secrets(
        &self,
        namespace: &str,
        names: &BTreeSet<String>,
    ) -> Result<Fetching, ClusterError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut fetching = Fetching {
            secrets: Secrets::default(),
            incomplete: false,
        };
        for name in names {
            let fetched: Fetched = match asked("reading a Secret", api.get_opt(name)).await {
                Ok(Some(secret)) => Ok(values(secret)),
                Ok(None) => Err(SecretLookupError::NotFound),
                Err(error) if error.is_forbidden() => {
                    fetching.incomplete = true;
                    let cause = "the operator may not read it; grant it `get` on Secrets";
                    Err(SecretLookupError::Unreadable(cause.to_owned()))
                }
                Err(error) => return Err(error),
            };
            fetching.secrets.add(name, fetched);
        }
        Ok(fetching)
    }

    /// Writes a status by server-side apply, and tells the object's version after it.
    ///
    /// # Errors
    /// When it was not written, or nobody knows.
    pub async fn write_status(
        &self,
        (namespace, name): (&str, &str),
        uid: Uuid,
        status: &DeliveryTargetStatus,
    ) -> Result<Option<String>, ClusterError> {
        let api: Api<DeliveryTarget> = Api::namespaced(self.client.clone(), namespace);
        // With the uid, what is of one target is never written to another of its name.
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": { "name": name, "namespace": namespace, "uid": uid.to_string() },
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&body);
        let request = async {
            // Only the version is of interest, and an object that cannot be read has one, too.
            let guarded: Api<kube::core::DeserializeGuard<DeliveryTarget>> =
                Api::namespaced(api.into_client(), namespace);
            guarded.patch_status(name, &params, &patch).await
        };
        let written = asked("writing a status", request).await?;
        Ok(kube::Resource::meta(&written).resource_version.clone())
    }
}

fn values(secret: Secret) -> std::collections::BTreeMap<String, parcelhook_crds::secret::Secret> {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, parcelhook_crds::secret::Secret::new(value.0)))
        .collect()
}
