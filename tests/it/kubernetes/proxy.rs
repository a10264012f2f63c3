//! The proxy in front of the API server counts what passes, and does to it what it is told.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use parcelhook_env::{
    eventually,
    kubernetes::{Action, ApiServer, Proxy, Verb},
};
use serde_json::json;

use crate::site::SOON;

/// Config maps of a namespace, by way of a proxy and directly.
struct Maps {
    proxy: Proxy,
    through: Api<ConfigMap>,
    direct: Api<ConfigMap>,
}

impl Maps {
    async fn new() -> Result<Self> {
        let api = ApiServer::shared().await?;
        let namespace = api.create_namespace("proxied").await?;
        let proxy = api.proxy()?;
        let mut config = api.admin().through(&proxy).config()?;
        // Each call is to be seen once.
        config.default_retry = false;
        Ok(Self {
            proxy,
            through: Api::namespaced(Client::try_from(config)?, &namespace),
            direct: Api::namespaced(api.admin().client()?, &namespace),
        })
    }

    async fn create(&self, name: &str) -> kube::Result<ConfigMap> {
        self.through
            .create(&PostParams::default(), &map(name))
            .await
    }

    /// The names that the API server has.
    async fn names(&self) -> Result<Vec<String>> {
        names(&self.direct).await
    }
}

async fn names(maps: &Api<ConfigMap>) -> Result<Vec<String>> {
    let list = maps.list(&ListParams::default()).await?;
    Ok(list
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect())
}

fn map(name: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map
}

#[tokio::test]
async fn everything_passes_and_is_counted_by_verb_and_resource() -> Result<()> {
    let maps = Maps::new().await?;
    maps.create("one").await?;
    maps.create("two").await?;
    maps.through.get("one").await?;
    let change = Patch::Merge(json!({"data": {"a": "b"}}));
    maps.through
        .patch("one", &PatchParams::default(), &change)
        .await?;
    maps.through.delete("one", &DeleteParams::default()).await?;
    assert_eq!(names(&maps.through).await?, ["two"]);
    let counts = maps.proxy.take_counts();
    let expected = [
        (Verb::Get, 1),
        (Verb::List, 1),
        (Verb::Create, 2),
        (Verb::Patch, 1),
        (Verb::Delete, 1),
    ];
    let expected = expected.map(|(verb, count)| ((verb, "configmaps".to_owned()), count));
    assert_eq!(counts, expected.into_iter().collect());
    assert!(maps.proxy.counts().is_empty());
    Ok(())
}

#[tokio::test]
async fn kubectl_comes_through_it_too() -> Result<()> {
    let api = ApiServer::shared().await?;
    let proxy = api.proxy()?;
    let kubectl = api.admin().through(&proxy).kubectl().await?;
    let said = kubectl
        .ok(["get", "namespace", "kube-system", "-o", "name"])
        .await?;
    assert_eq!(said, "namespace/kube-system\n");
    assert_eq!(proxy.counts()[&(Verb::Get, "namespaces".to_owned())], 1);
    Ok(())
}

#[tokio::test]
async fn a_call_that_fails_at_the_proxy_is_refused_and_not_done() -> Result<()> {
    let maps = Maps::new().await?;
    for status in [
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        maps.proxy.on_call(move |_| Action::Fail(status));
        let Err(kube::Error::Api(refused)) = maps.create("one").await else {
            panic!("no refusal with {status}");
        };
        assert_eq!(refused.code, status.as_u16());
    }
    assert!(maps.names().await?.is_empty());
    maps.proxy.pass();
    maps.create("one").await?;
    Ok(())
}

