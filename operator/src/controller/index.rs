//! Every target as it was last seen, by uid.
//!
//! Owns the cache that watches keep. Invariants: a target is known by its uid, so one that was deleted
//! and made again under its name is another; a deletion that was missed is found at the next list; what
//! only the operator itself changed (the status) is no reason to judge again. Bounded by the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};
use parcelhook_crds::GROUP;
use parcelhook_crds::spec::DeliveryTarget;
use uuid::Uuid;

use crate::cluster::Scope;

/// See the module.
#[derive(Debug)]
pub struct Index {
    objects: BTreeMap<Uuid, Object>,
    /// What is left to be listed, and what was found so far.
    lists: Vec<List>,
}

#[derive(Debug, Default)]
struct List {
    complete_once: bool,
    found: Option<BTreeSet<Uuid>>,
}

/// A target as it was last seen.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identity.
    pub uid: Uuid,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
    /// The version that was seen.
    pub version: String,
    /// The object, or why it cannot be read.
    pub body: Result<Arc<DeliveryTarget>, String>,
    scope: Scope,
    asked: BTreeMap<String, String>,
}

/// What an event means for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It must be judged.
    Judge(Uuid),
    /// Only its status changed, or nothing.
    Seen(Uuid),
    /// It is not there any more, as far as the watch goes.
    Missing(Uuid),
}

impl Index {
    /// Nothing was seen of this many watches.
    pub fn new(scopes: usize) -> Self {
        Self {
            objects: BTreeMap::new(),
            lists: (0..scopes).map(|_| List::default()).collect(),
        }
    }

    /// Whether each watch has listed everything once.
    pub fn is_complete(&self) -> bool {
        self.lists.iter().all(|list| list.complete_once)
    }

    /// A target.
    pub fn get(&self, uid: Uuid) -> Option<&Object> {
        self.objects.get(&uid)
    }

    /// Every target.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Takes an event of a watch.
    pub fn apply(
        &mut self,
        scope: Scope,
        event: Event<DeserializeGuard<DeliveryTarget>>,
    ) -> Vec<Change> {
        match event {
            Event::Init => {
                if let Some(list) = self.lists.get_mut(scope) {
                    list.found = Some(BTreeSet::new());
                }
                Vec::new()
            }
            Event::InitApply(object) => {
                let change = self.see(scope, object);
                let found = self
                    .lists
                    .get_mut(scope)
                    .and_then(|list| list.found.as_mut());
                if let (Some(found), Some(Change::Judge(uid) | Change::Seen(uid))) = (found, change)
                {
                    found.insert(uid);
                }
                change.into_iter().collect()
            }
            Event::Apply(object) => self.see(scope, object).into_iter().collect(),
            Event::Delete(object) => {
                let uid = object
                    .meta()
                    .uid
                    .as_deref()
                    .and_then(|uid| uid.parse().ok());
                uid.and_then(|uid| self.lose(uid)).into_iter().collect()
            }
            Event::InitDone => self.listed(scope),
        }
    }

    fn see(&mut self, scope: Scope, guarded: DeserializeGuard<DeliveryTarget>) -> Option<Change> {
        let object = read(scope, guarded)?;
        let uid = object.uid;
        let same = self.objects.get(&uid).is_some_and(|known| {
            known.generation == object.generation
                && known.asked == object.asked
                && known.body.is_ok() == object.body.is_ok()
        });
        self.objects.insert(uid, object);
        Some(if same {
            Change::Seen(uid)
        } else {
            Change::Judge(uid)
        })
    }

    fn listed(&mut self, scope: Scope) -> Vec<Change> {
        let Some(list) = self.lists.get_mut(scope) else {
            return Vec::new();
        };
        list.complete_once = true;
        let found = list.found.take().unwrap_or_default();
        let objects = self.objects.values();
        let missing: Vec<Uuid> = objects
            .filter(|object| object.scope == scope && !found.contains(&object.uid))
            .map(|object| object.uid)
            .collect();
        missing
            .into_iter()
            .filter_map(|uid| self.lose(uid))
            .collect()
    }

    fn lose(&mut self, uid: Uuid) -> Option<Change> {
        self.objects.remove(&uid)?;
        Some(Change::Missing(uid))
    }
}

fn read(scope: Scope, guarded: DeserializeGuard<DeliveryTarget>) -> Option<Object> {
    let meta = guarded.meta();
    let (uid, namespace) = (meta.uid.as_deref()?.parse().ok()?, meta.namespace.clone()?);
    let (name, generation) = (meta.name.clone()?, meta.generation.unwrap_or_default());
    let version = meta.resource_version.clone().unwrap_or_default();
    let annotations = meta.annotations.iter().flatten();
    let ours = annotations.filter(|(key, _)| is_ours(key));
    let asked = ours
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let body = match guarded.0 {
        Ok(mut target) => {
            // More than half of an object, and of no use here; kubectl annotates with all of the object.
            target.managed_fields_mut().clear();
            target.annotations_mut().retain(|key, _| is_ours(key));
            Ok(Arc::new(target))
        }
        Err(invalid) => Err(invalid.error),
    };
    Some(Object {
        uid,
        namespace,
        name,
        generation,
        version,
        body,
        scope,
        asked,
    })
}

