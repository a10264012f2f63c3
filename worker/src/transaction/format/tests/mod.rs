//! Promises about every format: golden bodies, and properties for arbitrary records.

mod golden;
mod properties;

use parcelhook_crds::compiled::Format;

use super::{EncodedBody, Encoding};
use crate::source::record::{Record, Timestamp};
use uuid::Uuid;

use crate::source::TopicId;
use crate::transaction::id::SourcePartition;

type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];

const FORMATS: [Format; 4] = [
    Format::CloudEventsBatch,
    Format::CloudEvents,
    Format::Json,
    Format::Raw,
];

fn encoding(format: Format) -> Encoding {
    let source = SourcePartition {
        topic: "orders",
        topic_id: Some(TopicId(Uuid::from_u128(
            0xc0aee709_9a8a43df_b5b04cd7_ff4858b4,
        ))),
        partition: 3,
    };
    Encoding::new(format, "com.example.order", &source)
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: Headers<'_>) -> Record {
    let created = Timestamp::Created(1_700_000_000_007);
    Record::new(42, created, key, value, headers.iter().copied())
}

fn encode(format: Format, records: &[Record]) -> EncodedBody {
    encoding(format).encode(records.iter()).unwrap()
}

fn text(body: &EncodedBody) -> &str {
    std::str::from_utf8(&body.body).unwrap()
}
