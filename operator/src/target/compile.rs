//! The third phase: from the target and its Secrets to what a worker runs.

use parcelhook_crds::compile::{CompileError, compile, reason};
use parcelhook_crds::compiled::{CompiledTarget, Request};
use parcelhook_crds::config::Entry;

use super::{Fault, Refused, Validated};
use crate::policy::Policy;

/// Faults that one message tells; of more, how many there are.
const MAX_FAULTS_TOLD: usize = 5;

/// A target that can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    generation: i64,
    target: CompiledTarget,
    requests: Vec<Request>,
}

impl Validated {
    /// Compiles. A URL from a Secret is judged here, where it is known first.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn compile(self, policy: &Policy) -> Result<Compiled, Refused> {
        let (seen, secrets) = (self.0.target, self.0.secrets);
        let mut target = compile(&seen.object, seen.uid, &secrets).map_err(refused)?;
        let url = str::from_utf8(target.endpoint.url.expose()).unwrap_or_default();
        if let Some(fault) = policy.judge_url("spec.endpoint", url) {
            return Err(Refused {
                accepted: Some(fault),
                references: None,
            });
        }
        Ok(Compiled {
            generation: seen.generation,
            requests: std::mem::take(&mut target.requests),
            target,
        })
    }
}

impl Compiled {
    /// The generation.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// What workers run, and what is asked of lanes.
    pub fn into_entry(self) -> (Entry, Vec<Request>) {
        let entry = Entry {
            generation: self.generation,
            held: false,
            target: self.target,
        };
        (entry, self.requests)
    }
}

/// The errors by the condition that they belong to.
fn refused(errors: Vec<CompileError>) -> Refused {
    let (accepted, references): (Vec<_>, Vec<_>) = errors
        .iter()
        .partition(|error| error.reason() == reason::INVALID_SPEC);
    Refused {
        accepted: fault(&accepted),
        references: fault(&references),
    }
}

fn fault(errors: &[&CompileError]) -> Option<Fault> {
    let reason = errors.first()?.reason();
    let told = errors.iter().take(MAX_FAULTS_TOLD);
    let mut message = told.map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let more = errors.len().saturating_sub(MAX_FAULTS_TOLD);
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    Some(Fault { reason, message })
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::egress;
    use parcelhook_crds::secret::Secret;
    use serde_json::json;

    use super::*;
    use crate::policy::Grants;
    use crate::target::{Secrets, Verdict, judge, sample};

    fn judged(spec: serde_json::Value, secrets: Secrets) -> Verdict {
        let policy = Policy::new(
            Grants::everything_in("shop"),
            egress::Policy::default(),
            "p",
        );
        judge(sample::observed(1, spec).dereferenced(secrets), &policy)
    }

    fn bad(spec: serde_json::Value, secrets: Secrets) -> Refused {
        match judged(spec, secrets) {
            Verdict::Bad(refused) => refused,
            Verdict::Good(compiled) => panic!("{compiled:?}"),
        }
    }

    fn secret(name: &str, key: &str, value: &str) -> Secrets {
        let mut secrets = Secrets::default();
        let keys = [(key.to_owned(), Secret::new(value))];
        secrets.add(name, Ok(keys.into()));
        secrets
    }

    #[test]
    fn a_good_target_is_an_entry_of_its_generation() {
        let Verdict::Good(compiled) = judged(json!({}), Secrets::default()) else {
            panic!("refused")
        };
        let (entry, requests) = compiled.into_entry();
        assert_eq!(
            (entry.generation, entry.held, requests.len()),
            (1, false, 0)
        );
    }

    #[test]
    fn a_missing_secret_is_a_fault_of_the_reference_and_not_of_the_target() {
        let spec = json!({ "endpoint": { "urlSecretRef": { "name": "hook", "key": "url" } } });
        let refused = bad(spec, Secrets::default());
        assert_eq!(refused.accepted, None);
        assert_eq!(refused.references.unwrap().reason, "SecretNotFound");
    }

    #[test]
    fn a_url_from_a_secret_obeys_the_egress_policy_and_is_not_shown() {
        let spec = json!({ "endpoint": { "urlSecretRef": { "name": "hook", "key": "url" } } });
        let refused = bad(spec, secret("hook", "url", "http://10.1.2.3/hunter2"));
        let fault = refused.accepted.unwrap();
        assert_eq!(fault.reason, "EgressDenied");
        assert!(!fault.message.contains("hunter2") && !fault.message.contains("10.1.2.3"));
    }

    #[test]
    fn a_url_of_the_spec_is_judged_before_its_secrets_are_missed() {
        let spec = json!({
            "endpoint": { "url": "http://127.0.0.1/" },
            "signing": { "keySecretRefs": [{ "name": "key", "key": "k" }] },
        });
        let refused = bad(spec, Secrets::default());
        assert_eq!(refused.accepted.unwrap().reason, "EgressDenied");
    }
}
