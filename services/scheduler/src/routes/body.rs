//! The body of POST /executions, and what is wrong with one.

use std::collections::{BTreeMap, BTreeSet};

use kiln_domain::{Limits, LimitsPatch, WorkspaceId};
use kiln_events::Payload;
use kiln_http::{FieldError, Object, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::files::{self, FileBody};
use crate::Config;

const MAX_ARGS: usize = 1_000;
const MAX_ENV: usize = 256;
const MAX_SECRETS: usize = 64;
const MAX_SECRET_NAME: usize = 128;
/// What is wrong with the id of a workspace that the tenant does not have.
pub const NO_WORKSPACE: &str = "there is no such workspace";
/// What is wrong with the name of a secret that the tenant does not have.
pub const NO_SECRET: &str = "there is no such secret";
/// Arguments together, and environment together.
const MAX_WORDS_BYTES: usize = 128 * 1024;
const MAX_STDIN_BYTES: usize = 5 << 20;
const MAX_LABELS: usize = 32;
const MAX_LABEL_BYTES: usize = 256;
const MAX_ATTEMPTS: u32 = 10;

/// What to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateExecution {
    /// The program's text.
    #[schema(min_length = 1, max_length = 1_000_000)]
    pub code: String,
    /// Id or alias of a runtime; the newest Python unless said.
    pub runtime: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub stdin: String,
    /// Keep standard input open for POST /executions/{id}/stdin and the WebSocket.
    #[serde(default)]
    pub interactive: bool,
    #[serde(default)]
    #[schema(value_type = Vec<FileBody>)]
    pub files: Vec<Object<FileBody>>,
    /// Run in this workspace: it is the working directory, and what is left there stays.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub workspace_id: Option<String>,
    /// Names of the tenant's secrets, given as environment variables.
    #[serde(default)]
    pub secrets: Vec<String>,
    #[serde(default)]
    #[schema(value_type = LimitsPatch)]
    pub limits: Object<LimitsPatch>,
    /// Attempts in all, should an executor die; 1 never runs a program twice.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub max_attempts: u32,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

/// Order within a tenant's own queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    pub fn rank(self) -> i16 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
        }
    }
}

/// A body in which nothing is wrong.
pub struct Accepted {
    pub runtime: String,
    pub limits: Limits,
    pub asked: LimitsPatch,
    /// Each once; whether there are such secrets is not known yet.
    pub secrets: Vec<String>,
    /// Whether there is such a workspace is not known yet.
    pub workspace_id: Option<WorkspaceId>,
    pub payload: Payload,
    pub interactive: bool,
    pub max_attempts: i32,
    pub priority: Priority,
    pub labels: BTreeMap<String, String>,
}

