//! The control plane of Parcelhook: DeliveryTargets in, configuration and status out.
//!
//! The modules stand in the order in which a change travels: [`target`] judges and compiles it under the
//! [`policy`], [`config`] packs it for the workers, [`health`] folds what they tell, [`status`] says it.
//! All of these are pure. [`leader`] decides who writes; the shells around them are in [`shell`], and
//! [`command`] is the command line.

pub mod clock;
pub mod config;
pub mod health;
pub mod leader;
pub mod policy;
pub mod queue;
pub mod status;
pub mod target;
