//! What a shard asks of others: one list of orders, and the way out of it.
//!
//! The shard itself is synchronous, so it only notes what it wants; the driver carries it out after
//! each turn, in order. What an outlet does not take at once stays at the head of the list.

use uuid::Uuid;

use crate::park::{Order, Scan, Ticket};
use crate::state::Ask;

/// Something that a shard wants done.
#[derive(Debug)]
pub enum Out {
    /// Write something.
    Produce(Ticket, Order),
    /// Of the reader of the retry topic.
    Scan(Scan),
    /// Of the tail of the lanes topic.
    Ask(Ask),
    /// A lane of this target was delivered for the first time after failing: lanes on other shards may
    /// try.
    Hint(Uuid),
}

/// Where a shard's orders go.
pub trait Outlet {
    /// Hands one over.
    ///
    /// # Errors
    /// The order itself, when there is no room for it now. It is offered again.
    fn send(&self, out: Out) -> Result<(), Box<Out>>;
}