impl CreateExecution {
    /// Checks everything that does not need the database; every wrong field is named at once. `resolve` finds a runtime by id
    /// or alias, or the default.
    pub fn check(self, config: &Config, resolve: impl Fn(Option<&str>) -> Option<String>) -> Result<Accepted, Problem> {
        let files = files::decode(self.files, config)?;
        let mut errors = Vec::new();
        let mut refuse = |pointer: &str, detail: String| errors.push(FieldError::new(pointer, detail));

        let code_bytes = usize::try_from(config.code_bytes).unwrap_or(usize::MAX);
        if self.code.trim().is_empty() {
            refuse("/code", "must not be blank".to_owned());
        } else if self.code.len() > code_bytes {
            refuse("/code", format!("must be at most {code_bytes} bytes"));
        }
        if let Some(detail) = words(self.args.iter(), MAX_ARGS) {
            refuse("/args", detail);
        }
        if let Some(detail) = words(self.env.iter().flat_map(|(name, value)| [name, value]), 2 * MAX_ENV) {
            refuse("/env", detail);
        }
        for name in self.env.keys().filter(|name| !is_variable(name)) {
            refuse(&format!("/env/{}", escaped(name)), "is no name for an environment variable".to_owned());
        }
        if self.stdin.len() > MAX_STDIN_BYTES {
            refuse("/stdin", format!("must be at most {MAX_STDIN_BYTES} bytes"));
        }
        let workspace_id = self.workspace_id.as_deref().map(str::parse::<WorkspaceId>).transpose();
        if workspace_id.is_err() {
            refuse("/workspace_id", NO_WORKSPACE.to_owned());
        }
        if self.secrets.len() > MAX_SECRETS {
            refuse("/secrets", format!("must be at most {MAX_SECRETS}"));
        }
        for (at, name) in self.secrets.iter().enumerate() {
            if !is_variable(name) || name.len() > MAX_SECRET_NAME {
                refuse(&format!("/secrets/{at}"), NO_SECRET.to_owned());
            } else if self.env.contains_key(name) {
                refuse(&format!("/secrets/{at}"), "is given in `env` as well".to_owned());
            }
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            refuse("/max_attempts", format!("must be between 1 and {MAX_ATTEMPTS}"));
        }
        if let Some(detail) = label_fault(&self.labels) {
            refuse("/labels", detail);
        }
        let runtime = resolve(self.runtime.as_deref());
        if runtime.is_none() {
            refuse("/runtime", "there is no such runtime".to_owned());
        }
        let runtime = runtime.unwrap_or_default();
        let limits = Config::default_limits(&runtime).patched(self.limits.0, Config::range());
        if let Err(wrong) = &limits {
            for limit in wrong {
                refuse(&format!("/limits/{}", limit.field), limit.to_string());
            }
        }
        match limits {
            Ok(limits) if errors.is_empty() => Ok(Accepted {
                runtime,
                limits,
                asked: self.limits.0,
                secrets: self.secrets,
                workspace_id: workspace_id.unwrap_or_default(),
                payload: Payload { code: self.code, args: self.args, env: self.env, stdin: self.stdin, files, silent: false },
                interactive: self.interactive,
                max_attempts: i32::try_from(self.max_attempts).unwrap_or(1),
                priority: self.priority,
                labels: self.labels,
            }),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// What is wrong with words that the kernel will hand to a program.
fn words<'a>(words: impl Iterator<Item = &'a String>, most: usize) -> Option<String> {
    let (mut count, mut bytes) = (0, 0);
    for word in words {
        if word.contains('\0') {
            return Some("must not contain NUL".to_owned());
        }
        count += 1;
        bytes += word.len() + 1;
    }
    (count > most || bytes > MAX_WORDS_BYTES)
        .then(|| format!("must be at most {most} words and {MAX_WORDS_BYTES} bytes together"))
}

fn is_variable(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub fn label_fault(labels: &BTreeMap<String, String>) -> Option<String> {
    let texts: BTreeSet<&String> = labels.iter().flat_map(|(key, value)| [key, value]).collect();
    if labels.len() > MAX_LABELS {
        return Some(format!("must be at most {MAX_LABELS}"));
    }
    if texts.iter().any(|text| text.len() > MAX_LABEL_BYTES || text.contains('\0'))
        || labels.keys().any(|key| key.is_empty() || key.contains('='))
    {
        return Some(format!(
            "keys and values must be at most {MAX_LABEL_BYTES} bytes without NUL, keys not empty and without `=`"
        ));
    }
    None
}

/// A key in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: serde_json::Value) -> Result<Accepted, Problem> {
        let body: CreateExecution = serde_json::from_value(body).unwrap();
        body.check(&Config::default(), |name| match name {
            None | Some("python" | "python3.13") => Some("python3.13".to_owned()),
            Some("base") => Some("base".to_owned()),
            Some(_) => None,
        })
    }

    #[test]
    fn only_code_is_required() {
        let accepted = check(serde_json::json!({"code": "print(1)"})).ok().unwrap();
        assert_eq!((accepted.runtime.as_str(), accepted.limits, accepted.max_attempts), ("python3.13", Limits::DEFAULT, 1));
    }

    #[test]
    fn every_wrong_field_is_named() {
        let problem = check(serde_json::json!({
            "code": " \n", "runtime": "cobol", "args": ["\u{0}"], "env": {"1A": ""}, "workspace_id": "x", "secrets": ["1"],
            "max_attempts": 0, "labels": {"a=b": ""}, "limits": {"pids": 1}
        }))
        .err()
        .unwrap();
        let text = format!("{problem:?}");
        for pointer in
            ["/code", "/runtime", "/args", "/env/1A", "/workspace_id", "/secrets/0", "/max_attempts", "/labels", "/limits/pids"]
        {
            assert!(text.contains(&format!("\"{pointer}\"")), "{pointer} is not in {text}");
        }
    }

    #[test]
    fn scientific_runtimes_have_more_memory() {
        let accepted = check(serde_json::json!({"code": "1", "runtime": "base"})).ok().unwrap();
        assert_eq!(accepted.limits.memory_bytes, 512 << 20);
    }
}