#[tokio::test]
async fn a_rule_chooses_its_calls_and_remembers_what_it_saw() -> Result<()> {
    let maps = Maps::new().await?;
    let mut writes = 0;
    maps.proxy.on_call(move |call| {
        writes += u32::from(call.verb.writes());
        match (call.name.as_deref(), writes) {
            (None, 2) if call.verb == Verb::Create => Action::Fail(StatusCode::CONFLICT),
            _ => Action::Pass,
        }
    });
    maps.create("one").await?;
    assert!(maps.create("two").await.is_err());
    maps.create("three").await?;
    assert_eq!(maps.names().await?, ["one", "three"]);
    Ok(())
}

#[tokio::test]
async fn a_lost_call_is_not_done_and_a_lost_answer_hides_what_is_done() -> Result<()> {
    let maps = Maps::new().await?;
    maps.proxy.on_call(|_| Action::Lose);
    assert!(maps.create("call-lost").await.is_err());
    maps.proxy.on_call(|_| Action::LoseAnswer);
    assert!(maps.create("answer-lost").await.is_err());
    assert_eq!(maps.names().await?, ["answer-lost"]);
    Ok(())
}

#[tokio::test]
async fn a_delayed_call_is_done_later() -> Result<()> {
    let maps = Maps::new().await?;
    maps.proxy
        .on_call(|_| Action::Delay(Duration::from_secs(3_600)));
    let created = (Verb::Create, "configmaps".to_owned());
    tokio::select! {
        done = maps.create("late") => panic!("within an hour: {done:?}"),
        seen = eventually("the call at the proxy", SOON, async || {
            ensure!(maps.proxy.counts().contains_key(&created), "no call");
            Ok(())
        }) => seen?,
    }
    assert!(maps.names().await?.is_empty());
    maps.proxy
        .on_call(|_| Action::Delay(Duration::from_millis(1)));
    maps.create("late").await?;
    Ok(())
}

#[tokio::test]
async fn an_old_answer_is_given_again_as_if_nothing_had_happened_since() -> Result<()> {
    let maps = Maps::new().await?;
    maps.proxy.remember();
    maps.create("old").await?;
    assert_eq!(names(&maps.through).await?, ["old"]);
    maps.create("new").await?;
    assert_eq!(names(&maps.through).await?, ["new", "old"]);
    maps.proxy.on_call(|_| Action::Replay);
    assert_eq!(names(&maps.through).await?, ["old"]);
    // What was not asked before passes, and so do writes.
    assert!(maps.through.get("new").await.is_ok());
    maps.create("newer").await?;
    maps.proxy.pass();
    assert_eq!(names(&maps.through).await?, ["new", "newer", "old"]);
    Ok(())
}

#[tokio::test]
async fn watches_that_are_cut_end_in_order_and_can_be_begun_again() -> Result<()> {
    let maps = Maps::new().await?;
    maps.create("one").await?;
    let watch = async || {
        let events = maps.through.watch(&WatchParams::default(), "0").await?;
        anyhow::Ok(events.boxed())
    };
    let mut events = watch().await?;
    let first = without_bookmarks(&mut events).await?;
    assert!(matches!(first, Some(WatchEvent::Added(_))), "{first:?}");
    maps.proxy.cut_watches();
    let last = without_bookmarks(&mut events).await?;
    assert!(last.is_none(), "{last:?}");

    maps.proxy
        .on_call(|_| Action::Cut(Duration::from_millis(1)));
    let mut events = watch().await?;
    while events.try_next().await?.is_some() {}

    maps.proxy.pass();
    let first = without_bookmarks(&mut watch().await?).await?;
    assert!(matches!(first, Some(WatchEvent::Added(_))), "{first:?}");
    Ok(())
}

/// The next event that tells of an object. The API server adds bookmarks when it likes, also at the beginning.
async fn without_bookmarks(
    events: &mut BoxStream<'_, kube::Result<WatchEvent<ConfigMap>>>,
) -> Result<Option<WatchEvent<ConfigMap>>> {
    loop {
        match events.try_next().await? {
            Some(WatchEvent::Bookmark(_)) => {}
            told => return Ok(told),
        }
    }
}
