//! router

pub mod filter;
