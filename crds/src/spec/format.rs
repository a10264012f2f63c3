//! How events become a request body.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A body format.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// A JSON array of CloudEvents.
    #[default]
    CloudEventsBatch,
    /// One structured CloudEvent.
    CloudEvents,
    /// `{"events":[…]}`.
    Json,
    /// The record's value.
    Raw,
}
