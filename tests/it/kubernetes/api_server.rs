//! The environment's API server does what a cluster's does.

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{Api, Client, api::ListParams};
use parcelhook_env::{
    kubernetes::{ApiServer, Program},
    process::Launch,
};

/// The code of a refusal.
fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>) -> Result<u16> {
    match answer {
        Err(kube::Error::Api(status)) => Ok(status.code),
        other => bail!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_grants_and_no_more() -> Result<()> {
    let api = ApiServer::shared().await?;
    let namespace = api.create_namespace("role").await?;
    let kubectl = api.admin().kubectl().await?;
    for command in [
        "create serviceaccount reader",
        "create role reader --verb=list --resource=secrets",
        &format!("create rolebinding reader --role=reader --serviceaccount={namespace}:reader"),
    ] {
        let words = command
            .split(' ')
            .chain(["--namespace", namespace.as_str()]);
        kubectl.ok(words).await?;
    }

    let reader = api.service_account(&namespace, "reader").await?;

    let client = reader.client()?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    assert!(secrets.list(&ListParams::default()).await?.items.is_empty());
    assert_eq!(refusal(secrets.get("any").await)?, 403);
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    assert_eq!(refusal(maps.list(&ListParams::default()).await)?, 403);
    let said = reader
        .kubectl()
        .await?
        .run(["auth", "whoami", "-o", "name"])
        .await?;
    assert!(said.success, "{said:?}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_nobody_gave_out_opens_nothing() -> Result<()> {
    let api = ApiServer::shared().await?;
    let namespaces: Api<Namespace> = Api::all(api.user("white-rabbit").client()?);
    assert_eq!(refusal(namespaces.list(&ListParams::default()).await)?, 401);
    Ok(())
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_kill_and_after_a_stop() -> Result<()> {
    async fn answers(client: &Client, namespace: &str) -> bool {
        Api::<Namespace>::all(client.clone())
            .get(namespace)
            .await
            .is_ok()
    }
    let api = ApiServer::fresh().await?;
    let namespace = api.create_namespace("kept").await?;
    let client = api.admin().client()?;
    assert!(answers(&client, &namespace).await);

    api.kill().await?;
    assert!(!answers(&client, &namespace).await);
    api.start().await?;
    assert!(answers(&client, &namespace).await);

    api.stop().await?;
    assert!(!answers(&client, &namespace).await);
    api.start().await?;
    assert!(answers(&client, &namespace).await);
    Ok(())
}

#[tokio::test]
async fn each_program_says_its_version() -> Result<()> {
    for (program, arguments, version) in [
        (
            Program::KubeApiserver,
            &["--version"][..],
            "Kubernetes v1.36.3\n",
        ),
        (Program::Etcd, &["--version"], "etcd Version: 3.6.8\n"),
        (
            Program::Kubectl,
            &["version", "--client"],
            "Client Version: v1.36.3\n",
        ),
        (
            Program::Helm,
            &["version", "--template={{.Version}}\n"],
            "v4.3.1\n",
        ),
        (Program::Kubeconform, &["-v"], "v0.7.0\n"),
    ] {
        let path = program.provision().await?;
        let said = Launch::new("version", path).args(arguments).run()?;
        assert!(said.contains(version), "{program:?}: {said:?}");
    }
    Ok(())
}
