//! Asks the cluster for the ranges of logs, on a thread of its own: librdkafka has no such question
//! that does not block, and a leader that is away must not hold scans of other buckets up.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parcelhook_kafka::ByHand;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::bell::Bell;
use super::ends::{Query, Range, Ranges};

/// How long one request may take. It may wait behind a fetch.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

struct Job {
    consumer: Arc<ByHand>,
    topic: Arc<str>,
    query: Query,
}

/// Asks one question at a time.
pub(super) struct Asker {
    jobs: SyncSender<Job>,
    answers: Receiver<Ranges>,
    thread: JoinHandle<()>,
}

impl Asker {
    /// Starts the thread. It rings when there is an answer, and ends when this is dropped.
    ///
    /// # Errors
    /// When there are no more threads.
    pub(super) fn start(bell: Arc<Bell>) -> io::Result<Self> {
        let (jobs, received) = sync_channel::<Job>(1);
        let (answered, answers) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("drain-ask".to_owned())
            .spawn(move || {
                for job in received {
                    let ranges = ranges(&job).unwrap_or_else(|error| {
                        tracing::debug!(%error, buckets = ?job.query.buckets, "where buckets end is not known yet");
                        Ranges::new()
                    });
                    drop(job);
                    if answered.send(ranges).is_err() {
                        return;
                    }
                    bell.ring();
                }
            })?;
        Ok(Self {
            jobs,
            answers,
            thread,
        })
    }

    /// Asks; one question may be under way.
    pub(super) fn ask(&self, consumer: Arc<ByHand>, topic: Arc<str>, query: Query) {
        // There is room: nothing is asked before the last answer. The thread lives as long as this.
        let _ = self.jobs.try_send(Job {
            consumer,
            topic,
            query,
        });
    }

    /// The answer, when it has come. What was not answered is missing.
    pub(super) fn answer(&self) -> Option<Ranges> {
        self.answers.try_recv().ok()
    }

    /// Waits for the question under way, at most [`ANSWER_TIMEOUT`] twice, and ends the thread.
    pub(super) fn join(self) {
        let Self {
            jobs,
            answers,
            thread,
        } = self;
        drop((jobs, answers));
        // It does not panic; if it did, it has ended as well.
        let _ = thread.join();
    }
}

fn ranges(job: &Job) -> KafkaResult<Ranges> {
    // ListOffsets takes -2 and -1 in the place of a timestamp for the start and the end. Starts come
    // first, so that an end is never from before its start.
    let starts = if job.query.starts {
        Some(offsets(job, Offset::Beginning)?)
    } else {
        None
    };
    let ends = offsets(job, Offset::End)?;
    let range = |(bucket, end)| match &starts {
        None => Some((bucket, Range { start: None, end })),
        Some(starts) => {
            let start = Some(*starts.get(&bucket)?);
            Some((bucket, Range { start, end }))
        }
    };
    Ok(ends.into_iter().filter_map(range).collect())
}

fn offsets(job: &Job, at: Offset) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut list = TopicPartitionList::with_capacity(job.query.buckets.len());
    for bucket in &job.query.buckets {
        list.add_partition_offset(&job.topic, *bucket, at)?;
    }
    let answer = job.consumer.offsets_for_times(list, ANSWER_TIMEOUT)?;
    let elements = answer.elements();
    let known = elements.iter().filter(|element| element.error().is_ok());
    Ok(known
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        })
        .collect())
}
