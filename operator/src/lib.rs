//! The control plane of Parcelhook: DeliveryTargets in, configuration and status out.
//!
//! The modules stand in the order in which a change travels: [`target`] judges and compiles it under the
//! [`policy`], [`config`] packs it for the workers, [`health`] folds what they tell, [`status`] says it.
//! All of these are pure. [`leader`] decides who writes; the shells around them are [`cluster`],
//! which speaks with the API server, and [`controller`], which owns the state; [`command`] is the command line.

pub mod admin;
pub mod cluster;
pub mod command;
pub mod config;
pub mod controller;
pub mod grants;
pub mod health;
pub mod leader;
pub mod metrics;
pub mod policy;
pub mod queue;
pub mod settings;
pub mod status;
pub mod tail;
pub mod target;
pub mod topics;

pub use parcelhook_kafka::clock;
