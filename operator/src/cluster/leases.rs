//! The Lease, as the election reads and writes it.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::{Cluster, ClusterError, FIELD_MANAGER, asked};
use crate::leader::elector::{Seen, Timing, Write, Written};

impl Cluster {
    /// The Lease of the group's operators; none when there is none.
    ///
    /// # Errors
    /// When nobody knows.
    pub async fn lease(&self) -> Result<Option<Seen>, ClusterError> {
        let name = self.lease_name();
        let lease = asked("reading the Lease", self.leases().get_opt(&name)).await?;
        Ok(lease.map(|lease| seen(&lease)))
    }

    /// Writes the Lease as the election says.
    pub async fn write_lease(&self, write: &Write, timing: Timing, now: i64) -> Written {
        let (leases, name) = (self.leases(), self.lease_name());
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let lease = self.lease_of(write, timing, now);
        let written = match write.replaces {
            None => asked("creating the Lease", leases.create(&params, &lease)).await,
            Some(_) => asked("renewing the Lease", leases.replace(&name, &params, &lease)).await,
        };
        match written {
            Ok(lease) => Written::Accepted(seen(&lease)),
            Err(error) if error.is_conflict() || error.is_not_found() => Written::Conflict,
            Err(error) => {
                tracing::warn!(%error, "the Lease could not be written");
                Written::Unknown
            }
        }
    }

    fn lease_of(&self, write: &Write, timing: Timing, now: i64) -> Lease {
        let now = Timestamp::from_millisecond(now).ok().map(MicroTime);
        let seconds = i32::try_from(timing.lease.as_secs()).unwrap_or(i32::MAX);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.lease_name()),
                namespace: Some(self.namespace.clone()),
                resource_version: write.replaces.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(write.holder.clone()),
                lease_duration_seconds: Some(seconds),
                lease_transitions: Some(write.transitions),
                renew_time: now.clone(),
                acquire_time: now.filter(|_| write.acquires),
                ..LeaseSpec::default()
            }),
        }
    }

    fn lease_name(&self) -> String {
        format!("parcelhook-{}-operator", self.group)
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn seen(lease: &Lease) -> Seen {
    let spec = lease.spec.as_ref();
    Seen {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default(),
        transitions: spec
            .and_then(|spec| spec.lease_transitions)
            .unwrap_or_default(),
    }
}
