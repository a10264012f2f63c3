//! `values.schema.json` as a list of places, references followed.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::chart;

/// A value that the chart knows, or an object of values.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Keys with dots between them; `[]` stands for the items of a list.
    pub(super) path: String,
    /// What its property says of it.
    pub(super) description: Option<String>,
    /// What it must be like.
    pub(super) schema: Value,
}

impl Place {
    /// Whether it is an object with these keys and no others.
    pub(super) fn is_closed(&self) -> bool {
        self.schema["additionalProperties"] == false
    }

    /// The places right below it, each with its key.
    pub(super) fn below(&self, schema: &Schema) -> Result<Vec<(String, Self)>> {
        let properties = self.schema["properties"].as_object().into_iter().flatten();
        let below = properties.map(|(key, property)| {
            let path = match self.path.as_str() {
                "" => key.clone(),
                path => format!("{path}.{key}"),
            };
            Ok((key.clone(), schema.place(path, property)?))
        });
        below.collect()
    }

    /// What the items of a list are like.
    pub(super) fn items(&self, schema: &Schema) -> Result<Option<Self>> {
        let items = self.schema.get("items");
        items
            .map(|items| schema.place(format!("{}[]", self.path), items))
            .transpose()
    }
}

/// The whole schema.
#[derive(Debug)]
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(chart().join("values.schema.json"))?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    /// The object of all values.
    pub(super) fn root(&self) -> Result<Place> {
        self.place(String::new(), &self.0)
    }

    /// Every place, each before what is below it.
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        let mut places = vec![self.root()?];
        let mut looked_at = 0;
        while let Some(place) = places.get(looked_at).cloned() {
            looked_at += 1;
            let below = place.below(self)?.into_iter().map(|(_, below)| below);
            let below = below.chain(place.items(self)?);
            places.splice(looked_at..looked_at, below);
        }
        Ok(places)
    }

    fn place(&self, path: String, property: &Value) -> Result<Place> {
        let reference = property["allOf"][0].get("$ref").or(property.get("$ref"));
        let schema = match reference.and_then(Value::as_str) {
            None => property,
            Some(reference) => {
                let pointer = reference.strip_prefix('#').context("a local reference")?;
                let defined = self.0.pointer(pointer);
                defined.with_context(|| format!("{path}: {reference} is defined"))?
            }
        };
        ensure!(
            schema.get("$ref").is_none(),
            "{path}: a reference to a reference"
        );
        let description = property["description"].as_str().map(str::to_owned);
        Ok(Place {
            path,
            description,
            schema: schema.clone(),
        })
    }
}
