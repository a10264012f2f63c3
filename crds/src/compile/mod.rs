//! From a `DeliveryTarget` to the compiled target: Secrets resolved, units converted, nothing left
//! to check.
//!
//! Pure: Secrets come through [`SecretSource`]. Every error is collected, each names its field and
//! its Secret, and none shows a byte of a Secret. What the manifest check already promises is not
//! checked again, except that a URL must be one that the worker can parse.

mod annotations;
mod endpoint;
mod error;
mod pem;
mod secrets;

use uuid::Uuid;

use crate::compiled::{Authentication, CompiledTarget, Retry, TransactionLimits};
use crate::secret::Secret;
use crate::spec::secret_ref::SecretKeyRef;
use crate::spec::{self, DeliveryTarget, authentication};
pub use error::{CompileError, reason};
use secrets::Resolver;
pub use secrets::{SecretLookupError, SecretSource};

/// Compiles a target that passed the manifest check (or the API server's).
pub fn compile(
    target: &DeliveryTarget,
    uid: Uuid,
    secrets: &impl SecretSource,
) -> Result<CompiledTarget, Vec<CompileError>> {
    let spec = &target.spec;
    let mut resolver = Resolver::new(secrets);

    let endpoint = endpoint::compile(&spec.endpoint, &mut resolver);
    let authentication = spec
        .authentication
        .as_ref()
        .and_then(|wanted| compile_authentication(wanted, &mut resolver));
    let signing_keys = spec
        .signing
        .as_ref()
        .map(|signing| compile_signing_keys(&signing.key_secret_refs, &mut resolver))
        .unwrap_or_default();
    let name = target.metadata.name.clone();
    if name.is_none() {
        resolver.refuse(CompileError::InvalidSpec {
            field: "metadata.name".to_owned(),
            message: "must be set".to_owned(),
        });
    }

    let mut errors = resolver.into_errors();
    let asked = annotations::read(target.metadata.annotations.as_ref(), &mut errors);
    let (Some(endpoint), Some(name), true) = (endpoint, name, errors.is_empty()) else {
        return Err(errors);
    };
    Ok(CompiledTarget {
        uid,
        namespace: target
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        name,
        suspend: spec.suspend,
        sources: spec.sources.clone(),
        start_from: spec.start_from.value(),
        endpoint,
        authentication,
        signing_keys,
        format: spec.format,
        event_type: spec.event_type.clone(),
        transaction: compile_transaction(&spec.transaction),
        timeout: spec.delivery.timeout.value(),
        retry: compile_retry(&spec.retry),
        on_reject: spec.on_reject,
        on_head_failing: spec.on_head_failing,
        dead_letter_topic: spec.dead_letter_topic.clone(),
        failure_threshold: u32::from(spec.health.failure_threshold),
        deleted: asked.deleted,
        requests: asked.requests,
    })
}

fn compile_transaction(limits: &spec::transaction::Transaction) -> TransactionLimits {
    TransactionLimits {
        max_events: usize::from(limits.max_events),
        max_bytes: usize::try_from(limits.max_bytes.bytes()).unwrap_or(usize::MAX),
    }
}

fn compile_retry(retry: &spec::retry::Retry) -> Retry {
    Retry {
        initial_backoff: retry.initial_backoff.value(),
        max_backoff: retry.max_backoff.value(),
        max_age: retry.max_age.value(),
        retry_after: retry.retry_after,
        reject_attempts: u32::from(retry.reject_attempts),
        status_overrides: retry.status_overrides.clone(),
    }
}

fn compile_authentication(
    wanted: &authentication::Authentication,
    resolver: &mut Resolver<'_, impl SecretSource>,
) -> Option<Authentication> {
    if let Some(bearer) = &wanted.bearer {
        let reference = &bearer.token_secret_ref;
        let field = "spec.authentication.bearer.tokenSecretRef";
        return Some(Authentication::Bearer(resolver.text(
            field,
            &reference.name,
            &reference.key,
        )?));
    }
    if let Some(basic) = &wanted.basic {
        let field = "spec.authentication.basic.secretRef";
        let name = &basic.secret_ref.name;
        let username = resolver.username(field, name, "username");
        let password = resolver.text(field, name, "password");
        return Some(Authentication::Basic {
            username: username?,
            password: password?,
        });
    }
    if let Some(header) = &wanted.header {
        let reference = &header.value_secret_ref;
        let field = "spec.authentication.header.valueSecretRef";
        return Some(Authentication::Header {
            name: header.name.clone(),
            value: resolver.text(field, &reference.name, &reference.key)?,
        });
    }
    resolver.refuse(CompileError::InvalidSpec {
        field: "spec.authentication".to_owned(),
        message: "must have the member that `type` names".to_owned(),
    });
    None
}

/// The keys that could be resolved; the errors say which could not.
fn compile_signing_keys(
    references: &[SecretKeyRef],
    resolver: &mut Resolver<'_, impl SecretSource>,
) -> Vec<Secret> {
    references
        .iter()
        .enumerate()
        .filter_map(|(index, reference)| {
            let field = format!("spec.signing.keySecretRefs[{index}]");
            resolver.signing_key(&field, &reference.name, &reference.key)
        })
        .collect()
}
