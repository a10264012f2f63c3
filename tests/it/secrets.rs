//! Secrets go to those they are for and to nobody else: neither to a log, at whatever level and in
//! whatever format, nor to any page, nor into any error.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use parcelhook_env::{
    certificates::Authority,
    eventually, fetch,
    hostile::{Behaviour, Hostile},
    kafka::{Access, Event, Mechanism, PASSWORD, USER},
    network,
    receiver::{Answer, Receiver, Request},
    worker::{Settings, Worker},
};
use serde_json::json;

use crate::{
    manifest::Manifest,
    site::{SOON, Site},
};

/// Where every page of the admin port is.
const PAGES: [(&str, &str); 8] = [
    ("/", "text/html"),
    ("/targets", "application/json"),
    ("/targets", "text/html"),
    ("/targets/default/bearer", "application/json"),
    ("/targets/default/secret-url", "text/html"),
    ("/metrics", "text/plain"),
    ("/readyz", "text/plain"),
    ("/targets/none/none", "application/json"),
];

/// What must not be seen, by what it is.
type Secrets = BTreeMap<&'static str, String>;

fn search(secrets: &Secrets, place: &str, text: &str) {
    for (kind, secret) in secrets {
        // A person should find the place, and the test's own report is no place for secrets either.
        let found = text.lines().position(|line| line.contains(secret.as_str()));
        assert_eq!(found, None, "{kind} is in {place}, at this line from 0");
    }
}

/// A receiver as talkative as can be: it answers 500 with all that it was sent.
fn echo(request: &Request) -> Answer {
    let head = request.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {value}\n")
    });
    let body = format!("{}\n{}", request.path, head.collect::<String>());
    Answer::status(500).map_or_else(|_| Answer::hang_up(), |answer| answer.body(body))
}

/// Targets with a secret in every place there is, each failing in its own way.
struct Cast {
    secrets: Secrets,
    targets: Vec<&'static str>,
    echo: Receiver,
    _hostile: Vec<Hostile>,
    _tls: Receiver,
}

impl Cast {
    fn assemble(site: &Site, topic: &str) -> Result<Self> {
        let receiver = Receiver::start()?;
        receiver.answer_by(echo);
        let mut secrets: Secrets = [
            ("bearer token", "bearer-jabberwock-7f3a"),
            ("basic password", "password-bandersnatch-91"),
            ("header value", "header-jubjub-bird-55"),
            ("path of the secret URL", "hook-of-the-tumtum-tree"),
            ("query of the secret URL", "query-vorpal-sword-12"),
            ("unusable token", "unusable-slithy-tove"),
            ("unusable URL", "unusable-borogove"),
        ]
        .map(|(kind, secret)| (kind, secret.to_owned()))
        .into();
        let pair = format!("mome-rath:{}", secrets["basic password"]);
        secrets.insert("basic credentials", BASE64.encode(pair));
        secrets.insert(
            "signing key",
            BASE64.encode("the frumious bandersnatch key"),
        );
        secrets.insert("Kafka password", PASSWORD.to_owned());

        let authority = Authority::new("ours")?;
        let clients = Authority::new("clients")?;
        let tls = Receiver::builder()
            .tls(&authority)
            .clients_of(&clients)
            .start()?;
        let refused = authority.client("worker")?;
        let key = refused.key_pem();
        let line = key.lines().nth(1).context("no key")?;
        secrets.insert("client key", line.to_owned());
        let hostile: Vec<Hostile> = [
            Behaviour::Garbage,
            Behaviour::ResetInHead,
            Behaviour::EndlessBody,
        ]
        .into_iter()
        .map(Hostile::start)
        .collect::<Result<_>>()?;

        for (name, key, value) in [
            ("bearer", "token", &secrets["bearer token"]),
            ("basic", "username", &"mome-rath".to_owned()),
            ("basic", "password", &secrets["basic password"]),
            ("header", "value", &secrets["header value"]),
            (
                "signing",
                "key",
                &format!("whsec_{}", secrets["signing key"]),
            ),
            (
                "bad",
                "token",
                &format!("{}\u{1}", secrets["unusable token"]),
            ),
            (
                "bad",
                "url",
                &format!("ftp://user:{0}@host/{0}", secrets["unusable URL"]),
            ),
            ("tls", "ca.crt", &authority.pem().to_owned()),
            ("tls", "tls.crt", &refused.certificate_pem().to_owned()),
            ("tls", "tls.key", &key),
        ] {
            site.secret(name, key, value)?;
        }
        let mut cast = Self {
            secrets,
            targets: Vec::new(),
            echo: receiver,
            _hostile: hostile,
            _tls: tls,
        };
        cast.write(site, topic)?;
        Ok(cast)
    }

