//! What `kiln run` sends: the program, its arguments, files and limits, from the command line.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use serde_json::{Value, json};

/// What the server takes at most in one request.
const PROGRAM_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Program {
    /// The program, or - for standard input
    #[arg(value_name = "FILE")]
    #[expect(clippy::struct_field_names, reason = "the name of the argument")]
    program: PathBuf,
    /// What runs it, such as python, python3.9, base, bash [default: by the file's name, else the server's choice]
    #[arg(long, short, value_name = "ID")]
    runtime: Option<String>,
    /// The program's whole input, as text
    #[arg(long, value_name = "TEXT", conflicts_with = "stdin_file")]
    stdin: Option<String>,
    /// The program's input, from a file, or from standard input by -
    #[arg(long, value_name = "FILE")]
    stdin_file: Option<PathBuf>,
    /// Lets the program read what is typed here
    #[arg(long, short)]
    pub interactive: bool,
    /// An argument of the program; more after `--`
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    arg: Vec<String>,
    /// An environment variable of the program
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A file to put into the working directory, under its own name or another
    #[arg(long = "file", value_name = "[NAME=]PATH", value_parser = input_file)]
    files: Vec<InputFile>,
    /// Longest time that the program may take
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Most memory that the program may take, such as 512M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// CPU share in thousandths of a core
    #[arg(long, value_name = "MILLIS")]
    cpu_millis: Option<u64>,
    /// Runs in this workspace, by its name or id, where what it leaves stays
    #[arg(long, short, value_name = "WORKSPACE")]
    pub workspace: Option<String>,
    /// A label to find the run by
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<String>,
}

#[derive(Debug, Clone)]
struct InputFile {
    name: String,
    path: PathBuf,
}

impl Program {
    /// The body of POST /executions; files are read now.
    pub fn request(self) -> anyhow::Result<Value> {
        let runtime = self.runtime.or_else(|| runtime_by_name(&self.program).map(str::to_owned));
        let code =
            String::from_utf8(read(&self.program)?).with_context(|| format!("{} is not UTF-8 text", self.program.display()))?;
        let stdin = match (self.stdin, &self.stdin_file) {
            (Some(text), _) => text,
            (None, Some(path)) => String::from_utf8(read(path)?).context("the input is not UTF-8 text")?,
            (None, None) => String::new(),
        };
        let files = self.files.iter().map(|file| {
            let content = base64::engine::general_purpose::STANDARD.encode(read(&file.path)?);
            Ok(json!({ "path": file.name, "content": content }))
        });
        let limits = [("timeout_ms", self.timeout_ms), ("memory_bytes", self.memory), ("cpu_millis", self.cpu_millis)];
        let limits: BTreeMap<_, _> = limits.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let mut request = json!({
            "code": code,
            "args": self.arg.into_iter().chain(self.rest).collect::<Vec<_>>(),
            "env": self.env.into_iter().collect::<BTreeMap<_, _>>(),
            "stdin": stdin,
            "interactive": self.interactive,
            "files": files.collect::<anyhow::Result<Vec<_>>>()?,
            "limits": limits,
            "labels": self.label.into_iter().collect::<BTreeMap<_, _>>(),
        });
        if let (Some(runtime), Some(fields)) = (runtime, request.as_object_mut()) {
            fields.insert("runtime".to_owned(), runtime.into());
        }
        Ok(request)
    }
}

fn runtime_by_name(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "sh" | "bash" => Some("bash"),
        "js" | "cjs" => Some("node"),
        _ => None,
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    let mut bytes = Vec::new();
    source.take(PROGRAM_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(bytes.len() as u64 <= PROGRAM_BYTES, "{} is larger than {PROGRAM_BYTES} bytes", path.display());
    Ok(bytes)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    if name.is_empty() { Err("the name is empty".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn input_file(text: &str) -> Result<InputFile, String> {
    if let Some((name, path)) = text.split_once('=') {
        return Ok(InputFile { name: name.to_owned(), path: path.into() });
    }
    let path = PathBuf::from(text);
    // The directories of a relative path are kept; of any other path only the name can be.
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let name = if inside {
        path.components().filter(|part| *part != Component::CurDir).collect()
    } else {
        path.file_name().map(PathBuf::from).unwrap_or_default()
    };
    let name = name.to_str().filter(|name| !name.is_empty()).ok_or("names no file; use NAME=PATH")?.to_owned();
    Ok(InputFile { name, path })
}

/// Bytes from a number with an optional K, M or G (of 1 024).
fn size(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let number = upper.trim_end_matches('B').trim_end_matches('I');
    let (digits, unit) = match number.char_indices().last() {
        Some((at, 'K')) => (number.get(..at), 1 << 10),
        Some((at, 'M')) => (number.get(..at), 1 << 20),
        Some((at, 'G')) => (number.get(..at), 1 << 30),
        _ => (Some(number), 1),
    };
    let count: Option<u64> = digits.and_then(|digits| digits.parse().ok());
    count.and_then(|count| count.checked_mul(unit)).ok_or_else(|| "must be a size such as 512M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(size("64kb"), Ok(64 << 10));
        assert_eq!(size("7"), Ok(7));
        for wrong in ["", "M", "-1", "1T", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_keep_their_place_below_the_working_directory() {
        assert_eq!(input_file("./data/a.csv").unwrap().name, "data/a.csv");
        assert_eq!(input_file("/tmp/a.csv").unwrap().name, "a.csv");
        assert_eq!(input_file("../a.csv").unwrap().name, "a.csv");
        assert_eq!(input_file("b=../a.csv").unwrap().name, "b");
        assert!(input_file("..").is_err());
    }
}
