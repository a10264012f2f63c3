//! One target's way through the operator, a module a phase.
//!
//! ```text
//!   Observed ─ dereference ─▶ Dereferenced ─ validate ─▶ Validated ─ compile ─▶ Compiled
//!                                   │                        │                     │
//!                                   └────────── Refused ─────┴──── Verdict ◀───────┘
//!                                                                     │ apply (config::Book)
//!                                                                     ▼ status
//! ```
//!
//! Each type is made only by the phase before it, so another order does not compile. All of it is pure
//! but for the fetching of Secrets, which happens in the shell.

mod compile;
mod dereference;
#[cfg(test)]
pub(crate) mod sample;
mod validate;

use std::sync::Arc;

use parcelhook_crds::spec::DeliveryTarget;
use uuid::Uuid;

pub use compile::Compiled;
pub use dereference::{Dereferenced, Fetched, Secrets, references};
pub use validate::Validated;

/// A target as the API server has it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Its identity.
    pub uid: Uuid,
    /// Its generation.
    pub generation: i64,
    /// The object, without managed fields.
    pub object: Arc<DeliveryTarget>,
}

/// Something that keeps a target from running as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A condition's reason.
    pub reason: &'static str,
    /// What is wrong and how to mend it. Holds no secret.
    pub message: String,
}

impl Fault {
    /// A fault.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Why a generation does not run. At least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The target itself is not accepted: it is held.
    pub accepted: Option<Fault>,
    /// A reference does not resolve: what ran before goes on.
    pub references: Option<Fault>,
}

/// What came of a generation.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It can run.
    Good(Box<Compiled>),
    /// It cannot.
    Bad(Refused),
}

/// Judges a target whose Secrets were fetched.
pub fn judge(target: Dereferenced, policy: &crate::policy::Policy) -> Verdict {
    let judged = target
        .validate(policy)
        .and_then(|validated| validated.compile(policy));
    match judged {
        Ok(compiled) => Verdict::Good(Box::new(compiled)),
        Err(refused) => Verdict::Bad(refused),
    }
}
