//! Python programs of others that tests hold Kiln against, from PyPI, kept beside what cargo builds.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An environment with some packages of exact versions.
pub struct Python {
    directory: PathBuf,
}

impl Python {
    /// The environment of this name, made by the first test that asks for it.
    ///
    /// # Panics
    /// When it cannot be made, with what pip said.
    pub async fn with(name: &str, packages: &[&str]) -> Self {
        let (name, packages) = (name.to_owned(), packages.join("\n"));
        blocking(move || Self::make(&name, &packages)).await
    }

    fn make(name: &str, wanted: &str) -> Self {
        let test = std::env::current_exe().expect("a test knows its own program");
        let target = test.ancestors().nth(3).expect("tests lie in <target>/<profile>/deps");
        let directory = target.join("python").join(name);
        fs::create_dir_all(&directory).expect("the target directory can be written");
        let lock = File::create(directory.join("lock")).expect("the target directory can be written");
        lock.lock().expect("a file can be locked");
        let made = directory.join("made");
        if fs::read_to_string(&made).is_ok_and(|have| have == wanted) {
            return Self { directory };
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory.join("venv")));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(program(&directory)).args(install).args(wanted.lines()));
        fs::write(made, wanted).expect("the target directory can be written");
        Self { directory }
    }

    /// What the program prints when it is given this on its standard input.
    ///
    /// # Panics
    /// When it does not succeed, with what it said.
    pub async fn run(&self, code: &str, input: &[u8]) -> String {
        let (program, code, input) = (program(&self.directory), code.to_owned(), input.to_vec());
        blocking(move || printed(&program, &code, input)).await
    }
}

fn printed(program: &Path, code: &str, input: Vec<u8>) -> String {
    let mut command = Command::new(program);
    command.args(["-c", code]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Python can be started");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("writing does not panic").expect("Python reads its input");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("Python prints UTF-8")
}

/// Beside the test's own connections, which go on meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the panic of the work is the test's")
}

fn program(directory: &Path) -> PathBuf {
    directory.join("venv/bin/python")
}

fn run(command: &mut Command) {
    let output = command.output().expect("Python can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
