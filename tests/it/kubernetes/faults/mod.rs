//! Whatever happens to the operator or to its way to the API server, what comes of it in the end is what
//! comes of a run in which nothing happens.

mod course;
mod kills;
mod lies;
mod mutations;
mod refusals;
mod rights;
mod rivals;
mod unreadable;
