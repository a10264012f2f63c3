//! Kubernetes Events.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use parcelhook_crds::{API_VERSION, KIND};
use uuid::Uuid;

use super::{Cluster, ClusterError, asked};
use crate::status::News;

impl Cluster {
    /// Tells people: about a target of that namespace, name and uid, or about the operator itself.
    ///
    /// # Errors
    /// When it was not told.
    pub async fn tell(
        &self,
        about: Option<(String, String)>,
        uid: Uuid,
        news: &News,
    ) -> Result<(), ClusterError> {
        let reference = match about {
            Some((namespace, name)) => ObjectReference {
                api_version: Some(API_VERSION.to_owned()),
                kind: Some(KIND.to_owned()),
                name: Some(name),
                namespace: Some(namespace),
                uid: Some(uid.to_string()),
                ..ObjectReference::default()
            },
            None => ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(self.deployment.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectReference::default()
            },
        };
        let event = Event {
            type_: if news.is_warning() {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: news.reason().to_owned(),
            note: Some(news.note()),
            action: "Observe".to_owned(),
            secondary: None,
        };
        asked(
            "telling an Event",
            self.recorder.publish(&event, &reference),
        )
        .await
    }
}
