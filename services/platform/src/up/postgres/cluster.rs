//! One cluster: where it lies, how it is made, how it is started.
//!
//! It listens on a Unix socket only. A socket path may have 107 bytes and the cluster's account must reach it, so the
//! socket moves out of a data directory that is too deep or closed; so does the cluster itself out of a closed one.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::{chown, geteuid};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::Found;
use crate::up::account::Account;
use crate::up::child::Spec;
use crate::up::leftover;

/// The superuser, which owns what migrations make.
pub const OWNER: &str = "kiln";
/// The one database.
pub const DATABASE: &str = "kiln";

/// `sun_path` less its closing zero.
const LONGEST_SOCKET: usize = 107;
/// Part of the socket's file name.
const PORT: u16 = 5432;
/// Where clusters go whose data directory is closed to the account of Postgres.
const OUTSIDE: &str = "/var/lib/kiln-postgres";

/// One machine's embedded Postgres.
#[derive(Debug)]
pub struct Cluster {
    programs: Found,
    account: Account,
    data: PathBuf,
    sockets: PathBuf,
}

impl Cluster {
    /// Decides where the cluster of the Kiln in `home` lies, and makes it there unless it exists.
    /// Ends what an earlier, killed Kiln may have left running in it.
    pub fn open(programs: Found, home: &Path, owner_password: &str) -> anyhow::Result<Self> {
        let account = Account::for_postgres()?;
        let data = place(&account, home)?;
        let sockets = socket_directory(&account, home)?;
        let cluster = Self { programs, account, data, sockets };
        if cluster.data.join("PG_VERSION").exists() {
            cluster.check_version()?;
            cluster.end_leftover()?;
        } else {
            cluster.create(home, owner_password)?;
        }
        Ok(cluster)
    }

    /// How to start it. Settings here bound its memory and keep statements and their values out of its log.
    pub fn spec(&self) -> Spec {
        let settings = [
            format!("unix_socket_directories={}", self.sockets.display()),
            format!("port={PORT}"),
            "listen_addresses=".into(),
            "unix_socket_permissions=0700".into(),
            "max_connections=64".into(),
            "shared_buffers=64MB".into(),
            "max_worker_processes=4".into(),
            "wal_level=minimal".into(),
            "max_wal_senders=0".into(),
            "max_wal_size=512MB".into(),
            "synchronous_commit=on".into(),
            // After a crash, one sync of the file system instead of one a file: 0.1 s instead of 4 s on a busy disk.
            "recovery_init_sync_method=syncfs".into(),
            "jit=off".into(),
            "timezone=UTC".into(),
            "log_min_messages=log".into(),
            "log_error_verbosity=terse".into(),
            "log_min_error_statement=panic".into(),
            "idle_in_transaction_session_timeout=60s".into(),
        ];
        let mut arguments = vec!["-D".into(), self.data.clone().into_os_string()];
        for setting in settings {
            arguments.extend(["-c".into(), setting.into()]);
        }
        Spec {
            name: "postgres",
            program: self.programs.bin.join("postgres"),
            arguments,
            account: Some(self.account.clone()),
            directory: PathBuf::from("/"),
            ready_line: "database system is ready to accept connections",
            ready_within: Duration::from_mins(1),
            stop_signal: Signal::SIGINT,
            stop_within: Duration::from_secs(20),
            orphan_signal: Signal::SIGQUIT,
        }
    }

    /// A connection address for `role` to `database`.
    pub fn url(&self, role: &str, password: &str, database: &str) -> SecretString {
        let bytes = self.sockets.as_os_str().as_encoded_bytes();
        let host = bytes.iter().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        format!("postgres://{role}:{password}@localhost:{PORT}/{database}?host={host}").into()
    }

    fn check_version(&self) -> anyhow::Result<()> {
        let made_by = std::fs::read_to_string(self.data.join("PG_VERSION")).context("cannot read PG_VERSION")?;
        anyhow::ensure!(
            made_by.trim() == self.programs.major.to_string(),
            "the data was made by Postgres {}, and the one found is {}: point KILN_PG_BIN at the bin directory of a Postgres {}",
            made_by.trim(),
            self.programs.version,
            made_by.trim(),
        );
        Ok(())
    }

