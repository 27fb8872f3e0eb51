//! Puts the built app (`dist/`) into the crate: each file as it is and, where that is smaller, compressed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

fn main() -> anyhow::Result<()> {
    let dist = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("dist");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut table = String::from("&[\n");
    for (at, entry) in walkdir::WalkDir::new(&dist).sort_by_file_name().into_iter().enumerate() {
        let entry = entry.context("the built app cannot be read")?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(&dist)?.to_str().context("a name in dist/ is not UTF-8")?;
            table.push_str(&describe(path, entry.path(), &out.join(format!("{at}.gz")))?);
        }
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).context("the table of assets cannot be written")
}

/// One line of the table, and the compressed file beside it.
fn describe(path: &str, file: &Path, compressed: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file)?;
    let file = literal(file)?;
    let mut line = String::new();
    write!(
        line,
        "Asset {{ path: {path:?}, media_type: {:?}, etag: {:?}, bytes: include_bytes!({file}), gzip: ",
        media_type(path)?,
        format!("W/\"{}\"", hex::encode(Sha256::digest(&bytes).get(..12).unwrap_or_default())),
    )?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let packed = encoder.finish()?;
    if packed.len() < bytes.len() {
        fs::write(compressed, packed)?;
        write!(line, "Some(include_bytes!({}))", literal(compressed)?)?;
    } else {
        line.push_str("None");
    }
    line.push_str(" },\n");
    Ok(line)
}

/// The path as a string literal of Rust.
fn literal(path: &Path) -> anyhow::Result<String> {
    Ok(format!("{:?}", path.to_str().context("a path is not UTF-8")?))
}

fn media_type(path: &str) -> anyhow::Result<&'static str> {
    Ok(match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        other => anyhow::bail!("dist/{path}: say in server/build.rs what {other:?} is"),
    })
}
