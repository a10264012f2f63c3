//! Whatever valid changes a target has gone through, workers run of it what they run of a target that is
//! made in its last form.
//!
//! The sequences are random and begin with a seed; `PARCELHOOK_MUTATION_SEEDS=20` runs more of them.

use std::{collections::BTreeMap, env};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use futures::future::try_join_all;
use kube::api::{DeleteParams, Patch, PatchParams};
use parcelhook_crds::config::Entry;
use parcelhook_env::{eventually, kubernetes::Action};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::{published::Published, release::Release};
use crate::site::SOON;

/// Targets that change at the same time.
const TARGETS: u64 = 6;

/// Changes of each.
const CHANGES: usize = 10;

/// The spec with which each begins.
fn plain() -> Value {
    json!({
        "sources": [{"topic": "orders"}],
        "endpoint": {"url": "http://127.0.0.9:9/plain"},
    })
}

/// The next value of one field; null takes it away. Each is valid by itself, and not each can be run.
fn change(random: &mut Rng) -> (&'static str, Value) {
    let secret = ["token", "other", "missing"][random.usize(..3)];
    let reference = json!({"name": secret, "key": "token"});
    let number = random.usize(1..=4);
    let taken = random.u8(..4) == 0;
    let (field, value) = match random.usize(..12) {
        0 => ("suspend", json!(random.bool())),
        1 => {
            let sources = (0..number).map(|n| json!({"topic": format!("orders-{n}")}));
            return ("sources", sources.collect());
        }
        2 => {
            let headers = json!([{"name": "kind", "values": [format!("{number}")]}]);
            let source = json!({"topic": "orders", "filter": {"headers": headers}});
            return ("sources", json!([source]));
        }
        // The last is a network that nobody may send to.
        3 => {
            let host = ["127.0.0.8", "127.0.0.9", "10.0.0.1"][random.usize(..3)];
            return (
                "endpoint",
                json!({"url": format!("http://{host}:9/{number}")}),
            );
        }
        4 => {
            return (
                "endpoint",
                json!({"urlSecretRef": {"name": secret, "key": "url"}}),
            );
        }
        5 => {
            let headers = json!([{"name": "x-number", "value": format!("{number}")}]);
            let url = "http://127.0.0.9:9/headers";
            return (
                "endpoint",
                json!({"url": url, "headers": headers, "method": "PUT"}),
            );
        }
        6 => (
            "authentication",
            json!({"type": "Bearer", "bearer": {"tokenSecretRef": reference}}),
        ),
        7 => (
            "signing",
            json!({"keySecretRefs": [{"name": secret, "key": "key"}]}),
        ),
        8 => (
            "format",
            json!(["Json", "CloudEvents", "Raw"][random.usize(..3)]),
        ),
        9 => ("transaction", json!({"maxEvents": number})),
        10 => ("delivery", json!({"timeout": format!("{number}s")})),
        _ => (
            "retry",
            json!({"maxAge": format!("{number}h"), "rejectAttempts": number}),
        ),
    };
    (field, if taken { Value::Null } else { value })
}

/// A release with the Secrets that targets refer to.
struct Mutations {
    release: Release,
    published: Published,
}

impl Mutations {
    async fn begin() -> Result<Self> {
        let release = Release::new("mutations").await?;
        for name in ["token", "other"] {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                "stringData": {
                    "token": name,
                    "url": format!("http://127.0.0.9:9/{name}"),
                    "key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                },
            });
            let path = release.write("secret.json", &secret.to_string())?;
            release.home.kubectl(&["apply", "-f", &path]).await?;
        }
        let published = Published::of(&release)?;
        Ok(Self { release, published })
    }

    async fn make(&self, name: &str, spec: &Value) -> Result<()> {
        let object = json!({
            "apiVersion": "parcelhook.dev/v1alpha1", "kind": "DeliveryTarget",
            "metadata": {"name": name}, "spec": spec,
        });
        let patch = Patch::Apply(&object);
        let params = PatchParams::apply("person").force();
        self.release.targets.patch(name, &params, &patch).await?;
        Ok(())
    }

    /// Takes a target through a sequence of changes. Returns its last spec, which can be run.
    async fn mutate(&self, name: &str, seed: u64) -> Result<Value> {
        let mut random = Rng::with_seed(seed);
        let mut spec = plain();
        self.make(name, &spec).await?;
        for _ in 0..CHANGES {
            if random.u8(..10) == 0 {
                let params = DeleteParams::default();
                self.release.targets.delete(name, &params).await?;
            }
            let (field, value) = change(&mut random);
            let fields = spec.as_object_mut().context("a spec is an object")?;
            fields.insert(field.to_owned(), value);
            fields.retain(|_, value| !value.is_null());
            self.make(name, &spec).await?;
        }
        let last = spec.to_string().replace("10.0.0.1", "127.0.0.7");
        let spec = serde_json::from_str(&last.replace(r#""missing""#, r#""token""#))?;
        self.make(name, &spec).await?;
        Ok(spec)
    }

    /// Waits until workers run the generation that there is.
    async fn runs(&self, name: &str) -> Result<Entry> {
        eventually(
            &format!("the last generation of {name}"),
            SOON,
            async || {
                let target = self.release.target(name).await?;
                let metadata = &target["metadata"];
                let uid: Uuid = metadata["uid"].as_str().context("no uid")?.parse()?;
                let mut entries: BTreeMap<Uuid, Entry> = self.published.now().await?;
                let entry = entries.remove(&uid).context("nothing runs")?;
                let observed = &target["status"]["observedGeneration"];
                let is_last = metadata["generation"] == entry.generation;
                ensure!(is_last && !entry.held, "{entry:?} of {target}");
                ensure!(metadata["generation"] == *observed, "{target}");
                Ok(entry)
            },
        )
        .await
    }

    /// Whether a target that went through changes is what a new one is.
    async fn is_as_new(&self, seed: u64) -> Result<()> {
        let name = format!("changed-{seed}");
        let spec = self.mutate(&name, seed).await?;
        let changed = self.runs(&name).await?;
        let name = format!("new-{seed}");
        self.make(&name, &spec).await?;
        let mut new = self.runs(&name).await?;
        new.generation = changed.generation;
        new.target.uid = changed.target.uid;
        new.target.name.clone_from(&changed.target.name);
        ensure!(new == changed, "of {spec}: {changed:#?}, and anew {new:#?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_target_after_any_valid_changes_is_what_it_would_be_if_it_were_made_anew() -> Result<()> {
    let mutations = Mutations::begin().await?;
    let proxy = mutations.release.home.api.proxy()?;
    let mut calls = 0;
    // Now and then a call is lost, so that no two runs go alike.
    proxy.on_call(move |_| {
        calls += 1;
        if calls % 13 == 0 {
            Action::Lose
        } else {
            Action::Pass
        }
    });
    let _operator = mutations.release.operator_through(&proxy, &[]).await?;
    let rounds: u64 = match env::var("PARCELHOOK_MUTATION_SEEDS") {
        Ok(rounds) => rounds.parse().context("PARCELHOOK_MUTATION_SEEDS")?,
        Err(_) => 1,
    };
    for round in 0..rounds {
        let seeds = round * TARGETS..(round + 1) * TARGETS;
        try_join_all(seeds.map(|seed| mutations.is_as_new(seed))).await?;
    }
    Ok(())
}
