//! Who the embedded Postgres runs as. Postgres refuses root, so as root it gets another account.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use nix::unistd::{Gid, Uid, User, chown, geteuid};

use crate::prerequisite::Missing;

/// Accounts taken in this order when Kiln runs as root.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account to run a child as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: Uid,
    pub gid: Gid,
    /// Whether it differs from the account of this process.
    pub dropped: bool,
}

impl Account {
    /// The account for Postgres: our own, or an unprivileged one when we are root.
    pub fn for_postgres() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid(), gid: nix::unistd::getegid(), dropped: false });
        }
        for name in CANDIDATES {
            if let Some(user) = User::from_name(name).context("the account database cannot be read")? {
                return Ok(Self { uid: user.uid, gid: user.gid, dropped: true });
            }
        }
        Err(Missing {
            what: "an unprivileged account for Postgres".into(),
            why: "Kiln runs as root, Postgres refuses to, and neither `postgres` nor `nobody` exists".into(),
            mend: "useradd --system --no-create-home postgres".into(),
        }
        .into())
    }

    /// Makes `path` a directory that only this account may enter; one that exists must already be so.
    pub fn own_directory(&self, path: &Path) -> anyhow::Result<()> {
        match std::fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
        }
        let found = std::fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        anyhow::ensure!(found.is_dir(), "{} is in the way: it is no directory", path.display());
        let ours = found.uid() == geteuid().as_raw() || found.uid() == self.uid.as_raw();
        anyhow::ensure!(ours, "{} belongs to another user", path.display());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .and_then(|()| if self.dropped { chown(path, Some(self.uid), Some(self.gid)).map_err(Into::into) } else { Ok(()) })
            .with_context(|| format!("cannot give {} to the account of Postgres", path.display()))
    }

    /// Whether this account can walk from `/` down to the directory that will hold `path`.
    pub fn reaches(&self, path: &Path) -> bool {
        if !self.dropped {
            return true;
        }
        path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()).all(|parent| {
            std::fs::metadata(parent).is_ok_and(|found| {
                let bit = match (found.uid() == self.uid.as_raw(), found.gid() == self.gid.as_raw()) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                found.mode() & bit != 0
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_parent_is_out_of_reach() {
        let base = tempfile::tempdir().unwrap();
        let closed = base.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        let account = Account { uid: Uid::from_raw(65_533), gid: Gid::from_raw(65_533), dropped: true };

        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(account.reaches(&closed));
        assert!(!account.reaches(&closed.join("inside")));

        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(account.reaches(&closed.join("inside")));
    }
}
