//! What is known about targets across lanes: their health, and what holds a whole target back.

pub mod health;
pub mod shared;
