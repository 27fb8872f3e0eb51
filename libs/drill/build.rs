//! Lists the corpus for `corpus.rs`: every program of e2e/attacks, by name and text.

use std::fmt::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../e2e/attacks/programs").canonicalize()?;
    println!("cargo:rerun-if-changed={}", directory.display());
    let mut files = std::fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    list.push_str("]\n");
    Ok(std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("programs.rs"), list)?)
}
