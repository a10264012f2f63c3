//! Why a target cannot run, in words that name the field, the Secret and the fix.
//!
//! No error holds a byte of a Secret's value.

/// Condition reasons of compile errors.
pub mod reason {
    /// The spec asks for something that cannot be.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// There is no such Secret.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The Secret has no such key.
    pub const SECRET_KEY_NOT_FOUND: &str = "SecretKeyNotFound";
    /// The Secret could not be read; it may be there.
    pub const SECRET_UNREADABLE: &str = "SecretUnreadable";
    /// What the Secret holds cannot be used for this.
    pub const INVALID_SECRET_VALUE: &str = "InvalidSecretValue";
}

/// Why a target cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The spec asks for something that cannot be.
    #[error("{field}: {message}")]
    InvalidSpec {
        /// Path of the field.
        field: String,
        /// What is wrong, and what to write instead.
        message: String,
    },
    /// There is no such Secret.
    #[error("{field}: there is no Secret `{name}`; create it or change the reference")]
    SecretNotFound {
        /// Path of the reference.
        field: String,
        /// Name of the Secret.
        name: String,
    },
    /// The Secret has no such key.
    #[error("{field}: the Secret `{name}` has no key `{key}`; add it or change the reference")]
    SecretKeyNotFound {
        /// Path of the reference.
        field: String,
        /// Name of the Secret.
        name: String,
        /// Key that is missing.
        key: String,
    },
    /// The Secret could not be read; it may be there.
    #[error("{field}: the Secret `{name}` could not be read: {cause}")]
    SecretUnreadable {
        /// Path of the reference.
        field: String,
        /// Name of the Secret.
        name: String,
        /// What the source says about it.
        cause: String,
    },
    /// What the Secret holds cannot be used for this.
    #[error("{field}: the key `{key}` of the Secret `{name}` {message}")]
    InvalidSecretValue {
        /// Path of the reference.
        field: String,
        /// Name of the Secret.
        name: String,
        /// Key of the value.
        key: String,
        /// What is wrong with the value, without a byte of it.
        message: String,
    },
}

impl CompileError {
    /// The error as a condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSpec { .. } => reason::INVALID_SPEC,
            Self::SecretNotFound { .. } => reason::SECRET_NOT_FOUND,
            Self::SecretKeyNotFound { .. } => reason::SECRET_KEY_NOT_FOUND,
            Self::SecretUnreadable { .. } => reason::SECRET_UNREADABLE,
            Self::InvalidSecretValue { .. } => reason::INVALID_SECRET_VALUE,
        }
    }
}
