//! What follows a failed attempt: how long a lane waits before the next one.

pub mod backoff;
