//! The data plane of Parcelhook: Kafka in, webhooks out.
//!
//! The modules stand in the order in which an event travels:
//! [`source`] reads it, [`router`] finds the lanes that want it, [`lane`] keeps its order,
//! [`transaction`] forms the request, [`delivery`] makes the attempt. [`targets`] says what goes
//! where; [`report`], [`admin`] and [`telemetry`] tell what happened. [`run`] puts it together,
//! [`command`] is the command line.

#![deny(unsafe_code)]

pub mod admin;
pub mod background;
pub mod clock;
pub mod command;
pub mod config;
pub mod delivery;
pub mod dev;
pub mod failpoint;
pub mod lane;
pub mod park;
pub mod recover;
pub mod report;
pub mod router;
pub mod run;
pub mod source;
pub mod state;
pub mod targets;
pub mod telemetry;
pub mod transaction;
