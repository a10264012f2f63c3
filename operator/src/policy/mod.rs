//! What the operator's configuration allows a target: topics by namespace, and addresses.
//!
//! Pure. A tenant writes the target, the cluster's administrator writes this; so a refusal names what is
//! missing here, and never what others may do. What a host name resolves to is judged by the worker, at
//! each connection; here is judged what the URL alone tells.

mod grants;

use parcelhook_crds::compile::reason;
use parcelhook_crds::egress;
use parcelhook_crds::spec::DeliveryTargetSpec;
use parcelhook_kafka::topics::Names;
use url::Url;

pub use grants::{Grant, Grants, GrantsError, Pattern};

use crate::target::Fault;

/// Condition reasons of refusals.
pub mod refusal {
    /// The namespace has no grant for the topic.
    pub const TOPIC_NOT_ALLOWED: &str = "TopicNotAllowed";
    /// The URL names an address to which nothing may be sent.
    pub const EGRESS_DENIED: &str = "EgressDenied";
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Policy {
    grants: Grants,
    egress: egress::Policy,
    own: Names,
}

impl Policy {
    /// `prefix` begins the names of Parcelhook's own topics, which are nobody's.
    pub fn new(grants: Grants, egress: egress::Policy, prefix: &str) -> Self {
        Self {
            grants,
            egress,
            own: Names::new(prefix),
        }
    }

    /// The same with other grants.
    #[must_use]
    pub fn with_grants(&self, grants: Grants) -> Self {
        Self {
            grants,
            ..self.clone()
        }
    }

    /// The first topic that a target of a namespace may not read or write.
    pub fn judge_topics(&self, namespace: &str, spec: &DeliveryTargetSpec) -> Option<Fault> {
        let sources = spec.sources.iter().enumerate().map(|(index, source)| {
            let field = format!("spec.sources[{index}].topic");
            (
                field,
                source.topic.as_str(),
                self.grants.may_read(namespace, &source.topic),
                "topics",
            )
        });
        let dead_letters = spec.dead_letter_topic.iter().map(|topic| {
            let field = "spec.deadLetterTopic".to_owned();
            (
                field,
                topic.as_str(),
                self.grants.may_write(namespace, topic),
                "deadLetterTopics",
            )
        });
        for (field, topic, granted, kind) in sources.chain(dead_letters) {
            if self.own.is_own(topic) {
                return Some(Fault::new(
                    reason::INVALID_SPEC,
                    format!(
                        "{field}: '{topic}' is one of Parcelhook's own topics; name another topic"
                    ),
                ));
            }
            if !granted {
                return Some(Fault::new(
                    refusal::TOPIC_NOT_ALLOWED,
                    format!(
                        "{field}: the namespace '{namespace}' has no grant for '{topic}'; ask the administrator for one under `{kind}` of the operator's grants"
                    ),
                ));
            }
        }
        None
    }

    /// Why nothing may be sent to a URL, as far as it tells by itself. The answer does not show it.
    pub fn judge_url(&self, field: &str, url: &str) -> Option<Fault> {
        let url = Url::parse(url).ok()?;
        let denied = self.egress.check_literal(&url.host()?).err()?;
        Some(Fault::new(
            refusal::EGRESS_DENIED,
            format!("{field}: {denied}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::sample;

    fn policy() -> Policy {
        Policy::new(
            Grants::everything_in("shop"),
            egress::Policy::default(),
            "ph",
        )
    }

    #[test]
    fn a_topic_without_a_grant_and_an_own_topic_are_refused_by_name() {
        for (namespace, topic, reason) in [
            ("shop", "orders", None),
            ("other", "orders", Some("TopicNotAllowed")),
            ("shop", "ph.lanes", Some("InvalidSpec")),
            ("shop", "phone", None),
        ] {
            let mut spec = sample::target("orders").spec;
            spec.sources[0].topic = topic.to_owned();
            let fault = policy().judge_topics(namespace, &spec);
            assert_eq!(fault.as_ref().map(|fault| fault.reason), reason, "{topic}");
            assert!(fault.is_none_or(|fault| fault.message.contains(topic)));
        }
    }

    #[test]
    fn a_dead_letter_topic_needs_a_grant_of_its_own() {
        let grants = Grants::parse("grants:\n- {namespaces: [shop], topics: ['*']}\n").unwrap();
        let policy = Policy::new(grants, egress::Policy::default(), "ph");
        let mut spec = sample::target("orders").spec;
        assert_eq!(policy.judge_topics("shop", &spec), None);
        spec.dead_letter_topic = Some("dead".to_owned());
        let fault = policy.judge_topics("shop", &spec).unwrap();
        assert!(fault.message.contains("deadLetterTopics"), "{fault:?}");
    }

    #[test]
    fn an_address_that_is_closed_is_refused_without_being_shown() {
        let judge = |url| policy().judge_url("spec.endpoint.url", url);
        assert_eq!(judge("https://example.com/"), None);
        assert_eq!(judge("no url"), None);
        let fault = judge("http://169.254.169.254/latest?token=x").unwrap();
        assert_eq!(fault.reason, "EgressDenied");
        assert!(!fault.message.contains("169.254") && !fault.message.contains("token"));
    }
}
