//! Settings: built-in defaults, then a TOML file, then `KILN_*` variables; later ones win.
//!
//! `KILN_SCHEDULER__LEASE_MS=5000` sets `lease_ms` in the table `scheduler`. Every settings
//! type denies unknown fields, so a misspelt key is an error that names where it stands.

use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use figment::providers::{Env, Format, Toml};
use figment::{Figment, Source};
use serde::de::DeserializeOwned;

/// Every setting that is read from the environment starts so.
pub const ENV_PREFIX: &str = "KILN_";

/// Settings that cannot be used. `Display` gives one line a fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the settings file {0} does not exist (given by --config or KILN_CONFIG)")]
    NoFile(PathBuf),
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// Reads settings of type `T`, whose serde defaults are the lowest layer.
///
/// `file` must exist when given. `reserved` are names of `KILN_*` variables (without the
/// prefix, lower case) that mean something else and are left alone.
///
/// # Errors
/// A missing file, a key that nobody knows, a value of the wrong type or out of its range.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, reserved: &[&str]) -> Result<T, ConfigError> {
    let mut figment = Figment::new();
    if let Some(file) = file {
        if !file.is_file() {
            return Err(ConfigError::NoFile(file.to_owned()));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    figment
        .merge(Env::prefixed(ENV_PREFIX).ignore(reserved).split("__"))
        .extract()
        .map_err(|error| ConfigError::Wrong(error.into_iter().map(|fault| describe(&fault)).collect()))
}

fn describe(fault: &figment::Error) -> String {
    let source = fault.metadata.as_ref().and_then(|metadata| metadata.source.as_ref());
    let from_file = source.and_then(Source::file_path).map(|path| path.display().to_string());
    let mut path = fault.path.clone();
    if let Kind::UnknownField(field, _) = &fault.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let from_env = fault.metadata.as_ref().is_some_and(|metadata| metadata.name.contains("environment"));
    let place = match from_file {
        Some(file) => format!("{} in {file}", path.join(".")),
        None if from_env => variable(&path),
        None => path.join("."),
    };
    // A variable that looks like a number is read as one.
    let hint = if from_env
        && matches!(&fault.kind, Kind::InvalidType(Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) | Actual::Bool(_), wanted) if wanted.contains("string"))
    {
        " (put the value in double quotes inside the variable)"
    } else {
        ""
    };
    format!("wrong setting {place}: {}{hint}", fault.kind)
}

/// The environment variable that sets the key at `path`.
fn variable(path: &[String]) -> String {
    format!("{ENV_PREFIX}{}", path.join("__").to_uppercase())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        listen: String,
        queue: Queue,
    }

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Queue {
        depth: u32,
    }

    #[test]
    fn a_fault_in_a_file_names_key_and_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kiln.toml");
        // Whatever this process was started with is left out.
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let reserved: Vec<String> = names.filter_map(|name| Some(name.strip_prefix(ENV_PREFIX)?.to_lowercase())).collect();
        let reserved: Vec<&str> = reserved.iter().map(String::as_str).collect();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            load::<Sample>(Some(&file), &reserved)
        };
        let fine = read("listen = \"file\"\n[queue]\ndepth = 3\n").unwrap();
        assert_eq!(fine, Sample { listen: "file".into(), queue: Queue { depth: 3 } });
        for wrong in ["[queue]\ndepht = 3\n", "[queue]\ndepth = \"many\"\n"] {
            let text = read(wrong).unwrap_err().to_string();
            assert!(text.contains("queue.dep") && text.contains("kiln.toml"), "{text}");
        }
        assert!(matches!(load::<Sample>(Some(Path::new("/nowhere.toml")), &[]), Err(ConfigError::NoFile(_))));
    }
}
