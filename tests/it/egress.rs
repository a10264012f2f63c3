//! What a worker's operator has not opened is closed, however the webhook's host is written.

use anyhow::{Result, ensure};
use parcelhook_env::{eventually, kafka::Event, receiver::Receiver};

use crate::{
    manifest::Manifest,
    site::{SOON, Site},
    told::{shows, target},
};

/// The hosts by which the receiver on 127.0.0.1 can be named.
const HOSTS: [(&str, &str); 3] = [
    ("literal", "127.0.0.1"),
    ("number", "2130706433"),
    ("name", "localhost"),
];

#[tokio::test]
async fn loopback_is_denied_by_address_and_by_name_until_the_operator_opens_it() -> Result<()> {
    let site = Site::new("egress").await?;
    let topic = site.topic(1).await?;
    let loopback = std::net::Ipv4Addr::LOCALHOST;
    let receiver = Receiver::builder().host(loopback).start()?;
    let port = receiver.address().port();
    for (name, host) in HOSTS {
        let url = format!("http://{host}:{port}/{name}");
        site.secret(name, "url", &url)?;
        // From a Secret, so that the rules for URLs in manifests are not the guard.
        let manifest = Manifest::new(name, &topic, &url).with(
            "endpoint",
            serde_json::json!({"urlSecretRef": {"name": name, "key": "url"}}),
        );
        site.put(&manifest)?;
    }
    let closed = site.worker().only_public_egress().start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    let mut denied = Vec::new();
    for (name, _) in HOSTS {
        let seen = eventually(&format!("a verdict on {name}"), SOON, async || {
            let report = closed.targets().await?;
            let refused = report["problems"]
                .to_string()
                .contains(&format!("default/{name}"));
            if refused {
                return Ok(None);
            }
            let target = target(&closed, name).await?;
            ensure!(target["state"] == "DOWN", "{target}");
            Ok(Some(target))
        })
        .await?;
        // A host that is no address and no name is no target at all.
        let Some(target) = seen else { continue };
        assert_eq!(target["reason"], "EgressDenied", "{target}");
        let message = target["lastFailure"]["message"]
            .as_str()
            .unwrap_or_default();
        assert!(message.contains("--egress-allow"), "{target}");
        denied.push(name);
    }
    assert!(
        denied.contains(&"literal") && denied.contains(&"name"),
        "{denied:?}"
    );
    assert_eq!(receiver.connections(), 0);
    assert!(closed.stop(SOON).await?.success());

    let open = site.worker().start().await?;
    for name in denied {
        shows(&open, name, "/counters/eventsDelivered", 1).await?;
    }
    Ok(())
}