    fn write(&mut self, site: &Site, topic: &str) -> Result<()> {
        let reference = |name: &str, key: &str| json!({"name": name, "key": key});
        let bearer =
            json!({"type": "Bearer", "bearer": {"tokenSecretRef": reference("bearer", "token")}});
        let basic = json!({"type": "Basic", "basic": {"secretRef": {"name": "basic"}}});
        let header = json!({"type": "Header", "header": {"name": "x-key", "valueSecretRef": reference("header", "value")}});
        let signing = json!({"keySecretRefs": [reference("signing", "key")]});
        let mut put = |name: &'static str, url: &str, change: &dyn Fn(Manifest) -> Manifest| {
            self.targets.push(name);
            let manifest = Manifest::new(name, topic, url)
                .with("signing", signing.clone())
                .with("delivery", json!({"timeout": "1s"}));
            site.put(&change(manifest))
        };
        let echo = self.echo.url("/echo");
        put("bearer", &echo, &|target| {
            target.with("authentication", bearer.clone())
        })?;
        put("basic", &echo, &|target| {
            target.with("authentication", basic.clone())
        })?;
        put("header", &echo, &|target| {
            target.with("authentication", header.clone())
        })?;
        for (name, hostile) in ["garbage", "reset", "endless"]
            .into_iter()
            .zip(&self._hostile)
        {
            put(name, &hostile.url("/"), &|target| {
                target.with("authentication", bearer.clone())
            })?;
        }
        let mutual = json!({"caSecretRef": reference("tls", "ca.crt"), "clientCertificateSecretRef": {"name": "tls"}});
        put("mutual", &self._tls.url("/"), &|target| {
            target
                .with("authentication", basic.clone())
                .with("endpoint/tls", mutual.clone())
        })?;

