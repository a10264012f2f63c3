//! What a target's status says, and when it is written.

pub mod writes;
