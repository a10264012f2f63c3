//! Every type that crosses a process boundary: `DeliveryTarget`, the compiled target, its way to the workers,
//! lane rows, reports. And the few rules that both sides of such a boundary must judge alike: egress, health. No I/O.
//!
//! The way of a manifest: [`manifest::check`] gives it the API server's verdict and its defaults,
//! [`compile::compile`] resolves its Secrets, and a [`compiled::CompiledTarget`] is what a worker
//! runs. [`crd`] is the same set of rules as a CustomResourceDefinition.

pub mod byte_size;
pub mod compile;
pub mod compiled;
pub mod config;
pub mod crd;
pub mod duration;
pub mod effective;
pub mod egress;
pub mod health;
pub mod lane;
pub mod manifest;
pub mod report;
pub mod revision;
pub mod secret;
pub mod spec;
pub mod status;
pub mod uid;

/// API group of the resource.
pub const GROUP: &str = "parcelhook.dev";
/// API group and version of the resource, as `apiVersion` says it.
pub const API_VERSION: &str = "parcelhook.dev/v1alpha1";
/// Kind of the resource.
pub const KIND: &str = "DeliveryTarget";
