//! The first answer to each get and list, so that it can be given again when it has grown old.

use std::collections::HashMap;

use bytes::Bytes;
use http::{
    Method, Request, Response, Uri,
    header::{ACCEPT, HeaderValue},
};

/// All answers together. What comes later is not kept, and so not replayed.
const BYTES_MAX: usize = 64 << 20;

/// Asleep until it is made awake: it then keeps nothing.
#[derive(Debug, Default)]
pub(super) struct Memory {
    answers: Option<HashMap<Question, Response<Bytes>>>,
    bytes: usize,
}

/// What tells one question from another: where it is put, and in which form the answer is wanted
/// (whole objects, metadata alone, a table).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    uri: Uri,
    form: Vec<u8>,
}

impl Question {
    /// None of what is no question, but work to be done.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let form = request.headers().get(ACCEPT).map(HeaderValue::as_bytes);
        (request.method() == Method::GET).then(|| Self {
            uri: request.uri().clone(),
            form: form.unwrap_or_default().to_vec(),
        })
    }
}

impl Memory {
    pub(super) fn awake() -> Self {
        Self {
            answers: Some(HashMap::new()),
            bytes: 0,
        }
    }

    pub(super) fn is_awake(&self) -> bool {
        self.answers.is_some()
    }

    /// Keeps the answer when it is the first to this question.
    pub(super) fn keep(&mut self, question: Question, answer: &Response<Bytes>) {
        let Some(answers) = &mut self.answers else {
            return;
        };
        let bytes = self.bytes + answer.body().len();
        if bytes <= BYTES_MAX && !answers.contains_key(&question) {
            self.bytes = bytes;
            answers.insert(question, answer.clone());
        }
    }

    pub(super) fn recall(&self, question: Option<&Question>) -> Option<Response<Bytes>> {
        self.answers.as_ref()?.get(question?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn question(uri: &str, accept: &str) -> Question {
        let request = Request::get(uri).header(ACCEPT, accept).body(()).unwrap();
        Question::of(&request).unwrap()
    }

    fn answer(text: &'static str) -> Response<Bytes> {
        Response::new(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn the_first_answer_to_a_question_is_the_one_that_is_recalled() {
        let mut memory = Memory::awake();
        let asked = question("/api/v1/secrets", "application/json");
        memory.keep(asked.clone(), &answer("old"));
        memory.keep(asked.clone(), &answer("new"));
        assert_eq!(memory.recall(Some(&asked)).unwrap().body(), "old");
    }

    #[test]
    fn another_form_of_the_answer_is_another_question() {
        let mut memory = Memory::awake();
        memory.keep(
            question("/api/v1/secrets", "application/json"),
            &answer("old"),
        );
        let metadata = question(
            "/api/v1/secrets",
            "application/json;as=PartialObjectMetadata",
        );
        assert!(memory.recall(Some(&metadata)).is_none());
    }

    #[test]
    fn only_what_reads_is_a_question() {
        let request = Request::post("/api/v1/secrets").body(()).unwrap();
        assert_eq!(Question::of(&request), None);
    }

    #[test]
    fn nothing_is_kept_before_it_is_asked_for() {
        let mut memory = Memory::default();
        let asked = question("/api/v1/secrets", "application/json");
        memory.keep(asked.clone(), &answer("old"));
        assert!(!memory.is_awake() && memory.recall(Some(&asked)).is_none());
    }
}
