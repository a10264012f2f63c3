//! Receivers that speak TLS with certificates of a private authority, and signatures over it.

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::Version;
use parcelhook_env::{
    certificates::Authority,
    check::Expected,
    eventually,
    kafka::Event,
    receiver::{Receiver, Request},
};
use ring::hmac;
use serde_json::{Value, json};

use crate::{
    manifest::Manifest,
    site::{PARTITIONS, SOON, Site, some_events},
    told::{shows, target},
};

/// The field `endpoint/tls` of a target that trusts the authority in Secret `hook`.
fn private_ca() -> Value {
    json!({"caSecretRef": {"name": "hook", "key": "ca.crt"}})
}

/// Whether one of the signatures of a request is that of `key`, by the words of Standard Webhooks:
/// HMAC-SHA256 over `id.timestamp.body`, in base64, after `v1,`.
fn is_signed_by(request: &Request, key: &[u8]) -> Result<bool> {
    let header = |name| request.header(name).with_context(|| format!("no {name}"));
    let mut signed = format!(
        "{}.{}.",
        header("webhook-id")?,
        header("webhook-timestamp")?
    )
    .into_bytes();
    signed.extend_from_slice(&request.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed);
    let expected = format!("v1,{}", BASE64.encode(tag));
    Ok(header("webhook-signature")?
        .split(' ')
        .any(|one| one == expected))
}

#[tokio::test]
async fn a_private_authority_is_trusted_http_2_is_spoken_and_every_request_is_signed() -> Result<()>
{
    let site = Site::new("tls").await?;
    let topic = site.topic(PARTITIONS).await?;
    let authority = Authority::new("ours")?;
    let receiver = Receiver::builder().tls(&authority).start()?;
    let (new, old) = ([7; 32], [9; 24]);
    site.secret("hook", "ca.crt", authority.pem())?;
    site.secret("hook", "new", &format!("whsec_{}\n", BASE64.encode(new)))?;
    site.secret("hook", "old", &BASE64.encode(old))?;
    let keys = json!([{"name": "hook", "key": "new"}, {"name": "hook", "key": "old"}]);
    let manifest = Manifest::new("secure", &topic, &receiver.url("/"))
        .with("endpoint/tls", private_ca())
        .with("signing", json!({"keySecretRefs": keys}));
    site.put(&manifest)?;
    let _worker = site.worker().start().await?;
    let produced = site.kafka.produce(&topic, some_events(200)).await?;
    let mut expected = Expected::default();
    expected.add_produced(&topic, &produced);
    eventually("all events once", SOON, async || {
        expected.compare(&receiver.accepted()?).kept_exactly_once()
    })
    .await?;
    for request in receiver.requests() {
        assert!(request.tls);
        assert_eq!(request.version, Version::HTTP_2);
        assert!(is_signed_by(&request, &new)? && is_signed_by(&request, &old)?);
        assert!(!is_signed_by(&request, &[8; 32])?);
    }
    // Lanes that begin at the same moment connect each for itself; from then on they share.
    let connections = receiver.connections();
    assert!(
        connections <= PARTITIONS as u64,
        "{connections} connections"
    );
    let more = site.kafka.produce(&topic, some_events(200)).await?;
    expected.add_produced(&topic, &more);
    eventually("all events once", SOON, async || {
        expected.compare(&receiver.accepted()?).kept_exactly_once()
    })
    .await?;
    assert_eq!(receiver.connections(), connections);
    Ok(())
}

