//! Writing files so that a reader, or a crash, only ever meets the old content or the new.
//!
//! A temporary file in the same folder, fsync, rename, fsync of the folder. What is dropped before that vanishes.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Once;

use nix::errno::Errno;
use tempfile::{Builder, NamedTempFile};

use super::crash;

/// Beginning of the names of unfinished files.
const UNFINISHED: &str = ".unfinished-";

/// A new, invisible file in `folder`.
///
/// # Errors
/// The system's own.
pub fn unfinished(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Puts a finished file in place of whatever was at `path`, in the same folder.
///
/// # Errors
/// The system's own; the old content is whole then.
pub fn finish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    crash::point();
    file.as_file().sync_all()?;
    crash::point();
    file.persist(path).map_err(|failed| failed.error)?;
    crash::point();
    sync_folder_of(path)
}

/// Writes a whole file.
///
/// # Errors
/// The system's own; the old content is whole then.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = unfinished(folder_of(path))?;
    crash::point();
    file.write_all(content)?;
    finish(file, path)
}

/// Makes `target` another name of `source`'s content, in place of whatever was there.
///
/// # Errors
/// The system's own; the old content is whole then.
pub fn duplicate(source: &Path, target: &Path) -> io::Result<()> {
    let folder = folder_of(target);
    let link =
        Builder::new().prefix(UNFINISHED).make_in(folder, |name| fs::hard_link(source, name));
    match link {
        Ok(link) => {
            crash::point();
            link.into_temp_path().persist(target).map_err(|failed| failed.error)?;
            crash::point();
        }
        // A file system without hard links, or a limit of them.
        Err(_) => {
            let mut copy = unfinished(folder)?;
            io::copy(&mut File::open(source)?, &mut copy)?;
            return finish(copy, target);
        }
    }
    sync_folder_of(target)
}

/// Removes a file; one that is not there already is fine.
///
/// # Errors
/// The system's own.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => crash::point(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    Ok(())
}

/// Removes what a crash left unfinished in `folder`.
///
/// # Errors
/// The system's own.
pub fn clean(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in `path`'s folder durable, where the file system knows how.
///
/// # Errors
/// The system's own.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    let synced = File::open(folder)?.sync_all();
    durable_as_far_as_it_goes(folder, synced)
}

/// Some file systems (FUSE, SMB, those of other systems) cannot sync a folder and say so; what fails to is fatal.
fn durable_as_far_as_it_goes(folder: &Path, synced: io::Result<()>) -> io::Result<()> {
    /// The next file would say the same again.
    static TOLD: Once = Once::new();
    match synced {
        Err(error) if is_unknown(&error) => {
            TOLD.call_once(|| {
                tracing::warn!(
                    "the file system of {} cannot make names durable ({error}): after a power failure its newest files \
                     may be missing",
                    folder.display()
                );
            });
            Ok(())
        }
        synced => synced,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    matches!(known, Some(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOSYS))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let mut abandoned = unfinished(folder.path()).unwrap();
        abandoned.write_all(b"half").unwrap();
        drop(abandoned);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_duplicate_outlives_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        write(&source, b"one").unwrap();
        write(&target, b"other").unwrap();
        duplicate(&source, &target).unwrap();
        write(&source, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_no_failure_and_a_broken_disk_is() {
        let check = |error: Errno, is_fatal| {
            let synced = Err(io::Error::from_raw_os_error(error as i32));
            let result = durable_as_far_as_it_goes(Path::new("run"), synced);
            assert_eq!(result.is_err(), is_fatal, "{error}");
        };
        check(Errno::EINVAL, false);
        check(Errno::ENOTSUP, false);
        check(Errno::EIO, true);
        check(Errno::ENOSPC, true);
        check(Errno::EROFS, true);
    }

    #[test]
    fn what_a_crash_left_is_cleaned() {
        let folder = tempfile::tempdir().unwrap();
        let kept = unfinished(folder.path()).unwrap().keep().unwrap().1;
        write(&folder.path().join("file"), b"").unwrap();
        clean(folder.path()).unwrap();
        assert!(!kept.exists() && folder.path().join("file").exists());
    }
}
