//! placeholder
use std::time::Instant;

use super::shard::Shard;
use crate::park::{Refused, Ticket};

impl<P> Shard<P> {
    pub(super) fn partition_produced(
        &mut self,
        slot: u32,
        number: u64,
        result: Result<i64, Refused>,
        _now: Instant,
    ) {
        let Some(own) = self
            .partitions
            .get_mut(&slot)
            .and_then(|partition| partition.own.as_mut())
        else {
            return;
        };
        match result {
            Ok(_) => {
                if own.written_number(number) {
                    self.settle_all(slot);
                }
            }
            Err(_) => {
                own.refused(number);
            }
        }
    }

    pub fn told(&mut self, _told: crate::state::Told, _now: Instant) {}

    pub(super) fn take_new_epoch(&mut self, _slot: u32, _now: Instant) {}

    pub(super) fn bucket_ends(&mut self, _ticket: Ticket, _end: i64, _now: Instant) {}
}
