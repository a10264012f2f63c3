//! Which events a target wants.
//!
//! Headers and keys are compared as bytes with the UTF-8 of what the manifest says.

use std::borrow::Cow;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::pattern;
use super::{NOT_DOTS, NOT_DOTS_MESSAGE, NOT_INTERNAL, NOT_INTERNAL_MESSAGE};

pub use super::start_from::StartFrom;

/// A Kafka topic and which of its events are wanted.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// topic is the topic's name.
    #[schemars(length(min = 1, max = 249), regex(pattern = pattern::TOPIC))]
    #[x_kube(
        validation = Rule::new(NOT_INTERNAL).message(NOT_INTERNAL_MESSAGE),
        validation = Rule::new(NOT_DOTS).message(NOT_DOTS_MESSAGE),
    )]
    pub topic: String,

    /// class says whether events are kept while the webhook is DOWN: Persistent events are kept
    /// and delivered later, Ephemeral ones are dropped and counted.
    #[serde(default)]
    pub class: SourceClass,

    /// filter selects events. When it is left out, every event of the topic is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// Whether events are kept while the target is DOWN.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceClass {
    /// Kept and delivered later.
    #[default]
    Persistent,
    /// Dropped and counted.
    Ephemeral,
}

/// Which events of a topic are wanted: all header matches and, when keys are given, one of them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// headers are Kafka headers that must all match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<HeaderMatch>,

    /// keys are Kafka keys of which one must match. When there are none, every event matches, also
    /// one without a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into(), "value".into()]))]
    pub keys: Vec<KeyMatch>,
}

/// A header that must have one of the values, compared as bytes.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// name is the Kafka header's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,

    /// values are the accepted values.
    #[schemars(length(min = 1, max = 32), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub values: Vec<String>,
}

/// A key, compared as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum KeyMatch {
    /// The whole key.
    Exact(String),
    /// Its beginning.
    Prefix(String),
}

impl JsonSchema for KeyMatch {
    fn schema_name() -> Cow<'static, str> {
        "KeyMatch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A Kafka key, compared as bytes.",
            "type": "object",
            "required": ["value"],
            "properties": {
                "type": {
                    "description": "type says whether value is the whole key (Exact) or its beginning (Prefix).",
                    "type": "string",
                    "enum": ["Exact", "Prefix"],
                    "default": "Exact",
                },
                "value": {
                    "description": "value is the key or its beginning.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                },
            },
        })
    }
}
