//! What rdkafka has no safe form for: commits with a deadline, topic ids, cached watermarks, and
//! commit metadata that need not be UTF-8.
//!
//! The one place with `unsafe` on the way of an event. Owns the reply queues that answers arrive on. A reply queue must be
//! dropped before its consumer: while one exists, destroying the consumer waits for it (a hang, never
//! a dangling pointer, because librdkafka counts references to the queue).
#![expect(
    unsafe_code,
    reason = "librdkafka's C functions; each block says why it is sound"
)]

mod headers;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

pub use headers::RecordHeaders;

use super::topics::{TopicId, TopicState, TopicStates};
use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

/// A queue of our own on which librdkafka answers.
#[derive(Debug)]
struct ReplyQueue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are locked inside and may be used from any thread.
unsafe impl Send for ReplyQueue {}

impl ReplyQueue {
    fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client pointer is valid for as long as `consumer` is borrowed.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        NonNull::new(queue).map(Self)
    }

    /// Waits for an event; none when the time is over.
    fn poll(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: the queue lives until `self` is dropped.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), millis(timeout)) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for ReplyQueue {
    fn drop(&mut self) {
        // SAFETY: `new` made it, and nobody else destroys it.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// An event from a reply queue.
struct Event(NonNull<sys::rd_kafka_event_t>);

impl Event {
    fn is(&self, kind: i32) -> bool {
        // SAFETY: the event lives until `self` is dropped.
        unsafe { sys::rd_kafka_event_type(self.0.as_ptr()) == kind }
    }

    fn error(&self) -> Option<RDKafkaErrorCode> {
        // SAFETY: as above.
        code(unsafe { sys::rd_kafka_event_error(self.0.as_ptr()) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: `poll` took it off the queue, so it is ours to destroy, once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Commits offsets and hands their answers out, without ever waiting longer than it is told to.
#[derive(Debug)]
pub(super) struct Committer(ReplyQueue);

/// The answer to a commit.
#[derive(Debug)]
pub(super) struct CommitAnswer {
    error: Option<RDKafkaErrorCode>,
    errors: BTreeMap<(String, i32), RDKafkaErrorCode>,
}

impl CommitAnswer {
    /// A commit that was not sent.
    pub(super) fn refused(error: RDKafkaErrorCode) -> Self {
        Self {
            error: Some(error),
            errors: BTreeMap::new(),
        }
    }

    /// What went wrong for a partition: its own error, else that of the whole commit.
    pub(super) fn error_of(&self, topic: &str, partition: i32) -> Option<RDKafkaErrorCode> {
        let own = self.errors.get(&(topic.to_owned(), partition)).copied();
        own.or(self.error)
    }
}

impl Committer {
    /// None when librdkafka cannot make a queue.
    pub(super) fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        ReplyQueue::new(consumer).map(Self)
    }

    /// Sends a commit. The answer comes from [`Self::answer`].
    ///
    /// # Errors
    /// When it cannot even be queued; no answer follows then.
    pub(super) fn send<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        offsets: &TopicPartitionList,
    ) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: client, list and queue are valid during the call; librdkafka copies the list and
        // takes its own reference to the queue. Without a callback the opaque pointer is not used.
        let error = unsafe {
            sys::rd_kafka_commit_queue(
                consumer.client().native_ptr(),
                offsets.ptr(),
                self.0.0.as_ptr(),
                None,
                std::ptr::null_mut(),
            )
        };
        code(error).map_or(Ok(()), Err)
    }

    /// Waits for the answer to a commit; none when the time is over.
    pub(super) fn answer(&self, timeout: Duration) -> Option<CommitAnswer> {
        let event = self.0.poll(timeout)?;
        if !event.is(sys::RD_KAFKA_EVENT_OFFSET_COMMIT) {
            return None;
        }
        let mut errors = BTreeMap::new();
        // SAFETY: the event is an offset commit, whose list belongs to it and outlives the loop.
        unsafe {
            let list = sys::rd_kafka_event_topic_partition_list(event.0.as_ptr());
            for element in elements(list) {
                if let Some(error) = code(element.err) {
                    errors.insert((string(element.topic), element.partition), error);
                }
            }
        }
        Some(CommitAnswer {
            error: event.error(),
            errors,
        })
    }
}

/// A question for the ids and partitions of topics, under way.
#[derive(Debug)]
pub(super) struct TopicsQuestion {
    queue: ReplyQueue,
    topics: BTreeSet<String>,
}

impl TopicsQuestion {
    /// Asks a broker; does not wait. (By itself librdkafka asks the controller, which may be away
    /// while all else goes on.) None when there is nothing to ask.
    pub(super) fn ask<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        topics: BTreeSet<String>,
        broker: i32,
        timeout: Duration,
    ) -> Option<Self> {
        let names: Vec<CString> = topics
            .iter()
            .filter_map(|topic| CString::new(topic.as_str()).ok())
            .collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        if pointers.is_empty() {
            return None;
        }
        let queue = ReplyQueue::new(consumer)?;
        let client = consumer.client().native_ptr();
        // SAFETY: `names` outlives the calls, which copy them; options and collection are destroyed
        // once, after the call that copies what it needs; the queue is counted by the request.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(
                client,
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            );
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                millis(timeout),
                std::ptr::null_mut(),
                0,
            );
            sys::rd_kafka_AdminOptions_set_broker(options, broker, std::ptr::null_mut(), 0);
            let collection =
                sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeTopics(client, collection, options, queue.0.as_ptr());
            sys::rd_kafka_TopicCollection_destroy(collection);
            sys::rd_kafka_AdminOptions_destroy(options);
        }
        Some(Self { queue, topics })
    }

    /// Waits for the answer; none when the time is over. A topic that was not described is `Unknown`.
    pub(super) fn answer(&self, timeout: Duration) -> Option<TopicStates> {
        let event = self.queue.poll(timeout)?;
        let mut states: TopicStates = self
            .topics
            .iter()
            .map(|topic| (topic.clone(), TopicState::Unknown))
            .collect();
        if !event.is(sys::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT) || event.error().is_some() {
            return Some(states);
        }
        // SAFETY: the event is a DescribeTopics result; the descriptions belong to it and are only
        // read while it lives. `count` is what librdkafka wrote for that very array.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event.0.as_ptr());
            let mut count = 0;
            let descriptions = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            for index in 0..count {
                let description = *descriptions.add(index);
                let name = string(sys::rd_kafka_TopicDescription_name(description));
                states.insert(name, state(description));
            }
        }
        Some(states)
    }
}