    /// Ends what still runs on this data; then nothing does, whatever its lock file says.
    fn end_leftover(&self) -> anyhow::Result<()> {
        leftover::end(&self.data, "postgres", Signal::SIGQUIT)?;
        let socket = self.sockets.join(format!(".s.PGSQL.{PORT}"));
        for left in [self.data.join("postmaster.pid"), socket.with_extension(format!("{PORT}.lock")), socket] {
            match std::fs::remove_file(&left) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", left.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the cluster beside its place and moves it there, so that one that exists is whole.
    fn create(&self, home: &Path, owner_password: &str) -> anyhow::Result<()> {
        let draft = self.data.with_extension("new");
        if draft.exists() {
            std::fs::remove_dir_all(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
        }
        self.account.own_directory(&draft)?;
        let mut password_file = self.data.clone().into_os_string();
        password_file.push("-password");
        let password_file = PathBuf::from(password_file);
        crate::up::secrets::write_private(&password_file, owner_password.as_bytes())?;
        if self.account.dropped {
            chown(&password_file, Some(self.account.uid), Some(self.account.gid)).context("chown")?;
        }
        let made = self.initdb(&draft, &password_file);
        std::fs::remove_file(&password_file).with_context(|| format!("cannot remove {}", password_file.display()))?;
        made?;
        std::fs::write(draft.join("pg_hba.conf"), "local all all scram-sha-256\n").context("cannot write pg_hba.conf")?;
        // initdb ran without its own sync; one of the file system costs less than one a file.
        nix::unistd::syncfs(std::fs::File::open(&draft).context("cannot open the new cluster")?).context("syncfs")?;
        std::fs::rename(&draft, &self.data).with_context(|| format!("cannot move the new cluster into {}", home.display()))
    }

    fn initdb(&self, target: &Path, password_file: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
        command.arg("exec-child").arg(format!("--parent={}", std::process::id())).arg("--orphan-signal=9");
        if self.account.dropped {
            command.arg(format!("--uid={}", self.account.uid)).arg(format!("--gid={}", self.account.gid));
        }
        let output = command
            .arg("--")
            .arg(self.programs.bin.join("initdb"))
            .arg("--pgdata")
            .arg(target)
            .arg("--pwfile")
            .arg(password_file)
            .args(["--username", OWNER, "--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8"])
            .args(["--no-sync", "--no-instructions"])
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .context("cannot start initdb")?;
        anyhow::ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// `<home>/postgres`, or what it links to when the cluster's account cannot walk there.
fn place(account: &Account, home: &Path) -> anyhow::Result<PathBuf> {
    let inside = home.join("postgres");
    if let Ok(elsewhere) = std::fs::read_link(&inside) {
        return Ok(elsewhere);
    }
    if account.reaches(&inside) {
        // The cluster itself is made by a rename from beside it, which its parent's owner does.
        return Ok(inside);
    }
    std::fs::create_dir_all(OUTSIDE).with_context(|| format!("cannot make {OUTSIDE}"))?;
    std::fs::set_permissions(OUTSIDE, std::fs::Permissions::from_mode(0o711)).context("chmod")?;
    let elsewhere = Path::new(OUTSIDE).join(short_name(home));
    std::os::unix::fs::symlink(&elsewhere, &inside).with_context(|| format!("cannot link {}", inside.display()))?;
    Ok(elsewhere)
}

/// The first of a few places that the account reaches and whose socket path is short enough.
fn socket_directory(account: &Account, home: &Path) -> anyhow::Result<PathBuf> {
    let file = format!("/.s.PGSQL.{PORT}");
    for place in socket_places(home) {
        if place.as_os_str().len() + file.len() <= LONGEST_SOCKET && account.reaches(&place) {
            account.own_directory(&place)?;
            return Ok(place);
        }
    }
    anyhow::bail!("no directory for the socket of Postgres: all are too deep or closed to its account")
}

fn socket_places(home: &Path) -> Vec<PathBuf> {
    let name = format!("kiln-{}", short_name(home));
    let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
    let run = run.or_else(|| geteuid().is_root().then(|| PathBuf::from("/run")));
    let mut places = vec![home.join("run")];
    places.extend(run.into_iter().chain([PathBuf::from("/tmp")]).map(|base| base.join(&name)));
    places
}

/// Names the directory of one Kiln outside it.
fn short_name(home: &Path) -> String {
    let digest = Sha256::digest(home.as_os_str().as_encoded_bytes());
    digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Removes what of this Kiln lies outside `home`.
pub fn remove_outside(home: &Path) -> anyhow::Result<()> {
    let cluster = Path::new(OUTSIDE).join(short_name(home));
    for directory in socket_places(home).into_iter().chain([cluster]) {
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", directory.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
