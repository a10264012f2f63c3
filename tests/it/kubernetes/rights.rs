//! The rights of the operator and of the workers, as `rights.yaml` has them.

use anyhow::{Context as _, Result};
use parcelhook_env::kubernetes::Verb;
use serde::{Deserialize, Serialize};

/// What each program may do, as it is written down beside this file.
#[derive(Debug, Deserialize)]
pub(super) struct Rights {
    operator: Places,
    worker: Places,
}

/// Rules by where they hold.
#[derive(Debug, Deserialize)]
pub(super) struct Places {
    #[serde(default)]
    targets: Vec<Rule>,
    #[serde(default)]
    home: Vec<Rule>,
}

/// Where rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// In a namespace of targets.
    Targets,
    /// In the namespace of the workers.
    Home,
}

/// One rule of a Role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

impl Rights {
    pub(super) fn read() -> Result<Self> {
        serde_saphyr::from_str(include_str!("rights.yaml")).context("read rights.yaml")
    }

    /// The rules of an account in a place.
    pub(super) fn of(self, account: &str, place: Place) -> Vec<Rule> {
        let places = match account {
            "operator" => self.operator,
            _ => self.worker,
        };
        match place {
            Place::Targets => places.targets,
            Place::Home => places.home,
        }
    }

    /// The rules of each account in each place.
    pub(super) fn by_place(&self) -> [(&'static str, Place, &[Rule]); 4] {
        [
            ("operator", Place::Targets, &self.operator.targets),
            ("operator", Place::Home, &self.operator.home),
            ("worker", Place::Targets, &self.worker.targets),
            ("worker", Place::Home, &self.worker.home),
        ]
    }
}

impl Rule {
    pub(super) fn is_about(&self, resource: &str) -> bool {
        self.resources.iter().any(|of| of == resource)
    }

    /// Each of its groups with each of its resources.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let groups = self.api_groups.iter();
        groups.flat_map(|group| {
            self.resources
                .iter()
                .map(|of| (group.as_str(), of.as_str()))
        })
    }

    /// What it lets one do.
    pub(super) fn verbs(&self) -> &[String] {
        &self.verbs
    }

    /// Takes a verb out of it.
    pub(super) fn without(&mut self, verb: Verb) {
        self.verbs.retain(|of| *of != verb.to_string());
    }
}