        // URLs that are secret themselves: one that answers, and others that fail below HTTP.
        let (path, query) = (
            &self.secrets["path of the secret URL"],
            &self.secrets["query of the secret URL"],
        );
        let dead = network::fresh_host();
        let [closed] = network::free_ports(dead)?;
        for (name, base) in [
            ("secret-url", self.echo.url("")),
            ("secret-closed", format!("http://{dead}:{closed}")),
            ("secret-name", "http://no-such-host.invalid".to_owned()),
            ("secret-denied", "http://169.254.169.254".to_owned()),
            ("secret-tls", self._tls.url("")),
        ] {
            site.secret(name, "url", &format!("{base}/{path}?token={query}"))?;
            put(name, "https://unused.example/", &|target| {
                target
                    .with("endpoint", json!({"urlSecretRef": reference(name, "url")}))
                    .with("authentication", bearer.clone())
            })?;
        }
        self.write_unusable(site, topic)
    }

    /// Targets whose Secrets hold what cannot be used: they never run.
    fn write_unusable(&self, site: &Site, topic: &str) -> Result<()> {
        let url = json!({"urlSecretRef": {"name": "bad", "key": "url"}});
        let unused = "https://unused.example/";
        site.put(&Manifest::new("bad-url", topic, unused).with("endpoint", url))?;
        let token = json!({"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "bad", "key": "token"}}});
        site.put(&Manifest::new("bad-token", topic, unused).with("authentication", token))
    }
}

fn worker(site: &Site, format: &str, level: &str) -> Result<Settings> {
    let mechanism = Mechanism::ScramSha512;
    Ok(site
        .worker_at(&site.kafka.bootstrap(Access::SaslTls(mechanism)))
        .flag("--kafka-tls-ca", &site.kafka.files().ca)
        .flag("--kafka-sasl-mechanism", mechanism.name())
        .flag("--kafka-sasl-username", USER)
        .flag(
            "--kafka-sasl-password-file",
            site.file("password", PASSWORD)?,
        )
        .flag("--log-format", format)
        .flag("--log-level", level))
}

/// Waits until every target has been attempted twice or stands, so that every failure was told.
async fn all_failed(worker: &Worker, cast: &Cast) -> Result<()> {
    eventually("a failure of every target", SOON, async || {
        let report = worker.targets().await?;
        let targets = report["targets"].as_array().context("no targets")?;
        ensure!(
            targets.len() == cast.targets.len(),
            "{} targets",
            targets.len()
        );
        for target in targets {
            let counters = &target["counters"];
            let attempts = counters["failures"]
                .as_u64()
                .max(counters["errors"].as_u64());
            let attempts = attempts.max(counters["successes"].as_u64());
            ensure!(attempts >= Some(1), "{}: {}", target["name"], counters);
        }
        let problems = report["problems"].as_array().map_or(0, Vec::len);
        ensure!(problems == 2, "{problems} problems");
        Ok(())
    })
    .await
    .map(drop)
}

async fn nothing_is_told(purpose: &str, format: &str, level: &str) -> Result<()> {
    let site = Site::new(purpose).await?;
    let topic = site.topic(1).await?;
    let cast = Cast::assemble(&site, &topic)?;
    let worker = worker(&site, format, level)?.start().await?;
    site.kafka.produce(&topic, [Event::new("1")]).await?;
    all_failed(&worker, &cast).await?;

    // The secrets did go where they belong; otherwise there was nothing to hide.
    let sent: String = cast
        .echo
        .requests()
        .iter()
        .map(|request| format!("{} {:?}\n", request.path, request.headers))
        .collect();
    for kind in [
        "bearer token",
        "basic credentials",
        "header value",
        "query of the secret URL",
    ] {
        assert!(sent.contains(&cast.secrets[kind]), "{kind} was not sent");
    }
    for (path, accept) in PAGES {
        let page = fetch::get_as(worker.admin(), path, accept).await?;
        assert!(!page.body.is_empty(), "{path}");
        search(&cast.secrets, path, &page.body);
    }
    let told = worker.page("/targets/default/bearer").await?;
    assert!(told.contains("[redacted]"), "{told}");
    worker.stop(SOON).await?;
    let output = worker.output()?;
    assert!(output.contains("target is DOWN"), "{output}");
    search(&cast.secrets, "the output", &output);
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_the_text_log_at_trace_or_on_any_page() -> Result<()> {
    nothing_is_told("secrets-text", "text", "trace").await
}

#[tokio::test]
async fn no_secret_is_in_the_json_log_at_debug_or_on_any_page() -> Result<()> {
    nothing_is_told("secrets-json", "json", "debug").await
}

#[tokio::test]
async fn no_secret_is_in_what_check_and_a_wrong_configuration_say() -> Result<()> {
    let site = Site::new("secrets-check").await?;
    let mut cast = Cast::assemble(&site, "orders")?;
    let check = worker(&site, "text", "trace")?.command("check").launch()?;
    assert_eq!(check.ended(SOON).await?.code(), Some(2), "{}", check.tail());
    let said = check.stdout().text()? + &check.stderr().text()?;
    assert!(said.contains("problems: 2"), "{said}");
    search(&cast.secrets, "what check says", &said);

    cast.secrets.insert(
        "password in the environment",
        "callooh-callay-88".to_owned(),
    );
    cast.secrets
        .insert("property", "frabjous-day-property".to_owned());
    let refused = |settings: Settings| {
        let secrets = &cast.secrets;
        async move {
            let process = settings.launch()?;
            let status = process.ended(SOON).await?;
            assert_eq!(status.code(), Some(2), "{}", process.tail());
            let said = process.stdout().text()? + &process.stderr().text()?;
            search(secrets, "what a refusal says", &said);
            anyhow::Ok(said)
        }
    };
    let in_properties = worker(&site, "text", "trace")?
        .env("PARCELHOOK_KAFKA_SASL_PASSWORD", "callooh-callay-88")
        .flag("--kafka-properties", "sasl.password=frabjous-day-property")
        .flag(
            "--kafka-properties",
            "session.timeout.ms=frabjous-day-property",
        );
    let said = refused(in_properties).await?;
    assert!(said.contains("use kafka.sasl"), "{said}");
    assert!(said.contains("session.timeout.ms"), "{said}");
    // A flag that is not there is refused without its value.
    let on_the_command_line =
        worker(&site, "text", "trace")?.flag("--kafka-sasl-password", "callooh-callay-88");
    refused(on_the_command_line).await?;
    Ok(())
}
