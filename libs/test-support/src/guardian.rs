//! A directory and processes that do not outlive the test process, however that ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for the end of its standard input, which only the test process holds; then asks the listed processes to stop,
/// kills after 20 s what has not, and removes the directory.
const SCRIPT: &str = r#"
cat >/dev/null
lives() { grep -q '^State:[^Z]*$' "/proc/$1/status" 2>/dev/null; }
pids=$(cat "$1/pids" 2>/dev/null)
for pid in $pids; do kill -TERM "$pid" 2>/dev/null; done
for pid in $pids; do
    i=0
    while lives "$pid" && [ "$i" -lt 200 ]; do sleep 0.1; i=$((i + 1)); done
    kill -KILL "$pid" 2>/dev/null
done
[ -n "$KILN_TEST_KEEP" ] || rm -rf -- "$1"
"#;

/// Owns a scratch directory and the processes that work in it.
#[derive(Debug)]
pub struct Guardian {
    directory: PathBuf,
    /// Its standard input is what the script waits on.
    shell: Child,
}

impl Guardian {
    /// A new directory below the system's one for temporary files; others may enter it, since Postgres started by root
    /// runs as another user. With `KILN_TEST_KEEP` in the environment it stays, for its logs.
    pub fn new(name: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix(&format!("kiln-{name}-"))
            .permissions(fs::Permissions::from_mode(0o755))
            .disable_cleanup(true)
            .tempdir()
            .expect("a temporary directory can be made")
            .keep();
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "kiln-test-guardian"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh is there");
        Self { directory, shell }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Says which processes are to be stopped at the end, in this order.
    pub fn watch(&self, pids: &[u32]) {
        let list: Vec<_> = pids.iter().map(u32::to_string).collect();
        fs::write(self.directory.join("pids"), list.join("\n")).expect("the scratch directory can be written");
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The script ends by its own bounded waits.
        let _ended = self.shell.wait();
    }
}
