//! The headers of a record, without the copies and the panic of rdkafka's own accessor.

use std::ffi::CStr;
use std::marker::PhantomData;

use rdkafka::bindings as sys;
use rdkafka::message::BorrowedMessage;

use super::code;

/// The headers of a record, in order: name, and value unless it is null. Kafka's protocol demands
/// UTF-8 names; one that is not appears as U+FFFD, where rdkafka's own accessor would panic and one
/// bad record would stop its partition for ever.
#[derive(Clone, Debug)]
pub struct RecordHeaders<'a> {
    headers: *const sys::rd_kafka_headers_t,
    next: usize,
    message: PhantomData<&'a BorrowedMessage<'a>>,
}

impl<'a> RecordHeaders<'a> {
    /// The headers of a message.
    pub fn of(message: &'a BorrowedMessage<'_>) -> Self {
        let mut headers = std::ptr::null_mut();
        // SAFETY: the message is valid while it is borrowed; the headers belong to it.
        let error = unsafe { sys::rd_kafka_message_headers(message.ptr(), &raw mut headers) };
        Self {
            headers: match code(error) {
                None => headers,
                Some(_) => std::ptr::null(),
            },
            next: 0,
            message: PhantomData,
        }
    }
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.headers.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: the headers live as long as the borrowed message. The call fails past the last one;
        // else it gives a C string and a value that is null or has `size` bytes, all of the message.
        unsafe {
            let error = sys::rd_kafka_header_get_all(
                self.headers,
                self.next,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            if code(error).is_some() {
                return None;
            }
            self.next += 1;
            let value =
                (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
            Some((CStr::from_ptr(name).to_str().unwrap_or("\u{fffd}"), value))
        }
    }
}
