//! Whose a run's folder is: one coordinator's at a time, by a lock on a file in it.
//!
//! A file, as a lock on a folder is not seen by the other machines that share a file system. It is never removed: who opened
//! it before would hold what nobody else looks at. [`super::RunDirectory`] takes it and keeps it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::place::cannot;

/// The file that is locked.
pub const LOCK: &str = "coordinator.lock";

/// A folder held by this process alone; without a lock where the file system has none.
#[derive(Debug)]
pub struct Held {
    _lock: Option<Flock<File>>,
}

/// Holds a folder.
///
/// # Errors
/// Another coordinator holds it, or it cannot be written or locked.
pub fn hold(root: &Path) -> Result<Held> {
    // A network file system asks for a file that may be written.
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(root.join(LOCK));
    let file = file.with_context(|| cannot("write", root))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Held { _lock: Some(lock) }),
        Err((_, error)) => refused(root, error),
    }
}

/// What a lock that was not given means.
fn refused(root: &Path, error: Errno) -> Result<Held> {
    match error {
        Errno::EWOULDBLOCK => {
            bail!(
                "another coordinator is running in {}: end it first, or choose another --run-dir for a new run",
                root.display()
            )
        }
        Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP => {
            tracing::warn!(
                "the file system of {} has no locks ({}): nothing keeps a second coordinator out of this run directory",
                root.display(),
                error.desc()
            );
            Ok(Held { _lock: None })
        }
        error => Err(error).with_context(|| cannot("lock", root)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = hold(folder.path()).unwrap();
        let message = hold(folder.path()).unwrap_err().to_string();
        assert!(message.contains("another coordinator is running"), "{message}");
        drop(held);
        hold(folder.path()).unwrap();
    }

    #[test]
    fn the_lock_is_on_a_file_that_other_machines_see() {
        let folder = tempfile::tempdir().unwrap();
        let _held = hold(folder.path()).unwrap();
        let file = File::options().write(true).open(folder.path().join(LOCK)).unwrap();
        let (_, error) = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap_err();
        assert_eq!(error, Errno::EWOULDBLOCK);
    }

    #[test]
    fn only_a_lock_that_is_taken_tells_of_another_coordinator() {
        let of = |error| refused(Path::new("run"), error);
        assert!(of(Errno::EWOULDBLOCK).unwrap_err().to_string().contains("another coordinator"));
        for unknown in [Errno::ENOLCK, Errno::ENOSYS, Errno::ENOTSUP] {
            of(unknown).unwrap();
        }
        let message = format!("{:#}", of(Errno::EIO).unwrap_err());
        assert!(message.contains("cannot lock the run directory run"), "{message}");
        assert!(message.contains("EIO") && !message.contains("another coordinator"), "{message}");
    }
}