#[tokio::test]
async fn a_wrong_name_and_an_unknown_authority_are_down_and_nothing_is_sent() -> Result<()> {
    let site = Site::new("distrusted").await?;
    let authority = Authority::new("ours")?;
    let receiver = || Receiver::builder().tls(&authority);
    let wrong_name = receiver().certificate_for("wrong.example").start()?;
    let stranger = receiver().start()?;
    let (named_topic, unknown_topic) = (site.topic(1).await?, site.topic(1).await?);
    site.secret("hook", "ca.crt", authority.pem())?;
    site.secret("stranger", "ca.crt", Authority::new("theirs")?.pem())?;
    let named = Manifest::new("wrong-name", &named_topic, &wrong_name.url("/"))
        .with("endpoint/tls", private_ca());
    site.put(&named)?;
    let unknown = Manifest::new("unknown", &unknown_topic, &stranger.url("/")).with(
        "endpoint/tls",
        json!({"caSecretRef": {"name": "stranger", "key": "ca.crt"}}),
    );
    site.put(&unknown)?;
    let worker = site.worker().start().await?;
    for topic in [&named_topic, &unknown_topic] {
        site.kafka
            .produce(topic, (0..10).map(|n| Event::new(format!("{n}"))))
            .await?;
    }
    for (name, told) in [("wrong-name", "serverName"), ("unknown", "caSecretRef")] {
        shows(&worker, name, "/state", "DOWN").await?;
        let target = shows(&worker, name, "/reason", "InvalidCertificate").await?;
        let message = target["lastFailure"]["message"]
            .as_str()
            .unwrap_or_default();
        assert!(message.contains(told), "{target}");
        assert_eq!(target["pendingEvents"], 10, "{target}");
        assert_eq!(
            target["lastAttempts"][0]["outcome"], "misconfigured",
            "{target}"
        );
    }
    assert_eq!((wrong_name.count(), stranger.count()), (0, 0));

    // Each is mended by what its message names, at once.
    site.put(&named.with("endpoint/tls/serverName", json!("wrong.example")))?;
    site.put(&unknown.with("endpoint/tls", private_ca()))?;
    for (topic, receiver) in [(&named_topic, &wrong_name), (&unknown_topic, &stranger)] {
        let mut expected = Expected::default();
        expected.add(topic, 0, 0..10);
        eventually("all events once", SOON, async || {
            expected.compare(&receiver.accepted()?).kept_exactly_once()
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_certificate_gets_it_and_refuses_others() -> Result<()> {
    let site = Site::new("mutual").await?;
    let topic = site.topic(1).await?;
    let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
    let receiver = Receiver::builder()
        .tls(&servers)
        .clients_of(&clients)
        .start()?;
    let known = clients.client("worker")?;
    let stranger = servers.client("worker")?;
    site.secret("hook", "ca.crt", servers.pem())?;
    for (name, identity) in [("known", &known), ("stranger", &stranger)] {
        site.secret(name, "tls.crt", identity.certificate_pem())?;
        site.secret(name, "tls.key", &identity.key_pem())?;
    }
    let manifest =
        Manifest::new("mutual", &topic, &receiver.url("/")).with("endpoint/tls", private_ca());
    let showing = |name: &str| {
        let reference = json!({"name": name});
        manifest
            .clone()
            .with("endpoint/tls/clientCertificateSecretRef", reference)
    };
    site.put(&manifest)?;
    let worker = site.worker().start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    shows(&worker, "mutual", "/reason", "ClientCertificateRefused").await?;
    let failures = |target: &Value| target["counters"]["errors"].as_u64().unwrap_or(0);
    let before = failures(&target(&worker, "mutual").await?);

    site.put(&showing("stranger"))?;
    eventually("another refusal", SOON, async || {
        let target = target(&worker, "mutual").await?;
        let shown = &target["configuration"]["endpoint"]["tls"]["clientCertificate"];
        ensure!(shown == "Secret" && failures(&target) > before, "{target}");
        Ok(())
    })
    .await?;
    shows(&worker, "mutual", "/reason", "ClientCertificateRefused").await?;
    assert_eq!(receiver.count(), 0);

    site.put(&showing("known"))?;
    receiver.arrived(1, SOON).await?;
    shows(&worker, "mutual", "/state", "UP").await?;
    assert_eq!(receiver.count(), 1);
    Ok(())
}
