//! Prints the CustomResourceDefinition as YAML, or checks that files still hold it.
//!
//! Owns nothing but the command line: `crdgen` prints, `crdgen --check FILE…` compares.

use std::error::Error;
use std::io::Write;

use parcelhook_crds::crd::crd_yaml;

const USAGE: &str = "usage: crdgen [--check FILE...]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => Ok(std::io::stdout().write_all(crd_yaml()?.as_bytes())?),
        ["--check", files @ ..] if !files.is_empty() => {
            files.iter().try_for_each(|file| check(file))
        }
        _ => Err(USAGE.into()),
    }
}

fn check(file: &str) -> Result<(), Box<dyn Error>> {
    let committed = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    if committed == crd_yaml()? {
        return Ok(());
    }
    Err(
        format!("{file} is out of date; run: cargo run -p parcelhook-crds --bin crdgen > {file}")
            .into(),
    )
}