/// # Safety
/// `description` must be a valid description.
unsafe fn state(description: *const sys::rd_kafka_TopicDescription_t) -> TopicState {
    // SAFETY: the caller vouches for `description`; error, id and partitions are parts of it.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(description);
        if !error.is_null() {
            match code(sys::rd_kafka_error_code(error)) {
                None => {}
                Some(
                    RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
                ) => return TopicState::Missing,
                Some(_) => return TopicState::Unknown,
            }
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(description, &raw mut partitions);
        TopicState::Present {
            id: topic_id(sys::rd_kafka_TopicDescription_topic_id(description)),
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        }
    }
}

/// # Safety
/// `uuid` must be null or valid.
unsafe fn topic_id(uuid: *const sys::rd_kafka_Uuid_t) -> Option<TopicId> {
    if uuid.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the caller vouches for the rest.
    let (high, low) = unsafe {
        (
            sys::rd_kafka_Uuid_most_significant_bits(uuid),
            sys::rd_kafka_Uuid_least_significant_bits(uuid),
        )
    };
    TopicId::from_halves(high, low)
}

/// The end of the log as the last fetch reported it: asks nobody. None before the first fetch.
pub(crate) fn cached_log_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: client and name are valid during the call, which writes the two numbers.
    let error = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (code(error).is_none() && high >= 0).then_some(high)
}

/// The metadata strings of a list, in its order. What is not UTF-8 (a tool may have committed
/// anything) is replaced; rdkafka's own accessor would panic.
pub(super) fn metadata(list: &TopicPartitionList) -> Vec<String> {
    // SAFETY: the list lives while it is borrowed, and each metadata pointer is null or has
    // `metadata_size` bytes that belong to it.
    unsafe {
        elements(list.ptr())
            .map(|element| {
                if element.metadata.is_null() {
                    return String::new();
                }
                let bytes = std::slice::from_raw_parts(
                    element.metadata.cast::<u8>(),
                    element.metadata_size,
                );
                String::from_utf8_lossy(bytes).into_owned()
            })
            .collect()
    }
}

/// # Safety
/// `list` must be null or valid, and outlive the iterator.
unsafe fn elements<'a>(
    list: *const sys::rd_kafka_topic_partition_list_t,
) -> impl Iterator<Item = &'a sys::rd_kafka_topic_partition_t> {
    // SAFETY: the caller vouches for `list`; an empty one may have no array.
    let slice = unsafe {
        match list.as_ref() {
            Some(list) if list.cnt > 0 && !list.elems.is_null() => {
                std::slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or(0))
            }
            Some(_) | None => &[],
        }
    };
    slice.iter()
}

/// # Safety
/// `text` must be null or a C string.
unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: it is not null, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn code(error: RDKafkaRespErr) -> Option<RDKafkaErrorCode> {
    (error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into())
}

/// Rounded up, so that a short wait does not become a busy loop.
fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}
