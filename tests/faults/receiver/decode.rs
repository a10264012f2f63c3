//! From a request to what the judge wants to know of it; everything strange about it is told.

use std::collections::BTreeMap;

use super::http::Request;
use crate::{
    judge::{Arrived, Lane, RequestNumber},
    load::now_ms,
    source::{Body, Place, Source},
};

/// The header by which a worker process names itself; its own manifests add it.
pub(crate) const WORKER_HEADER: &str = "x-worker";

/// What a receiver must know in order to understand requests.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    pub(crate) source: Source,
    /// The number of each topic.
    pub(crate) topics: BTreeMap<String, u8>,
    /// Whose receiver it is.
    pub(crate) target: u8,
}

impl Decoder {
    /// Reads a request; the error says what is strange.
    pub(super) fn read(&self, number: RequestNumber, request: &Request) -> Result<Arrived, String> {
        let header = |name: &str| {
            let value = request.header(name);
            value.ok_or_else(|| format!("request {number} has no {name}"))
        };
        let numeric = |name: &str| {
            let value = header(name)?;
            value
                .parse()
                .map_err(|_| format!("request {number}: {name}: {value}"))
        };
        let (place, offsets, written_at) = self.events(&request.body)?;
        Ok(Arrived {
            request: number,
            lane: Lane {
                target: self.target,
                place,
            },
            offsets,
            worker: numeric(WORKER_HEADER)?,
            attempt: numeric("parcelhook-attempt")?,
            transaction: header("webhook-id")?.to_owned(),
            processed: false,
            waited_ms: now_ms().saturating_sub(written_at),
        })
    }

    /// Whether an event of the request is one that some receivers refuse.
    pub(super) fn is_poison(&self, arrived: &Arrived) -> bool {
        let place = arrived.lane.place;
        let mut offsets = arrived.offsets.iter();
        offsets.any(|offset| self.source.is_poison(place, *offset))
    }

    /// The one partition and the offsets of a body's events, and when the first was written.
    fn events(&self, body: &[u8]) -> Result<(Place, Vec<i64>, u64), String> {
        let body: Body<'_> = serde_json::from_slice(body)
            .map_err(|error| format!("{error} in {}", String::from_utf8_lossy(body)))?;
        let mut place = None;
        let mut offsets = Vec::with_capacity(body.events.len());
        let mut first_written_at = None;
        for event in &body.events {
            let topic = self.topics.get(event.topic).copied();
            let here = Place {
                topic: topic.ok_or_else(|| format!("an event of topic {}", event.topic))?,
                partition: event.partition,
            };
            if *place.get_or_insert(here) != here {
                return Err(format!(
                    "events of {here} beside those of another partition"
                ));
            }
            let written_at = self.source.written_at(here, event);
            let written_at = written_at
                .ok_or_else(|| format!("{here}/{} is not as written: {event:?}", event.offset))?;
            first_written_at.get_or_insert(written_at);
            offsets.push(event.offset);
        }
        let place = place.ok_or("a request without events")?;
        Ok((place, offsets, first_written_at.unwrap_or(0)))
    }
}
