//! The chart passes Helm's own checks, and renders what was read and found good.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use parcelhook_crds::crd::crd;
use serde::Deserialize as _;
use serde_json::Value;

use super::{Rendered, SETS, chart, helm, template, values};

/// The rendered text without the definition, which is long and compared elsewhere.
fn without_definition(text: &str) -> String {
    let documents = text.split_inclusive("\n---\n");
    documents
        .filter(|document| !document.contains("\nkind: CustomResourceDefinition\n"))
        .collect()
}

#[tokio::test]
async fn helm_has_nothing_to_remark() -> Result<()> {
    for set in SETS {
        let arguments = [
            "lint",
            "--strict",
            "--quiet",
            &chart().display().to_string(),
            "--values",
            &values(set).display().to_string(),
        ];
        let process = helm(&arguments.map(str::to_owned), &[]).await?;
        let status = process.exit_status()?;
        let said = process.stdout().text()? + &process.stderr().text()?;
        assert!(
            status.is_some_and(|status| status.success()),
            "{set}: {said}"
        );
        assert!(!said.contains("WARN"), "{set}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn each_set_of_values_renders_what_was_found_good() -> Result<()> {
    for rendered in Rendered::all().await? {
        insta::assert_snapshot!(rendered.set, without_definition(&rendered.text));
    }
    Ok(())
}

#[tokio::test]
async fn the_definition_is_the_generated_one_and_outlives_the_release_unless_told_otherwise()
-> Result<()> {
    let expected = crd()?;
    for (set, kept) in [("smallest", true), ("autoscaled", false)] {
        let rendered = Rendered::all().await?.iter();
        let rendered = rendered.filter(|rendered| rendered.set == set);
        let definitions: Vec<&Value> = rendered
            .flat_map(|rendered| rendered.of_kind("CustomResourceDefinition"))
            .collect();
        let [definition] = definitions.as_slice() else {
            panic!("{set}: {definitions:?}");
        };
        let policy = definition["metadata"]["annotations"]["helm.sh/resource-policy"].as_str();
        assert_eq!(policy, kept.then_some("keep"), "{set}");
        let definition = CustomResourceDefinition::deserialize(*definition)?;
        assert_eq!(definition.spec, expected.spec, "{set}");
        assert_eq!(definition.metadata.name, expected.metadata.name, "{set}");
    }
    Ok(())
}

#[tokio::test]
async fn a_part_of_another_chart_gets_along_with_what_helm_adds() -> Result<()> {
    let arguments = [
        "--set=global.anything=1",
        "--set=kafka.bootstrapServers={a:1}",
    ];
    template(&arguments.map(str::to_owned)).await?;
    Ok(())
}
