//! From the bytes of a file to its documents: cut, parse, and look whose each one is. Whether a
//! manifest is valid is not decided here.

use std::fmt;

use serde_json::Value;

/// The kind that counts.
const KIND: &str = "DeliveryTarget";

/// Documents of one file: five times what the largest file holds of real targets. Beyond it the file is
/// unusable as a whole.
const MAX_DOCUMENTS: usize = 10_000;

/// What a manifest without a namespace or a group belongs to.
const DEFAULT: &str = "default";

/// Namespace and name of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    namespace: String,
    name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One document of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// Its number in the file, from 1; documents without content have none.
    pub(super) number: usize,
    pub(super) content: Content,
}

/// What a document turned out to be.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    /// A `DeliveryTarget` of this worker group.
    Ours { name: Name, value: Value },
    /// A `DeliveryTarget` of another group.
    OfOtherGroup,
    /// Something that cannot be a target; the message says why. The name, if it can be told.
    Unusable { name: Option<Name>, message: String },
}

/// Cuts a file into documents.
///
/// # Errors
/// When it is not text, or holds nothing but white space, or too many documents.
pub(super) fn documents(
    file: &str,
    bytes: &[u8],
    worker_group: &str,
) -> Result<Vec<Document>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(
            "is empty, as if half written; write a manifest, or remove the file to end its targets"
                .to_owned(),
        );
    }
    let values = if file.ends_with(".json") {
        let value = serde_json::from_str(text);
        vec![value.map_err(|error| format!("is not JSON: {error}"))]
    } else {
        let chunks = chunks(text);
        if chunks.len() > MAX_DOCUMENTS {
            return Err(format!(
                "holds more than {MAX_DOCUMENTS} documents; split it"
            ));
        }
        chunks.into_iter().map(yaml).collect()
    };
    let present = values.into_iter().filter(|value| *value != Ok(Value::Null));
    Ok(present
        .enumerate()
        .map(|(index, value)| Document {
            number: index + 1,
            content: recognize(value, worker_group),
        })
        .collect())
}

/// A part of a file, and the number of lines before it.
struct Chunk<'a> {
    lines_before: usize,
    text: &'a str,
}

/// Cuts at the lines that begin with `---`. In YAML such a line is a marker wherever it stands, so
/// one broken document cannot hide where the next begins.
fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut lines_before = 0;
    let mut position = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            chunks.push(Chunk {
                lines_before,
                text: &text[start..position],
            });
            (start, lines_before) = (position, number);
        }
        position += line.len();
    }
    chunks.push(Chunk {
        lines_before,
        text: &text[start..],
    });
    chunks
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Parses one document. One with nothing but comments and directives is null.
fn yaml(chunk: Chunk<'_>) -> Result<Value, String> {
    let has_content = |line: &str| {
        let line = line.strip_prefix("---").unwrap_or(line).trim();
        !(line.is_empty() || line.starts_with(['#', '%']))
    };
    if !chunk.text.lines().any(has_content) {
        return Ok(Value::Null);
    }
    // No snippet: a manifest may hold a header or a URL that its author takes for a secret.
    // Strict: the name `no` is a name.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(chunk.text, options)
        .map_err(|error| describe(&error, chunk.lines_before))
}

/// The error with its line counted from the top of the file.
fn describe(error: &serde_saphyr::Error, lines_before: usize) -> String {
    match error.location() {
        Some(location) => {
            let within = format!(" at line {}, column {}", location.line(), location.column());
            let message = error.to_string().replace(&within, "");
            let line = lines_before as u64 + location.line();
            format!(
                "is not YAML: line {line}, column {}: {message}",
                location.column()
            )
        }
        None => format!("is not YAML: {error}"),
    }
}

