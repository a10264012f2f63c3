//! The operator is killed after every k-th thing that it writes, and another takes its place.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use parcelhook_env::{
    eventually,
    kubernetes::{Action, Call},
};

use super::course::Course;
use crate::site::SOON;

/// More lives than are needed.
const LIVES: usize = 20;

/// Whether a call changes the state that operators share. The Lease is the election's.
fn counts(call: &Call) -> bool {
    call.verb.writes() && !call.resource.starts_with("leases")
}

impl Course {
    /// The life of an operator: it is killed at its `most`-th write, whose answer it does not see.
    /// Returns whether it had nothing left to write before that.
    async fn live(&self, most: usize) -> Result<bool> {
        let written = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&written);
        self.proxy.on_call(move |call| {
            let earlier = if counts(call) {
                told.fetch_add(1, Ordering::SeqCst)
            } else {
                told.load(Ordering::SeqCst)
            };
            // From then on it might as well be dead.
            match earlier {
                _ if earlier + 1 == most && counts(call) => Action::LoseAnswer,
                _ if earlier >= most => Action::Lose,
                _ => Action::Pass,
            }
        });
        // Nobody has it: its holder is dead, and the next one need not wait to be sure of it.
        self.free_lease().await?;
        let operator = self.release.operator_through(&self.proxy, &[]).await?;
        let is_done = eventually("the last write of a life, or the end", SOON, async || {
            if written.load(Ordering::SeqCst) >= most {
                return Ok(false);
            }
            ensure!(self.is_at_the_end().await?, "{written:?} writes");
            Ok(true)
        })
        .await?;
        operator.kill()?;
        operator.ended(SOON).await?;
        Ok(is_done)
    }

    async fn free_lease(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.release.home.client()?, &self.release.own);
        let params = DeleteParams::default();
        match leases.delete("parcelhook-default-operator", &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }
}

#[tokio::test]
async fn operators_of_whom_each_is_killed_after_one_write_more_than_the_one_before() -> Result<()> {
    let course = Course::begin("killed").await?;
    course.first().await?;
    let mut lives = 1..LIVES;
    while !course.first_is_published().await? {
        let most = lives.next().context("nothing is published")?;
        assert!(!course.live(most).await?);
    }
    course.second().await?;
    while let Some(most) = lives.next()
        && !course.live(most).await?
    {}
    ensure!(!lives.is_empty(), "{}", course.state().await?);
    course.ends_as_without_faults().await
}
