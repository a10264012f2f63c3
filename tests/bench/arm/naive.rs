//! The loop that anyone would write first: tokio as it comes, librdkafka as it comes, reqwest as it
//! comes, 64 requests at once.
//!
//! It does less than the worker in every way: no order, no retry, an offset that is committed
//! because it was read.

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use rdkafka::consumer::StreamConsumer;

use super::{IN_FLIGHT, Task, kafka, signature::Signer};

pub(super) fn run(task: &Task, signed: bool) -> Result<()> {
    // reqwest wants to know who does TLS also when nobody does.
    let _first_wins = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().context("make a runtime")?;
    runtime.block_on(deliver(task, signed.then(Signer::new)))
}

async fn deliver(task: &Task, signer: Option<Signer>) -> Result<()> {
    let consumer: StreamConsumer = kafka::plain(task)?;
    let client = reqwest::Client::new();
    let url: reqwest::Url = format!("http://{}/0", task.receiver).parse()?;
    let posts = consumer.stream().map(|event| {
        let (client, url, signer) = (&client, url.clone(), signer.as_ref());
        async move {
            let event = event.context("receive")?;
            let body = kafka::value(&event)?;
            let mut request = client.post(url).header("content-type", "application/json");
            if let Some(signer) = signer {
                for (name, value) in signer.headers(&event, body) {
                    request = request.header(name, value);
                }
            }
            let response = request.body(body.to_vec()).send().await?;
            response.error_for_status()?.bytes().await?;
            anyhow::Ok(())
        }
    });
    posts
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |()| Ok(()))
        .await
}
