//! Work that waits for the API server, and what came of it.
//!
//! Each job is told everything that it needs and touches no state: its result goes back to the
//! controller, which alone owns the state.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use parcelhook_crds::compile::reason;
use parcelhook_crds::config::ShardName;
use parcelhook_crds::status::DeliveryTargetStatus;
use uuid::Uuid;

use super::index::Object;
use super::led::Writing;
use crate::clock;
use crate::cluster::{Cluster, ClusterError, Loaded, Presence, Published, Stored};
use crate::metrics::{Metrics, Seconds};
use crate::policy::Policy;
use crate::status::News;
use crate::target::{Fault, Observed, Refused, Verdict, judge, references};

/// What came of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// A target was judged.
    Judged(Box<Judged>),
    /// A target that is missing was looked for.
    Looked(Uuid, Result<Presence, ClusterError>),
    /// The configuration was read.
    Loaded(Result<Loaded, ClusterError>),
    /// What is there is known.
    Stored(Result<Stored, ClusterError>),
    /// All targets were listed.
    Listed(Result<BTreeSet<Uuid>, ClusterError>),
    /// A configuration was published.
    Published(Box<Writing>, Result<Option<Published>, ClusterError>),
    /// Shards were deleted.
    Collected(Result<(), ClusterError>),
    /// A status was written.
    Wrote(Box<Wrote>),
    /// Something was told by a Kubernetes Event.
    Told(Result<(), ClusterError>),
}

/// A target that was judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// The target.
    pub(super) uid: Uuid,
    /// The generation that was judged.
    pub(super) generation: i64,
    /// What its spec says of suspending, when it can be read.
    pub(super) suspend: Option<bool>,
    /// What came of it, and whether it must be judged again soon.
    pub(super) verdict: Result<(Verdict, bool), ClusterError>,
}

/// A status that was written.
#[derive(Debug)]
pub(super) struct Wrote {
    /// The target.
    pub(super) uid: Uuid,
    /// What was there before.
    pub(super) before: DeliveryTargetStatus,
    /// What was written.
    pub(super) status: DeliveryTargetStatus,
    /// The version of the object after it.
    pub(super) result: Result<Option<String>, ClusterError>,
}

/// A job that is timed.
pub(super) async fn timed(
    metrics: Arc<Metrics>,
    of: fn(&Metrics) -> &Seconds,
    job: impl Future<Output = Done>,
) -> Done {
    let begun = clock::now();
    let done = job.await;
    of(&metrics).took(clock::now().saturating_duration_since(begun));
    done
}

/// Judges a target of which workers run a later generation. A list may be old, and a restored API server
/// has an older generation indeed: it is asked.
pub(super) async fn judged_if_there(cluster: Cluster, policy: Arc<Policy>, object: Object) -> Done {
    let (uid, generation) = (object.uid, object.generation);
    let name = (object.namespace.as_str(), object.name.as_str());
    let what = "judging a target";
    let refused = match cluster.generation(uid, name).await {
        Ok(Some(there)) if there == generation => return judged(cluster, policy, object).await,
        Ok(_) => ClusterError::Behind { what },
        Err(error) => error,
    };
    Done::Judged(Box::new(Judged {
        uid,
        generation,
        suspend: None,
        verdict: Err(refused),
    }))
}

/// Judges a target: the phases in their order.
pub(super) async fn judged(cluster: Cluster, policy: Arc<Policy>, object: Object) -> Done {
    let (uid, generation) = (object.uid, object.generation);
    let target = match object.body {
        Ok(target) => target,
        Err(message) => {
            let message = format!("the target cannot be read: {message}");
            let refused = Refused {
                accepted: Some(Fault::new(reason::INVALID_SPEC, message)),
                references: None,
            };
            return Done::Judged(Box::new(Judged {
                uid,
                generation,
                suspend: None,
                verdict: Ok((Verdict::Bad(refused), false)),
            }));
        }
    };
    let suspend = Some(target.spec.suspend);
    let names = references(&target.spec);
    let fetched = cluster.secrets(&object.namespace, &names).await;
    let verdict = fetched.map(|fetched| {
        let observed = Observed {
            uid,
            generation,
            object: target,
        };
        let target = observed.dereferenced(fetched.secrets);
        (judge(target, &policy), fetched.incomplete)
    });
    Done::Judged(Box::new(Judged {
        uid,
        generation,
        suspend,
        verdict,
    }))
}

/// Looks for a target that a watch no longer shows.
pub(super) async fn looked(
    cluster: Cluster,
    uid: Uuid,
    (namespace, name): (String, String),
) -> Done {
    Done::Looked(uid, cluster.presence(uid, (&namespace, &name)).await)
}

/// Reads the configuration.
pub(super) async fn loaded(cluster: Cluster) -> Done {
    Done::Loaded(cluster.load().await)
}

/// Looks at what is there.
pub(super) async fn stored(cluster: Cluster) -> Done {
    Done::Stored(cluster.stored(clock::unix_millis()).await)
}

/// Lists all targets.
pub(super) async fn listed(cluster: Cluster, namespaces: Arc<[String]>) -> Done {
    Done::Listed(cluster.uids(&namespaces).await)
}

/// Publishes a configuration.
pub(super) async fn published(cluster: Cluster, writing: Box<Writing>) -> Done {
    let manifest = writing.manifest.as_ref();
    let result = cluster
        .publish(&writing.fresh, manifest, writing.replaces.clone())
        .await;
    Done::Published(writing, result)
}

/// Deletes shards.
pub(super) async fn collected(cluster: Cluster, shards: Vec<ShardName>) -> Done {
    Done::Collected(cluster.collect(&shards).await)
}

/// Writes a status.
pub(super) async fn wrote(
    cluster: Cluster,
    (namespace, name): (String, String),
    uid: Uuid,
    (before, status): (DeliveryTargetStatus, DeliveryTargetStatus),
) -> Done {
    let result = cluster
        .write_status((&namespace, &name), uid, &status)
        .await;
    Done::Wrote(Box::new(Wrote {
        uid,
        before,
        status,
        result,
    }))
}

/// Tells people by an Event: about a target, or about the operator itself.
pub(super) async fn told(
    cluster: Cluster,
    about: Option<(String, String)>,
    uid: Uuid,
    news: News,
) -> Done {
    Done::Told(cluster.tell(about, uid, &news).await)
}
