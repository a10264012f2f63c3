//! The values are closed: a misspelt key is refused wherever it stands.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use parcelhook_env::directories;
use serde_json::Value;

use super::{
    refusal,
    schema::{Place, Schema},
    values, written,
};

/// What nobody means.
const MISSPELT: &str = "misspelt";

/// A set of values on which each object gets a key that nobody knows.
struct Spoiler {
    schema: Schema,
    /// Objects that were met, by their places.
    met: BTreeSet<String>,
    /// The same objects, as messages name them.
    pointers: Vec<String>,
}

impl Spoiler {
    fn spoil(&mut self, place: &Place, value: &mut Value, pointer: &str) -> Result<()> {
        if let (Some(items), Value::Array(values)) = (place.items(&self.schema)?, &mut *value) {
            for (index, value) in values.iter_mut().enumerate() {
                self.spoil(&items, value, &format!("{pointer}/{index}"))?;
            }
        }
        let (true, Value::Object(values)) = (place.is_closed(), value) else {
            return Ok(());
        };
        for (key, below) in place.below(&self.schema)? {
            if let Some(value) = values.get_mut(&key) {
                self.spoil(&below, value, &format!("{pointer}/{key}"))?;
            }
        }
        values.insert(MISSPELT.to_owned(), Value::from(1));
        self.met.insert(place.path.clone());
        self.pointers.push(pointer.to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn a_misspelt_key_is_refused_by_its_place_at_every_level() -> Result<()> {
    let mut everything = serde_saphyr::from_str(&fs::read_to_string(values("everything"))?)?;
    let mut spoiler = Spoiler {
        schema: Schema::read()?,
        met: BTreeSet::new(),
        pointers: Vec::new(),
    };
    let root = spoiler.schema.root()?;
    spoiler.spoil(&root, &mut everything, "")?;
    let places = spoiler.schema.places()?.into_iter();
    let closed = places.filter(Place::is_closed).map(|place| place.path);
    let closed: BTreeSet<String> = closed.collect();
    assert_eq!(spoiler.met, closed, "the set has every level");

    let directory = directories::fresh("misspelt")?;
    let file = written(&directory, "values.json", &everything.to_string())?;
    let said = refusal(&[format!("--values={}", file.display())]).await?;
    for pointer in spoiler.pointers {
        let told = format!("at '{pointer}': additional properties '{MISSPELT}' not allowed");
        assert!(said.contains(&told), "{told} in {said}");
    }
    Ok(())
}

#[test]
fn every_object_is_closed_or_a_map_of_one_kind() -> Result<()> {
    for place in Schema::read()?.places()? {
        // Helm writes into this one by itself.
        if place.schema["type"] == "object" && place.path != "global" {
            let is_map = place.schema["additionalProperties"].is_object();
            assert!(place.is_closed() || is_map, "{}", place.path);
        }
    }
    Ok(())
}
