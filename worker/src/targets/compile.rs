//! The one place where directory mode meets the rules of the resource: what validates a manifest
//! and compiles it. Everything else here treats both as given, and is tested with a small stand-in.

use parcelhook_crds::compiled::CompiledTarget;
use serde_json::Value;

use super::scan::Secrets;

/// Validates manifests and compiles them. Pure: the same input has the same answer, so an answer
/// may be kept while its input stays the same.
pub trait Compiler: Send + 'static {
    /// A manifest that is valid, its defaults filled in.
    type Manifest: Send;

    /// Validates a document of kind `DeliveryTarget`.
    ///
    /// # Errors
    /// Every fault; each names its field and the fix, and holds no secret.
    fn validate(&self, document: Value) -> Result<Self::Manifest, Vec<String>>;

    /// Resolves the Secrets of a valid manifest.
    ///
    /// # Errors
    /// Every reference that cannot be resolved, and every value that cannot be used, in the same form.
    fn compile(
        &self,
        manifest: &Self::Manifest,
        secrets: &Secrets,
    ) -> Result<CompiledTarget, Vec<String>>;
}
