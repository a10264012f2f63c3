//! The manifests that tests write.

use serde_json::{Value, json};

/// A manifest about to be written: events from the beginning, in format `Json`, with short waits.
#[derive(Debug, Clone)]
pub(crate) struct Manifest(Value);

impl Manifest {
    /// Of a target in namespace `default`.
    pub(crate) fn new(name: &str, topic: &str, url: &str) -> Self {
        Self(json!({
            "apiVersion": "parcelhook.dev/v1alpha1",
            "kind": "DeliveryTarget",
            "metadata": {"name": name},
            "spec": {
                "sources": [{"topic": topic}],
                "startFrom": "Earliest",
                "endpoint": {"url": url},
                "format": "Json",
                "retry": {"initialBackoff": "100ms", "maxBackoff": "1s"},
            },
        }))
    }

    /// Sets a field, named by its way from `spec`, such as `endpoint/tls`.
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        let mut place = &mut self.0["spec"];
        for step in field.split('/') {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        *place = value;
        self
    }

    /// Sets an annotation.
    pub(crate) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = json!(value);
        self
    }

    /// Its text, JSON, which is YAML too.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    /// The file that [`Site::put`] writes.
    pub(crate) fn file(&self) -> String {
        format!(
            "{}.json",
            self.0["metadata"]["name"].as_str().unwrap_or("unnamed")
        )
    }
}
