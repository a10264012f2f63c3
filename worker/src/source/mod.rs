//! Where events come from: the consumer thread, rebalances, the offsets ledger, commits and the
//! byte budget.

pub mod record;