fn is_ours(annotation: &str) -> bool {
    let rest = annotation.strip_prefix(GROUP);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
    use kube::core::error_boundary::InvalidObject;
    use parcelhook_crds::status::DeliveryTargetStatus;

    use super::*;
    use crate::target::sample;

    const ONE: Uuid = Uuid::from_u128(1);

    fn target(uid: Uuid, generation: i64) -> DeliveryTarget {
        let mut target = sample::target("orders");
        target.metadata.uid = Some(uid.to_string());
        target.metadata.generation = Some(generation);
        target
    }

    fn good(uid: Uuid, generation: i64) -> DeserializeGuard<DeliveryTarget> {
        DeserializeGuard(Ok(target(uid, generation)))
    }

    fn listed(index: &mut Index, uids: &[Uuid]) -> Vec<Change> {
        let mut changes = index.apply(0, Event::Init);
        for uid in uids {
            changes.extend(index.apply(0, Event::InitApply(good(*uid, 1))));
        }
        changes.extend(index.apply(0, Event::InitDone));
        changes
    }

    #[test]
    fn it_is_complete_when_every_watch_has_listed() {
        let mut index = Index::new(2);
        listed(&mut index, &[ONE]);
        assert!(!index.is_complete());
        index.apply(1, Event::Init);
        index.apply(1, Event::InitDone);
        assert!(index.is_complete());
        assert_eq!(index.len(), 1, "another watch's list takes nothing away");
    }

    #[test]
    fn a_status_is_no_reason_to_judge_again_and_a_request_is() {
        let mut index = Index::new(1);
        assert_eq!(
            index.apply(0, Event::Apply(good(ONE, 1))),
            [Change::Judge(ONE)]
        );
        let mut written = target(ONE, 1);
        written.status = Some(DeliveryTargetStatus::default());
        assert_eq!(
            index.apply(0, Event::Apply(DeserializeGuard(Ok(written)))),
            [Change::Seen(ONE)]
        );
        let mut asked = target(ONE, 1);
        let annotation = ("parcelhook.dev/retry-at".to_owned(), "x".to_owned());
        asked.metadata.annotations = Some([annotation].into());
        assert_eq!(
            index.apply(0, Event::Apply(DeserializeGuard(Ok(asked)))),
            [Change::Judge(ONE)]
        );
        assert_eq!(
            index.apply(0, Event::Apply(good(ONE, 2))),
            [Change::Judge(ONE)]
        );
    }

    #[test]
    fn a_deletion_that_was_missed_is_found_at_the_next_list() {
        let mut index = Index::new(1);
        let two = Uuid::from_u128(2);
        listed(&mut index, &[ONE, two]);
        assert_eq!(
            listed(&mut index, &[two]),
            [Change::Seen(two), Change::Missing(ONE)]
        );
        assert_eq!(
            index.apply(0, Event::Delete(good(two, 1))),
            [Change::Missing(two)]
        );
        assert_eq!(index.apply(0, Event::Delete(good(two, 1))), []);
    }

    #[test]
    fn a_target_made_again_under_its_name_is_another() {
        let mut index = Index::new(1);
        let again = Uuid::from_u128(2);
        listed(&mut index, &[ONE]);
        assert_eq!(
            listed(&mut index, &[again]),
            [Change::Judge(again), Change::Missing(ONE)]
        );
    }

    #[test]
    fn of_what_others_write_into_an_object_nothing_is_kept() {
        let mut index = Index::new(1);
        let mut object = target(ONE, 1);
        object.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
        let annotations = [
            ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
            ("parcelhook.dev/retry-at", "x"),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        object.metadata.annotations = Some(annotations.clone().into());
        index.apply(0, Event::Apply(DeserializeGuard(Ok(object))));
        let kept = index.get(ONE).unwrap().body.as_ref().unwrap();
        assert!(kept.managed_fields().is_empty());
        assert_eq!(
            *kept.annotations(),
            annotations[1..].iter().cloned().collect()
        );
    }

    #[test]
    fn an_object_that_cannot_be_read_is_there_and_says_why() {
        let mut index = Index::new(1);
        let bad = InvalidObject {
            error: "missing field `endpoint`".to_owned(),
            metadata: target(ONE, 1).metadata,
        };
        assert_eq!(
            index.apply(0, Event::Apply(DeserializeGuard(Err(bad)))),
            [Change::Judge(ONE)]
        );
        assert!(index.get(ONE).unwrap().body.is_err());
        assert_eq!(
            index.apply(0, Event::Apply(good(ONE, 1))),
            [Change::Judge(ONE)]
        );
    }
}
