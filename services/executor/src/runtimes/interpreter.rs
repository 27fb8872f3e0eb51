//! One Python interpreter of this machine, as it describes itself.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// An interpreter answers in about 30 ms; one on a cold disk or a slow mount in a few seconds.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_BYTES: u64 = 64 * 1024;

/// A released CPython 3.6 or newer, its paths free of symbolic links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    pub version: Version,
    pub executable: PathBuf,
    /// Where its standard library lies.
    pub prefix: PathBuf,
    /// libpython, when the executable is linked to it by an absolute path.
    pub library: Option<PathBuf>,
    /// The existing directories from which it imports installed packages.
    pub site_packages: Vec<PathBuf>,
    pub pip: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why a program is not offered as a Python.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("could not be run")]
    Run(#[source] std::io::Error),
    #[error("did not answer within {} s", PROBE_DEADLINE.as_secs())]
    Deadline,
    #[error("gave an answer that is no description of an interpreter")]
    Answer(#[source] serde_json::Error),
    #[error("is {0}, not a released CPython 3.6 or newer")]
    Unsupported(String),
}

#[derive(Deserialize)]
struct Answer {
    implementation: String,
    version: (u16, u16, u16),
    #[serde(rename = "final")]
    released: bool,
    #[serde(rename = "virtual")]
    in_virtual_environment: bool,
    executable: PathBuf,
    prefix: PathBuf,
    library: Option<PathBuf>,
    site_packages: Vec<PathBuf>,
    pip: bool,
}

impl Interpreter {
    /// Runs the program once, without its site-packages, and asks what it is.
    pub async fn probe(program: &Path) -> Result<Self, ProbeError> {
        let answer = ask(program, &["-I", "-S", "-c", include_str!("probe.py")]).await?;
        serde_json::from_slice::<Answer>(&answer).map_err(ProbeError::Answer)?.try_into()
    }

    /// The name of its runtime and of its program, such as `python3.13`.
    pub fn id(&self) -> String {
        format!("python{}.{}", self.version.major, self.version.minor)
    }

    /// Whether every sandbox shows it at its own path already.
    pub fn is_systems(&self) -> bool {
        self.prefix.starts_with("/usr")
    }
}

impl TryFrom<Answer> for Interpreter {
    type Error = ProbeError;

    fn try_from(answer: Answer) -> Result<Self, ProbeError> {
        let (major, minor, patch) = answer.version;
        let version = Version { major, minor, patch };
        let supported = answer.implementation == "cpython" && (major, minor) >= (3, 6) && major == 3;
        if !supported || !answer.released || answer.in_virtual_environment {
            return Err(ProbeError::Unsupported(format!("{} {version}", answer.implementation)));
        }
        Ok(Self {
            version,
            executable: answer.executable,
            prefix: answer.prefix,
            library: answer.library,
            site_packages: answer.site_packages,
            pip: answer.pip,
        })
    }
}

/// What a program prints when it is run with nothing on its standard input; at most 64 KiB, within the deadline.
pub async fn ask(program: &Path, arguments: &[&str]) -> Result<Vec<u8>, ProbeError> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(ProbeError::Run)?;
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    let answer = async {
        let mut answer = Vec::new();
        stdout.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        child.wait().await?;
        Ok(answer)
    };
    tokio::time::timeout(PROBE_DEADLINE, answer).await.map_err(|_| ProbeError::Deadline)?.map_err(ProbeError::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Interpreter, ProbeError> {
        serde_json::from_str::<Answer>(text).map_err(ProbeError::Answer)?.try_into()
    }

    fn described(implementation: &str, minor: u16, released: bool, virtual_environment: bool) -> String {
        format!(
            r#"{{"implementation":"{implementation}","version":[3,{minor},1],"final":{released},"virtual":{virtual_environment},
            "executable":"/opt/p/bin/python3","prefix":"/opt/p","library":null,"site_packages":[],"pip":true}}"#
        )
    }

    #[test]
    fn only_a_released_cpython_of_its_own_is_offered() {
        assert_eq!(answer(&described("cpython", 6, true, false)).unwrap().id(), "python3.6");
        for refused in [
            described("cpython", 5, true, false),
            described("cpython", 14, false, false),
            described("cpythont", 13, true, false),
            described("pypy", 10, true, false),
            described("cpython", 11, true, true),
        ] {
            assert!(matches!(answer(&refused), Err(ProbeError::Unsupported(_))), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_no_python_is_refused() {
        assert!(matches!(Interpreter::probe(Path::new("/bin/true")).await, Err(ProbeError::Answer(_))));
        assert!(matches!(Interpreter::probe(Path::new("/nonexistent/python3")).await, Err(ProbeError::Run(_))));
    }
}
