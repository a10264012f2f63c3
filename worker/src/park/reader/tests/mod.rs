//! The reader's pure parts, against a model of buckets and shards.

mod promises;
mod questions;
mod references;
mod rooms;
mod schedules;
mod world;
