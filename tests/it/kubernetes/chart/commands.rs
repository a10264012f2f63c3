//! The command lines that are rendered are those that the programs understand, with the files where the
//! volumes put them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser as _;
use parcelhook_env::directories;
use parcelhook_operator::{policy::Grants, settings::Settings};
use parcelhook_worker::config::{Cli, Command, Config, Environment, TargetsFrom};
use serde_json::Value;

use super::{NAMESPACE, Rendered};

/// The strings of a list.
fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The objects of a list.
fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The arguments of a component's container, as if the directory were its root: what its volumes hold
/// lies there.
fn arguments(rendered: &Rendered, component: &str, root: &Path) -> Result<Vec<String>> {
    let container = rendered.container(component)?;
    let pod = rendered.pod(component)?;
    let mut arguments: Vec<String> = strings(&container["args"]).map(str::to_owned).collect();
    for mount in each(&container["volumeMounts"]) {
        let path = mount["mountPath"].as_str().context("a path")?;
        let volume = each(&pod["volumes"]).find(|volume| volume["name"] == mount["name"]);
        let volume = volume.with_context(|| format!("no volume {}", mount["name"]))?;
        let place = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(&place)?;
        fill(rendered, volume, &place)?;
        let moved = place.display().to_string();
        for argument in &mut arguments {
            *argument = argument.replace(path, &moved);
        }
    }
    Ok(arguments)
}

/// Puts into a directory what a volume holds.
fn fill(rendered: &Rendered, volume: &Value, place: &Path) -> Result<()> {
    if let Some(projected) = volume.get("projected") {
        for source in each(&projected["sources"]) {
            for item in each(&source["secret"]["items"]) {
                let file = item["path"].as_str().context("a path")?;
                fs::write(place.join(file), "hunter2")?;
            }
        }
    } else if let Some(map) = volume.get("configMap") {
        let maps = rendered.of_kind("ConfigMap");
        let mut named = maps.filter(|other| other["metadata"]["name"] == map["name"]);
        let data = &named.next().context("the ConfigMap")?["data"];
        for (file, text) in data.as_object().into_iter().flatten() {
            fs::write(place.join(file), text.as_str().context("a text")?)?;
        }
    } else {
        ensure!(volume["emptyDir"]["medium"] == "Memory", "{volume}");
    }
    Ok(())
}

/// The worker's configuration, as its own parser reads the rendered command line.
fn worker(rendered: &Rendered) -> Result<Config> {
    let arguments = arguments(rendered, "worker", &directories::fresh("worker-root")?)?;
    let line = [vec!["parcelhook-worker".to_owned()], arguments].concat();
    let Command::Run(options) = Cli::try_parse_from(line)?.command else {
        bail!("a worker runs");
    };
    Ok(Config::load(&options, &Environment::default())?)
}

/// The operator's settings, likewise.
fn operator(rendered: &Rendered) -> Result<Settings> {
    let arguments = arguments(rendered, "operator", &directories::fresh("operator-root")?)?;
    let line = [vec!["parcelhook-operator".to_owned()], arguments].concat();
    Ok(Settings::try_parse_from(line)?)
}

#[tokio::test]
async fn the_programs_understand_every_command_line_and_agree_with_one_another() -> Result<()> {
    for rendered in Rendered::all().await? {
        let set = rendered.set;
        let worker = worker(rendered).with_context(|| set)?;
        let operator = operator(rendered).with_context(|| set)?;
        assert_eq!(worker.consumer_group(), operator.consumer_group(), "{set}");
        assert_eq!(worker.prefix, operator.prefix, "{set}");
        assert_eq!(worker.egress_allow, operator.egress_allow, "{set}");
        assert_eq!(worker.admin_listen, operator.admin_listen, "{set}");
        assert_eq!(operator.namespace, NAMESPACE, "{set}");
        let kafka = operator.kafka.check().with_context(|| set)?;
        assert_eq!(kafka.bootstrap_servers, worker.kafka.bootstrap_servers);
        assert_eq!(kafka.sasl, worker.kafka.sasl, "{set}");
        assert_eq!(kafka.tls.is_some(), worker.kafka.tls.is_some(), "{set}");
        assert_eq!(kafka.properties, worker.kafka.properties, "{set}");
        // A worker without a namespace is in its account's, which is the release's.
        let TargetsFrom::Kubernetes {
            namespace,
            snapshots,
        } = worker.targets
        else {
            panic!("{set}: targets are in Kubernetes");
        };
        assert_eq!(namespace, None, "{set}");
        assert!(snapshots.is_some(), "{set}");
        if let Some(grants) = operator.grants {
            Grants::parse(&fs::read_to_string(grants)?)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn probes_and_services_ask_the_port_that_is_listened_on() -> Result<()> {
    for rendered in Rendered::all().await? {
        let set = rendered.set;
        let port = worker(rendered)?.admin_listen.port();
        for component in ["operator", "worker"] {
            let container = rendered.container(component)?;
            let ports = &container["ports"];
            assert_eq!(ports[0]["containerPort"], port, "{set}");
            assert_eq!(ports[0]["name"], "admin", "{set}");
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                assert_eq!(container[probe]["httpGet"]["port"], "admin", "{set}");
            }
        }
        for service in rendered.of_kind("Service") {
            assert_eq!(service["spec"]["ports"][0]["targetPort"], "admin", "{set}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_is_killed_only_after_its_own_grace() -> Result<()> {
    for rendered in Rendered::all().await? {
        let grace = worker(rendered)?.shutdown_grace.as_secs();
        let killed = rendered.pod("worker")?["terminationGracePeriodSeconds"].as_u64();
        assert!(killed >= Some(grace + 10), "{}: {killed:?}", rendered.set);
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_a_command_line_or_in_the_environment() -> Result<()> {
    for rendered in Rendered::all().await? {
        // Nothing of it is known to the chart: it names Secrets, and the kubelet fetches them.
        assert_eq!(rendered.of_kind("Secret").count(), 0, "{}", rendered.set);
        for component in ["operator", "worker"] {
            for argument in strings(&rendered.container(component)?["args"]) {
                let may_be_secret = argument.contains("password") || argument.contains("-key");
                let is_file = argument.contains("=/etc/parcelhook/kafka/");
                assert!(!may_be_secret || is_file, "{argument}");
            }
        }
    }
    Ok(())
}
