//! Format `Json`: `{"events":[{"id","topic","partition","offset","timestamp","key","headers","data"}]}`.
//!
//! Everything that Kafka knows of an event, in plain JSON. What JSON cannot hold stands under the
//! same name with `Base64` appended (`keyBase64`, `valueBase64`, `dataBase64`), so that no text can
//! be taken for bytes. A null key is `null`; a null value has no `data` at all, because `data: null`
//! is the JSON text `null`.

use super::json_value;
use crate::source::record::Record;
use crate::transaction::id::{EventIds, SourcePartition};
use crate::transaction::write::{push_base64, push_integer, push_string, push_time, utc};

/// The members that all events of a lane share, as JSON text.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    ids: EventIds,
    /// From the end of the id to the beginning of the offset.
    after_id: String,
}

impl Layout {
    pub(super) fn new(source: &SourcePartition<'_>) -> Self {
        let mut after_id = String::from("\",\"topic\":");
        push_string(&mut after_id, source.topic);
        after_id.push_str(",\"partition\":");
        push_integer(&mut after_id, source.partition.into());
        after_id.push_str(",\"offset\":");
        Self {
            ids: EventIds::new(source),
            after_id,
        }
    }

    /// Bytes of an event beside the record's own.
    pub(super) fn overhead(&self) -> usize {
        self.ids.fixed_length() + self.after_id.len() + 160
    }

    /// The body, into `out`.
    pub(super) fn write<'a>(&self, events: impl Iterator<Item = &'a Record>, out: &mut String) {
        out.push_str("{\"events\":[");
        for (position, record) in events.enumerate() {
            if position > 0 {
                out.push(',');
            }
            self.write_event(record, out);
        }
        out.push_str("]}");
    }

    fn write_event(&self, record: &Record, out: &mut String) {
        out.push_str("{\"id\":\"");
        self.ids.write(record.offset, out);
        out.push_str(&self.after_id);
        push_integer(out, record.offset);
        out.push_str(",\"timestamp\":");
        match utc(record.timestamp) {
            Some(time) => push_time(out, time),
            None => out.push_str("null"),
        }
        out.push(',');
        write_bytes("key", record.key(), out);
        out.push_str(",\"headers\":[");
        for (position, (name, value)) in record.headers().enumerate() {
            out.push_str(if position > 0 {
                ",{\"name\":"
            } else {
                "{\"name\":"
            });
            push_string(out, name);
            out.push(',');
            write_bytes("value", value, out);
            out.push('}');
        }
        out.push(']');
        if let Some(value) = record.value() {
            match json_value(record) {
                Some(json) => {
                    out.push_str(",\"data\":");
                    out.push_str(json);
                }
                None => {
                    out.push_str(",\"dataBase64\":");
                    push_base64(out, value);
                }
            }
        }
        out.push('}');
    }
}

/// `"name":"text"`, `"nameBase64":"…"` or `"name":null`.
fn write_bytes(name: &str, bytes: Option<&[u8]>, out: &mut String) {
    out.push('"');
    out.push_str(name);
    let Some(bytes) = bytes else {
        out.push_str("\":null");
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.push_str("\":");
            push_string(out, text);
        }
        Err(_) => {
            out.push_str("Base64\":");
            push_base64(out, bytes);
        }
    }
}
