//! How events become a request body.

/// A body format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
