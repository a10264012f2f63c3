//! Targets for tests.

use std::sync::Arc;

use parcelhook_crds::manifest;
use parcelhook_crds::spec::DeliveryTarget;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Observed;

/// A plain target of the namespace `shop`.
pub(crate) fn target(name: &str) -> DeliveryTarget {
    target_with(name, json!({}))
}

/// The same with fields of its spec replaced.
pub(crate) fn target_with(name: &str, spec: Value) -> DeliveryTarget {
    let mut manifest = json!({
        "apiVersion": "parcelhook.dev/v1alpha1",
        "kind": "DeliveryTarget",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "sources": [{ "topic": "orders" }],
            "endpoint": { "url": "https://example.com/hook" },
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        manifest["spec"][field] = value.clone();
    }
    manifest::check(manifest).unwrap()
}

/// The target of that number, generation 1.
pub(crate) fn observed(number: u128, spec: Value) -> Observed {
    let uid = Uuid::from_u128(number);
    let mut object = target_with(&format!("target-{number}"), spec);
    object.metadata.uid = Some(uid.to_string());
    object.metadata.generation = Some(1);
    Observed {
        uid,
        generation: 1,
        object: Arc::new(object),
    }
}

/// The entry that workers get of [`observed`].
pub(crate) fn entry(number: u128) -> parcelhook_crds::config::Entry {
    let policy = crate::policy::Policy::new(
        crate::policy::Grants::everything_in("shop"),
        parcelhook_crds::egress::Policy::default(),
        "p",
    );
    let target = observed(number, json!({})).dereferenced(super::Secrets::default());
    match super::judge(target, &policy) {
        super::Verdict::Good(compiled) => compiled.into_entry().0,
        super::Verdict::Bad(refused) => panic!("{refused:?}"),
    }
}
