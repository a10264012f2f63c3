//! Least privilege: what each program asks of the API server is what its role grants, no more and no
//! less.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, core::PartialObjectMeta};
use parcelhook_env::{
    eventually,
    kafka::Event,
    kubernetes::{Action, Proxy},
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    published::Published,
    release::Release,
    rights::{Place, Rights},
};
use crate::{manifest::Manifest, site::SOON};

/// Granted, and asked for only when the same Event comes again between five and six minutes later.
const RARE: [(Place, &str, &str); 2] = [
    (Place::Targets, "patch", "events.events.k8s.io"),
    (Place::Home, "patch", "events.events.k8s.io"),
];

/// Targets of an outage: so many that it is told of the operator, and no longer of each.
const OUTAGE: usize = 12;

/// Where, what and to what.
type Asked = BTreeSet<(Option<Place>, String, String)>;

/// What rules grant.
fn granted(rights: &Rights, account: &str) -> Asked {
    let mut granted = Asked::new();
    for (of, place, rules) in rights.by_place() {
        for rule in rules.iter().filter(|_| of == account) {
            for (group, resource) in rule.pairs() {
                let named = named(group, resource);
                let verbs = rule.verbs().iter();
                granted.extend(verbs.map(|verb| (Some(place), verb.clone(), named.clone())));
            }
        }
    }
    granted
}

/// As the proxy names it.
fn named(group: &str, resource: &str) -> String {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, format!("/{subresource}")),
        None => (resource, String::new()),
    };
    let dot = if group.is_empty() { "" } else { "." };
    format!("{resource}{dot}{group}{subresource}")
}

/// From now on writes down what is asked by way of the proxy.
fn record(proxy: &Proxy, release: &Release) -> Arc<Mutex<Asked>> {
    let asked = Arc::new(Mutex::new(Asked::new()));
    let told = Arc::clone(&asked);
    let places = [
        (release.home.namespace.clone(), Place::Targets),
        (release.own.clone(), Place::Home),
    ];
    proxy.on_call(move |call| {
        let mut places = places.iter();
        let place = places.find(|(namespace, _)| call.namespace.as_ref() == Some(namespace));
        let place = place.map(|(_, place)| *place);
        let what = (place, call.verb.to_string(), call.resource.clone());
        told.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(what);
        Action::Pass
    });
    asked
}

/// A shard that nobody names any more, and that is years old.
fn forgotten_shard(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "parcelhook.dev/config", "immutable": true,
        "metadata": {
            "name": "parcelhook-default-shard-00000000000000000000000000000000",
            "namespace": namespace, "uid": Uuid::new_v4(),
            "creationTimestamp": "2020-01-31T12:00:00Z",
            "labels": {
                "parcelhook.dev/worker-group": "default", "parcelhook.dev/config": "shard",
            },
        },
    })
}

/// Makes the operator do everything that it ever does.
async fn live(release: &Release) -> Result<()> {
    let topic = release.kafka.create_topic("rights", 1, &[]).await?;
    let receiver = Receiver::start()?;
    receiver.answer(Answer::status(503)?);
    release.secret("token", "token", "curiouser").await?;
    let bearer = json!({"tokenSecretRef": {"name": "token", "key": "token"}});
    let bearer = json!({"type": "Bearer", "bearer": bearer});
    for number in 0..OUTAGE {
        let name = format!("hook-{number}");
        let target = Manifest::new(&name, &topic, &receiver.url("/"));
        release
            .apply(&target.with("authentication", bearer.clone()))
            .await?;
    }
    for number in 0..OUTAGE {
        release
            .shows(&format!("hook-{number}"), "Ready", "True Ready")
            .await?;
    }
    release.kafka.produce(&topic, [Event::new("1")]).await?;
    for number in 0..OUTAGE {
        release
            .shows(&format!("hook-{number}"), "/status/state", "DOWN")
            .await?;
    }
    release
        .home
        .kubectl(&["delete", "deliverytarget", "hook-0"])
        .await?;
    let secrets: Api<PartialObjectMeta<Secret>> =
        Api::namespaced(release.home.client()?, &release.own);
    let forgotten = forgotten_shard(&release.own);
    release.home.api.store("secrets", &forgotten).await?;
    let name = forgotten["metadata"]["name"].as_str().unwrap_or_default();
    ensure!(secrets.get_opt(name).await?.is_some(), "it was not stored");
    let published = Published::of(release)?;
    eventually("the end of a target", SOON, async || {
        let manifest = published.manifest().await?.context("no manifest")?;
        ensure!(manifest.deleted.len() == 1, "{manifest:?}");
        Ok(())
    })
    .await?;
    // A pass that finds nothing to write tidies up, so here is one.
    let note = json!({"metadata": {"annotations": {"parcelhook.dev/note": "tidy up"}}});
    release.change("hook-1", &note).await?;
    eventually("the end of what nobody needs", 2 * SOON, async || {
        ensure!(secrets.get_opt(name).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_program_asks_for_all_that_it_may_do_and_for_nothing_else() -> Result<()> {
    let release = Release::apart("rights").await?;
    let rights = Rights::read()?;
    let namespaces = [&release.home.namespace];
    let grants = json!({"grants": [{"namespaces": namespaces, "topics": ["*"]}]});
    let grants = release.write("grants.yaml", &grants.to_string())?;
    let (operators, workers) = (release.home.api.proxy()?, release.home.api.proxy()?);
    let by_operator = record(&operators, &release);
    let by_worker = record(&workers, &release);
    let operator = release
        .operator_through(&operators, &["--grants", &grants])
        .await?;
    let worker = release.worker_through(&workers).await?.start().await?;
    live(&release).await?;
    assert!(worker.stop(SOON).await?.success());
    operator.terminate()?;
    assert!(operator.ended(SOON).await?.success());
    for (account, asked) in [("operator", by_operator), ("worker", by_worker)] {
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut granted = granted(&rights, account);
        if account == "operator" {
            for (place, verb, resource) in RARE {
                let rare = (Some(place), verb.to_owned(), resource.to_owned());
                assert!(granted.remove(&rare), "{rare:?}");
            }
        }
        assert_eq!(asked, granted, "of the {account}");
    }
    Ok(())
}
