//! The direction of dependencies: domain ← {events, runner-protocol} ← other libraries ← services ← platform.

use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::root;

/// Reads `cargo metadata` and refuses every dependency that points the wrong way.
pub fn check() -> anyhow::Result<()> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .current_dir(root())
        .output()
        .context("cargo cannot be executed")?;
    anyhow::ensure!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let faults = faults(&metadata.packages)?;
    anyhow::ensure!(faults.is_empty(), "dependencies in the wrong direction:\n  {}", faults.join("\n  "));
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// What a crate is, from the inside out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Domain,
    Words,
    Library,
    Service,
    Runner,
    Platform,
    Drill,
    TestSupport,
    EndToEnd,
    Xtask,
}

fn layer(name: &str) -> anyhow::Result<Layer> {
    Ok(match name {
        "kiln-domain" => Layer::Domain,
        "kiln-events" | "kiln-runner-protocol" => Layer::Words,
        "kiln-bus" | "kiln-db" | "kiln-http" | "kiln-runtime" => Layer::Library,
        "kiln-auth" | "kiln-scheduler" | "kiln-executor" | "kiln-result" | "kiln-web" => Layer::Service,
        "kiln-runner" => Layer::Runner,
        "kiln-platform" => Layer::Platform,
        "kiln-drill" => Layer::Drill,
        "kiln-test-support" => Layer::TestSupport,
        "kiln-e2e-api" | "kiln-e2e-attacks" | "kiln-e2e-faults" | "kiln-load" => Layer::EndToEnd,
        "xtask" => Layer::Xtask,
        _ => anyhow::bail!("crate {name} has no place in the layers: add it in {}", file!()),
    })
}

fn allowed(from: Layer, to: Layer) -> bool {
    match from {
        Layer::Domain | Layer::Drill | Layer::Xtask => false,
        Layer::Library | Layer::Service => matches!(to, Layer::Domain | Layer::Words | Layer::Library),
        Layer::Platform => matches!(to, Layer::Domain | Layer::Words | Layer::Library | Layer::Service | Layer::Drill),
        // Tests drive the program from outside, so they see none of its code.
        Layer::Words | Layer::TestSupport => to == Layer::Domain,
        Layer::EndToEnd => matches!(to, Layer::Domain | Layer::Drill | Layer::TestSupport),
        Layer::Runner => matches!(to, Layer::Domain | Layer::Words),
    }
}

fn faults(packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in packages {
        let from = layer(&package.name)?;
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let for_tests = dependency.kind.as_deref() == Some("dev") && dependency.name == "kiln-test-support";
            let events_in_runner = from == Layer::Runner && dependency.name == "kiln-events";
            if events_in_runner || !(for_tests || allowed(from, layer(&dependency.name)?)) {
                faults.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency { name: dependency.into(), kind: kind.map(Into::into), path: Some("/".into()) };
        Package { name: name.into(), dependencies: vec![dependency] }
    }

    #[test]
    fn only_the_allowed_direction_passes() {
        let fine = [
            package("kiln-platform", "kiln-auth", None),
            package("kiln-auth", "kiln-http", None),
            package("kiln-runner", "kiln-runner-protocol", None),
            package("kiln-auth", "kiln-test-support", Some("dev")),
        ];
        assert_eq!(faults(&fine).unwrap(), Vec::<String>::new());
        let wrong = [
            package("kiln-auth", "kiln-scheduler", None),
            package("kiln-runner", "kiln-bus", None),
            package("kiln-runner", "kiln-events", None),
            package("kiln-domain", "kiln-events", None),
            package("kiln-auth", "kiln-test-support", None),
            package("kiln-e2e-api", "kiln-http", None),
        ];
        assert_eq!(faults(&wrong).unwrap().len(), wrong.len());
        assert!(layer("kiln-new").is_err());
    }
}
