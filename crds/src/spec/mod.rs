//! `DeliveryTarget.spec`, one file a topic.

pub mod delivery;
pub mod endpoint;
pub mod format;
pub mod retry;
pub mod source;
