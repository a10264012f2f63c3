//! The images' files: small, without a shell and without root, and of what is in this repository. They
//! are read here, not built.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::Rendered;

const PROGRAMS: [&str; 2] = ["operator", "worker"];

/// Instructions of a file, continued lines joined, comments left out.
#[derive(Debug)]
struct Containerfile(Vec<(String, String)>);

impl Containerfile {
    fn of(program: &str) -> Result<Self> {
        let path = root().join(program).join("Containerfile");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let text = text.replace("\\\n", " ");
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let instructions = lines.map(|line| {
            let (name, rest) = line.split_once(' ').context("an instruction")?;
            Ok((name.to_owned(), rest.trim().to_owned()))
        });
        Ok(Self(instructions.collect::<Result<_>>()?))
    }

    /// The instructions of the image that is kept, the last stage.
    fn image(&self) -> &[(String, String)] {
        let from = self.0.iter().rposition(|(name, _)| name == "FROM");
        &self.0[from.unwrap_or(0)..]
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The values of an instruction.
fn of<'a>(instructions: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = instructions.iter().filter(move |(other, _)| other == name);
    named.map(|(_, rest)| rest.as_str())
}

#[tokio::test]
async fn an_image_runs_its_program_as_the_user_of_the_pods_and_has_no_shell() -> Result<()> {
    let rendered = &Rendered::all().await?[0];
    for program in PROGRAMS {
        let file = Containerfile::of(program)?;
        let image = file.image();
        let base = of(image, "FROM").next().context("a base")?;
        assert_eq!(base, "${BASE_IMAGE}", "{program}");
        let base = of(&file.0, "ARG").find(|value| value.starts_with("BASE_IMAGE="));
        let base = base.context("a base")?;
        assert!(
            base.contains("gcr.io/distroless/") && base.ends_with(":nonroot"),
            "{base}"
        );
        assert_eq!(
            of(image, "RUN").count(),
            0,
            "{program}: there is no shell to run it"
        );

        let user = &rendered.pod(program)?["securityContext"];
        let user = format!("{}:{}", user["runAsUser"], user["runAsGroup"]);
        assert_eq!(of(image, "USER").collect::<Vec<_>>(), [&user], "{program}");
        let executable = format!("/usr/local/bin/parcelhook-{program}");
        let entry = format!("[\"{executable}\"]");
        assert_eq!(
            of(image, "ENTRYPOINT").collect::<Vec<_>>(),
            [&entry],
            "{program}"
        );
        let mut copied = of(image, "COPY").filter(|copy| copy.ends_with(&executable));
        assert!(
            copied.next().is_some(),
            "{program}: the executable is copied"
        );
    }
    Ok(())
}

#[test]
fn a_build_has_every_member_of_the_workspace_and_is_locked() -> Result<()> {
    let ignored = fs::read_to_string(root().join(".dockerignore"))?;
    let ignored: Vec<&str> = ignored.lines().collect();
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "));
    let members: Vec<String> = serde_json::from_str(members.context("the members")?)?;
    for member in members {
        assert!(!ignored.contains(&member.as_str()), "{member}");
        // Cargo wants all manifests, and the sources of what is built.
        let only_its_manifest = ignored.contains(&format!("!{member}/Cargo.toml").as_str());
        let not_its_sources = ignored.contains(&format!("{member}/*").as_str());
        assert_eq!(not_its_sources, only_its_manifest, "{member}");
        assert!(!not_its_sources || member == "tests", "{member}");
    }
    for program in PROGRAMS {
        let file = Containerfile::of(program)?;
        assert_eq!(of(&file.0, "COPY").next(), Some(". ."), "{program}");
        let build = format!(
            "cargo build --locked --profile dist -p parcelhook-{program} --bin parcelhook-{program}"
        );
        assert!(
            of(&file.0, "RUN").any(|run| run == build),
            "{program}: {build}"
        );
    }
    Ok(())
}
