//! The committed OpenAPI document is the one that the code generates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::{root, target_directory};

/// Writes the document of the code as built.
pub fn write() -> anyhow::Result<()> {
    let file = committed();
    fs::write(&file, generate()?).with_context(|| format!("cannot write {}", file.display()))
}

/// Fails where the committed document differs, naming the first line that does.
pub fn check() -> anyhow::Result<()> {
    let file = committed();
    let found = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let generated = generate()?;
    if found == generated {
        return Ok(());
    }
    let line = found.lines().zip(generated.lines()).take_while(|(left, right)| left == right).count() + 1;
    anyhow::bail!("{} is not what the code generates (first difference in line {line}): cargo xtask openapi", file.display())
}

fn committed() -> PathBuf {
    root().join("services/platform/openapi.json")
}

fn generate() -> anyhow::Result<String> {
    let program = target_directory().join("release/kiln");
    let output = Command::new(&program)
        .arg("openapi")
        .output()
        .with_context(|| format!("{} cannot be executed: cargo build --release -p kiln-platform", program.display()))?;
    anyhow::ensure!(output.status.success(), "kiln openapi failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("the document is no UTF-8")
}