/// Looks whose a document is.
fn recognize(value: Result<Value, String>, worker_group: &str) -> Content {
    let value = match value {
        Ok(value) => value,
        Err(message) => {
            return Content::Unusable {
                name: None,
                message,
            };
        }
    };
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").map(|name| Name {
        namespace: text("/metadata/namespace").unwrap_or(DEFAULT).to_owned(),
        name: name.to_owned(),
    });
    if text("/kind") != Some(KIND) {
        let message = match text("/kind") {
            Some(kind) => format!("kind: is '{kind}'; only {KIND} belongs in this directory"),
            None => format!("kind: is missing; write {KIND}"),
        };
        return Content::Unusable { name, message };
    }
    // A group that is no text is for the validation to refuse.
    let group = value.pointer("/spec/workerGroup");
    let group = group.map_or(Some(DEFAULT), |group| group.as_str().or(Some(worker_group)));
    if group != Some(worker_group) {
        return Content::OfOtherGroup;
    }
    match name {
        Some(name) => Content::Ours { name, value },
        None => Content::Unusable {
            name: None,
            message: "metadata.name: is missing; give the target a name".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each document in a few words.
    fn summary(file: &str, text: &str) -> Vec<String> {
        let documents = documents(file, text.as_bytes(), "default").unwrap();
        let describe = |document: &Document| match &document.content {
            Content::Ours { name, .. } => format!("{} {name}", document.number),
            Content::OfOtherGroup => format!("{} other", document.number),
            Content::Unusable { message, .. } => format!("{} {message}", document.number),
        };
        documents.iter().map(describe).collect()
    }

    fn manifest(name: &str) -> String {
        format!("kind: DeliveryTarget\nmetadata: {{name: {name}}}\n")
    }

    #[test]
    fn a_file_is_cut_into_its_documents() {
        let (a, b) = (manifest("a"), manifest("b"));
        let both = ["1 default/a", "2 default/b"];
        for (text, expected) in [
            (a.clone(), &both[..1]),
            (format!("{a}---\n{b}"), &both),
            (
                format!("# words\n---\n{a}\n---\n# nothing\n---\n{b}---\n"),
                &both,
            ),
            (format!("%YAML 1.2\n---\n{a}...\n--- # b\n{b}"), &both),
            (format!("\u{feff}{a}---\n{b}").replace('\n', "\r\n"), &both),
            (format!("{a}---\nnull\n---\n{b}"), &both),
            (
                format!("{a}text: |\n  --- not a marker\n----: x\n"),
                &both[..1],
            ),
            ("# nothing\n".to_owned(), &[]),
        ] {
            assert_eq!(summary("a.yaml", &text), expected, "{text}");
        }
    }

    #[test]
    fn one_bad_document_leaves_the_others_and_names_its_line() {
        let text = format!("{}---\na: [1\n---\n{}", manifest("a"), manifest("b"));
        let summary = summary("a.yaml", &text);
        assert_eq!(
            (summary[0].as_str(), summary[2].as_str()),
            ("1 default/a", "3 default/b")
        );
        assert!(
            summary[1].starts_with("2 is not YAML: line "),
            "{}",
            summary[1]
        );
        let text = format!("{}---\nx: 1\nx: 2\n", manifest("a"));
        let doubled = &self::summary("a.yaml", &text)[1];
        assert!(
            doubled.starts_with("2 is not YAML: line 5, column 1: "),
            "{doubled}"
        );
        assert_eq!(doubled.matches("line").count(), 1, "{doubled}");
    }

    #[test]
    fn json_is_one_document() {
        let json = r#"{"kind":"DeliveryTarget","metadata":{"name":"a","namespace":"shop"}}"#;
        assert_eq!(summary("a.json", json), ["1 shop/a"]);
        assert_eq!(
            summary("a.json", &format!("\u{feff}{json}\r\n")),
            ["1 shop/a"]
        );
        let broken = summary("a.json", &json[1..]);
        assert!(broken[0].starts_with("1 is not JSON: "), "{broken:?}");
    }

    #[test]
    fn only_targets_of_this_group_count() {
        for (text, expected) in [
            (
                "kind: DeliveryTarget\nmetadata: {name: a}\nspec: {workerGroup: default}",
                "1 default/a",
            ),
            (
                "kind: DeliveryTarget\nmetadata: {name: a}\nspec: {workerGroup: other}",
                "1 other",
            ),
            (
                "kind: DeliveryTarget\nmetadata: {name: a}\nspec: {workerGroup: [1]}",
                "1 default/a",
            ),
            (
                "kind: ConfigMap\nmetadata: {name: a}",
                "1 kind: is 'ConfigMap'; only DeliveryTarget belongs in this directory",
            ),
            (
                "metadata: {name: a}",
                "1 kind: is missing; write DeliveryTarget",
            ),
            (
                "kind: DeliveryTarget",
                "1 metadata.name: is missing; give the target a name",
            ),
            ("just words", "1 kind: is missing; write DeliveryTarget"),
        ] {
            assert_eq!(summary("a.yaml", text), [expected], "{text}");
        }
    }

    #[test]
    fn what_is_no_text_or_nothing_at_all_is_refused_as_a_whole() {
        let refused = |bytes: &[u8]| documents("a.yaml", bytes, "default").unwrap_err();
        assert!(refused(b"").starts_with("is empty"));
        assert!(refused(b"\xef\xbb\xbf \r\n\t").starts_with("is empty"));
        assert_eq!(refused(b"\xff\xfek\0i\0"), "is not UTF-8 text");
        let many = "---\n".repeat(MAX_DOCUMENTS);
        assert!(refused(many.as_bytes()).starts_with("holds more than"));
        assert!(documents("a.yaml", &many.as_bytes()[4..], "default").is_ok());
    }

    #[test]
    fn an_error_shows_nothing_of_the_manifest() {
        for text in [
            "a: {b: hunter2",
            "a: 'hunter2",
            "a: hunter2\n b: c",
            "- hunter2: *x",
            "a: !x hunter2\n  - b",
        ] {
            let summary = summary("a.yaml", text);
            assert!(!summary.concat().contains("hunter2"), "{summary:?}");
        }
    }
}
