//! A transaction: up to 100 events of one lane, sent as one HTTP request.
//!
//! Says how many waiting events go into the next one ([`cut`]), what it and its events are called
//! ([`id`], [`selection`]) and which bytes are sent ([`mod@format`]). All of it is a pure function of the
//! events and of the lane's configuration, so every attempt has the same id and the same body.
//! Order, waiting and retries belong to the lane; HTTP belongs to the delivery.

pub mod cut;
mod digest;
pub mod format;
pub mod id;
pub mod selection;
mod write;

/// A transaction that cannot be formed. Each is a fault of the caller, never of the events.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request without an event would say nothing.
    #[error("a transaction needs an event; cut one only when something waits")]
    Empty,
    /// The format has room for one event.
    #[error(
        "format {format:?} carries one event a request, got {events}; cut with `Encoding::limits`"
    )]
    OneEvent {
        /// The format of the target.
        format: parcelhook_crds::compiled::Format,
        /// How many events were given.
        events: usize,
    },
    /// The id is not a header value.
    #[error("transaction id is no header value: {0}")]
    Id(#[from] http::header::InvalidHeaderValue),
}
