//! The shards' way out: each order to the one who carries it out.

use tokio::sync::mpsc::error::TrySendError;

use super::Shards;
use crate::lane::driver::Request;
use crate::lane::outlet::{Out, Outlet};
use crate::park::produce::{NoRoom, Producer};
use crate::park::reader::{NotTaken, ReaderHandle};
use crate::state::tail::TailHandle;

/// See the module. One a shard.
#[derive(Clone, Debug)]
pub(super) struct ShardOutlet {
    pub(super) shard: u32,
    pub(super) producer: Producer,
    pub(super) reader: ReaderHandle,
    pub(super) tail: TailHandle,
    /// All shards, this one included.
    pub(super) shards: Shards,
}

impl Outlet for ShardOutlet {
    fn send(&self, out: Out) -> Result<(), Box<Out>> {
        match out {
            Out::Produce(ticket, order) => self
                .producer
                .carry_out(ticket, self.shard, order)
                .map_err(|NoRoom(order)| Box::new(Out::Produce(ticket, *order))),
            Out::Scan(scan) => match self.reader.ask(scan) {
                // A reader that has ended answers nobody; the worker is about to end, too.
                Ok(()) | Err(NotTaken::Ended) => Ok(()),
                Err(NotTaken::Full(scan)) => Err(Box::new(Out::Scan(*scan))),
            },
            Out::Ask(ask) => self.tail.ask(ask).map_err(|ask| Box::new(Out::Ask(ask))),
            Out::Hint(uid) => {
                self.hint(uid);
                Ok(())
            }
        }
    }
}

impl ShardOutlet {
    /// A hint is worth no wait: a shard that is too busy for it finds out by its own probes.
    fn hint(&self, uid: uuid::Uuid) {
        for (number, shard) in self.shards.iter().enumerate() {
            if number != self.shard as usize
                && let Err(TrySendError::Full(_)) = shard.try_send(Request::Hint(uid))
            {
                tracing::debug!(shard = number, "a busy shard was not told of a recovery");
            }
        }
    }
}
