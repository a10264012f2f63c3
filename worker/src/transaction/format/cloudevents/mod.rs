//! Formats `CloudEventsBatch` and `CloudEvents`: CloudEvents 1.0 in the JSON format, as a batch or
//! one structured event.
//!
//! A record that is a CloudEvent already keeps its attributes: a structured one is sent byte for
//! byte, a binary one (Kafka protocol binding, `ce_` headers) is written out. Every other record gets
//! its attributes from its place in Kafka. Record headers that are no attribute travel together in
//! `kafkaheaders`, so none is lost; a structured event is complete in itself and takes none along.

mod attributes;
mod structured;
mod values;

use attributes::{Attributes, Value};

use super::json_value;
use super::media_type::MediaType;
use crate::source::record::Record;
use crate::transaction::id::{EventIds, SourcePartition};
use crate::transaction::write::{
    push_base64, push_escaped, push_percent, push_string, push_time, utc,
};

/// The attributes that all events of a lane share, as JSON text.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    ids: EventIds,
    /// From the end of the id to the end of the type.
    after_id: String,
}

impl Layout {
    pub(super) fn new(event_type: &str, source: &SourcePartition<'_>) -> Self {
        // A URI without authority: which cluster it is, the worker's configuration says.
        let mut after_id = String::from("\",\"source\":\"kafka:///");
        push_percent(&mut after_id, source.topic.as_bytes());
        after_id.push_str("\",\"type\":");
        push_string(&mut after_id, event_type);
        Self {
            ids: EventIds::new(source),
            after_id,
        }
    }

    /// Bytes of an event beside the record's own.
    pub(super) fn overhead(&self) -> usize {
        self.ids.fixed_length() + self.after_id.len() + 256
    }

    /// A JSON array of the events, into `out`.
    pub(super) fn write_batch<'a>(
        &self,
        events: impl Iterator<Item = &'a Record>,
        out: &mut String,
    ) {
        let mut attributes = Attributes::default();
        out.push('[');
        for (position, record) in events.enumerate() {
            if position > 0 {
                out.push(',');
            }
            self.write_event(record, &mut attributes, out);
        }
        out.push(']');
    }

    /// The event by itself, into `out`.
    pub(super) fn write_one(&self, record: &Record, out: &mut String) {
        self.write_event(record, &mut Attributes::default(), out);
    }

    /// `attributes` is scratch space, so that an event allocates nothing of its own.
    fn write_event<'a>(
        &self,
        record: &'a Record,
        attributes: &mut Attributes<'a>,
        out: &mut String,
    ) {
        let declared = MediaType::declared(record);
        if declared.is_some_and(|media_type| media_type.is_structured_cloudevent())
            && let Some(event) = json_value(record)
            && structured::is_cloudevent(event)
        {
            out.push_str(event);
            return;
        }
        attributes.read(record);
        if attributes.are_a_cloudevent() {
            out.push_str("{\"specversion\":\"1.0\"");
        } else {
            self.write_place(record, out);
        }
        for attribute in attributes.iter() {
            match attribute.value {
                Value::Text(text) => write_text(attribute.name, text, out),
                Value::Bytes(bytes) => write_bytes(attribute.name, bytes, out),
            }
        }
        write_key(record, attributes, out);
        let media_type = attributes
            .content_type()
            .and_then(|text| MediaType::parse(text.as_bytes()));
        write_headers(record, attributes, out);
        write_data(record, media_type, out);
        out.push('}');
    }

    /// The attributes of an event that is not a CloudEvent already: where it stands in Kafka.
    fn write_place(&self, record: &Record, out: &mut String) {
        out.push_str("{\"specversion\":\"1.0\",\"id\":\"");
        self.ids.write(record.offset, out);
        out.push_str(&self.after_id);
        if let Some(time) = utc(record.timestamp) {
            out.push_str(",\"time\":");
            push_time(out, time);
        }
        if let Some(key) = record
            .key()
            .and_then(values::text)
            .filter(|key| !key.is_empty())
        {
            write_text("subject", key, out);
        }
    }
}

/// The key as `partitionkey`, unless the event brings its own. CloudEvents wants it to be a
/// non-empty string: a key that is none goes in base64, a null key not at all.
fn write_key(record: &Record, attributes: &Attributes<'_>, out: &mut String) {
    let Some(key) = record.key() else { return };
    if attributes.contain("partitionkey") {
        return;
    }
    match values::text(key) {
        Some(text) if !text.is_empty() => write_text("partitionkey", text, out),
        Some(_) | None => write_bytes("partitionkey", key, out),
    }
}

/// The headers that became no attribute: `name=value` joined by `&`, percent-encoded, in their
/// order. A null value is a name without `=`.
fn write_headers(record: &Record, attributes: &Attributes<'_>, out: &mut String) {
    let mut separator = ",\"kafkaheaders\":\"";
    for (index, (name, value)) in record.headers().enumerate() {
        if attributes.took(index) {
            continue;
        }
        out.push_str(separator);
        separator = "&";
        push_percent(out, name.as_bytes());
        if let Some(value) = value {
            out.push('=');
            push_percent(out, value);
        }
    }
    if separator == "&" {
        out.push('"');
    }
}

/// The value as `data` or `data_base64`. A declared content type decides how it is read; without
/// one, a JSON text is JSON and all else is bytes. A null value writes nothing.
fn write_data(record: &Record, declared: Option<MediaType<'_>>, out: &mut String) {
    let Some(value) = record.value() else { return };
    let json = json_value(record);
    match (declared, json) {
        (None, Some(json)) => {
            out.push_str(",\"datacontenttype\":\"application/json\",\"data\":");
            out.push_str(json);
        }
        (None, None) => {
            write_text("datacontenttype", "application/octet-stream", out);
            write_base64_data(value, out);
        }
        (Some(declared), Some(json)) if declared.is_json() => {
            out.push_str(",\"data\":");
            out.push_str(json);
        }
        (Some(declared), _) if declared.is_text() => match std::str::from_utf8(value) {
            Ok(text) => write_text("data", text, out),
            Err(_) => write_base64_data(value, out),
        },
        (Some(_), _) => write_base64_data(value, out),
    }
}

fn write_base64_data(value: &[u8], out: &mut String) {
    out.push_str(",\"data_base64\":");
    push_base64(out, value);
}

fn write_text(name: &str, text: &str, out: &mut String) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":\"");
    push_escaped(out, text);
    out.push('"');
}

/// Bytes that are no text go as base64 under the attribute's name with `b64` appended.
fn write_bytes(name: &str, bytes: &[u8], out: &mut String) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("b64\":");
    push_base64(out, bytes);
}
