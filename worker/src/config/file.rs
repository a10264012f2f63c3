//! The configuration file: YAML to settings, each with its line. An unknown key is refused, with
//! the nearest known one. Whether a value is valid is not decided here.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use parcelhook_kafka::{Fault, Origin, Sourced};

use super::layers::Layers;
use super::nearest::nearest;
use super::settings::{Row, SETTINGS, Shape};

/// Largest configuration file. The commented example is a hundredth of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a configuration file into the lowest layer.
pub(super) fn read(path: &Path, layers: &mut Layers) {
    let file: Arc<Path> = path.into();
    let fault = |line, message| {
        let file = Arc::clone(&file);
        Fault::new("config", Origin::File { file, line }, message)
    };
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(message) => return layers.faults.push(fault(0, message)),
    };
    // A file in which every line is a comment is a configuration of defaults.
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options::<Node>(&text, options) {
        Ok(Node::Empty) => {}
        Ok(Node::Map(entries)) => {
            let text = &text;
            Flattening { file, text, layers }.map("", entries);
        }
        Ok(Node::Text(_) | Node::Inferred | Node::List(_)) => {
            layers
                .faults
                .push(fault(0, "must be a YAML map of settings".to_owned()));
        }
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            layers
                .faults
                .push(fault(line, format!("is not YAML: {error}")));
        }
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => {
            Err(format!("is larger than {MAX_FILE_BYTES} bytes"))
        }
        // What some editors put first says nothing.
        Ok(_) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// A YAML node whose scalars are text again: what they mean is for each setting to say.
enum Node {
    Empty,
    Text(String),
    /// A number or a truth value by YAML's rules. What stands in the file counts: the name `007` is
    /// not the number 7, and `no` is not false.
    Inferred,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Node, E> {
        Ok(Node::Inferred)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Node, E> {
        Ok(Node::Inferred)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Node, E> {
        Ok(Node::Inferred)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Node, E> {
        Ok(Node::Inferred)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

/// The walk from nested maps to settings.
struct Flattening<'a> {
    file: Arc<Path>,
    text: &'a str,
    layers: &'a mut Layers,
}

impl Flattening<'_> {
    fn map(&mut self, above: &str, entries: Vec<(Spanned<String>, Spanned<Node>)>) {
        for (key, node) in entries {
            let path = if above.is_empty() {
                key.value.clone()
            } else {
                format!("{above}.{}", key.value)
            };
            let origin = self.at(key.referenced.line());
            let node = self.as_written(node);
            if let Some(row) = SETTINGS.iter().find(|row| row.path == path) {
                self.setting(row, origin, node);
            } else if SETTINGS.iter().any(|row| is_below(row, &path)) {
                match node {
                    Node::Empty => {}
                    Node::Map(entries) => self.map(&path, entries),
                    Node::Text(_) | Node::Inferred | Node::List(_) => {
                        let message = "must be a map of settings, indented below it";
                        self.fault(&path, origin, message);
                    }
                }
            } else {
                self.unknown(above, &path, &key.value, origin);
            }
        }
    }

    fn setting(&mut self, row: &'static Row, origin: Origin, node: Node) {
        match (row.shape, node) {
            (_, Node::Empty) => {}
            (Shape::Secret, _) => {
                let message = format!(
                    "is not read from this file: put the password in a file of its own and name that in kafka.sasl.passwordFile, or set {}",
                    row.variable
                );
                self.fault(row.path, origin, message);
            }
            (Shape::One | Shape::Switch, Node::Text(value)) => {
                self.layers
                    .set(row.setting, vec![Sourced { value, origin }]);
            }
            (Shape::List, Node::Text(value)) => {
                self.layers.set_list(row.setting, &value, &origin);
            }
            (Shape::List, Node::List(items)) => self.list(row, items),
            (Shape::Pairs, Node::Map(entries)) => self.pairs(row, entries),
            (Shape::Pairs, _) => {
                self.fault(row.path, origin, "must be a map of name: value");
            }
            (Shape::List, _) => self.fault(row.path, origin, "must be a list of texts"),
            (Shape::One | Shape::Switch, Node::Inferred | Node::List(_) | Node::Map(_)) => {
                let message = format!("must be one value, as in {}", row.value);
                self.fault(row.path, origin, message);
            }
        }
    }

    fn list(&mut self, row: &'static Row, items: Vec<Spanned<Node>>) {
        let mut values = Vec::new();
        for item in items {
            let origin = self.at(item.referenced.line());
            match self.as_written(item) {
                Node::Text(value) => values.push(Sourced { value, origin }),
                Node::Empty | Node::Inferred | Node::List(_) | Node::Map(_) => {
                    self.fault(row.path, origin, "must be a list of texts");
                }
            }
        }
        self.layers.set(row.setting, values);
    }

    fn pairs(&mut self, row: &'static Row, entries: Vec<(Spanned<String>, Spanned<Node>)>) {
        for (name, node) in entries {
            let origin = self.at(name.referenced.line());
            match self.as_written(node) {
                Node::Text(value) => {
                    let property = Sourced { value, origin };
                    self.layers.properties.insert(name.value, property);
                }
                Node::Empty => {}
                Node::Inferred | Node::List(_) | Node::Map(_) => {
                    let path = format!("{}.{}", row.path, name.value);
                    self.fault(
                        &path,
                        origin,
                        "must be one value; names of properties keep their dots",
                    );
                }
            }
        }
    }

    fn unknown(&mut self, above: &str, path: &str, typed: &str, origin: Origin) {
        let depth = if above.is_empty() {
            0
        } else {
            above.split('.').count()
        };
        let siblings: Vec<&str> = SETTINGS
            .iter()
            .filter(|row| above.is_empty() || is_below(row, above))
            .filter_map(|row| row.path.split('.').nth(depth))
            .collect();
        let message = match nearest(typed, siblings) {
            Some(name) if above.is_empty() => format!("there is no such key; did you mean {name}?"),
            Some(name) => format!("there is no such key; did you mean {above}.{name}?"),
            None => {
                "there is no such key; `parcelhook-worker run --help` lists them all".to_owned()
            }
        };
        self.fault(path, origin, message);
    }

    /// The node, an inferred scalar replaced by what stands in the file.
    fn as_written(&self, node: Spanned<Node>) -> Node {
        if !matches!(node.value, Node::Inferred) {
            return node.value;
        }
        let span = node.defined.span();
        let written = || {
            let start = usize::try_from(span.byte_offset()?).ok()?;
            let length = usize::try_from(span.byte_len()?).ok()?;
            self.text.get(start..start.checked_add(length)?)
        };
        match written() {
            Some(text) => Node::Text(text.to_owned()),
            None => Node::Inferred,
        }
    }

    fn at(&self, line: u64) -> Origin {
        let file = Arc::clone(&self.file);
        Origin::File { file, line }
    }

    fn fault(&mut self, path: &str, origin: Origin, message: impl Into<String>) {
        self.layers.faults.push(Fault::new(path, origin, message));
    }
}

/// Whether `path` is a group that holds the setting.
fn is_below(row: &Row, path: &str) -> bool {
    row.path
        .strip_prefix(path)
        .is_some_and(|rest| rest.starts_with('.'))
}
