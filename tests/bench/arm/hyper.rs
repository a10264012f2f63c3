//! The cheapest loop that keeps the order: one thread, and one hyper connection for each of 64
//! partitions. No pool, no signature, no deadline.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rdkafka::{Message as _, consumer::StreamConsumer};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};

use super::{IN_FLIGHT, Task, kafka};

/// Events that may wait for one connection. Enough that the others go on while one waits.
const WAITING: usize = 16;

pub(super) fn run(task: &Task) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make a runtime")?;
    runtime.block_on(deliver(task))
}

async fn deliver(task: &Task) -> Result<()> {
    let consumer: StreamConsumer = kafka::tuned(task)?;
    let mut tasks = JoinSet::new();
    let mut lanes = Vec::with_capacity(IN_FLIGHT);
    for _ in 0..IN_FLIGHT {
        let stream = TcpStream::connect(task.receiver).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let (lane, events) = mpsc::channel(WAITING);
        tasks.spawn(async move { connection.await.context("a connection broke") });
        tasks.spawn(send(requests, events, task.receiver.to_string()));
        lanes.push(lane);
    }
    loop {
        tokio::select! {
            biased;
            event = consumer.recv() => {
                let event = event.context("receive")?;
                let lane = usize::try_from(event.partition())? % lanes.len();
                let body = Bytes::copy_from_slice(kafka::value(&event)?);
                lanes[lane].send(body).await.context("a lane has ended")?;
            }
            Some(ended) = tasks.join_next() => ended??,
        }
    }
}

async fn send(
    mut requests: SendRequest<Full<Bytes>>,
    mut events: mpsc::Receiver<Bytes>,
    host: String,
) -> Result<()> {
    while let Some(body) = events.recv().await {
        let request = Request::post("/0")
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        requests.ready().await?;
        let answer = requests.send_request(request).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
        answer.into_body().collect().await?;
    }
    Ok(())
}
