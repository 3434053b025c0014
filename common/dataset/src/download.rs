//! Fetches one file from the first mirror that serves it whole.
//!
//! Called by [`super::load()`]. A file appears under its name only when its checksum is right: it is written to a
//! temporary file in the same folder, checked, then renamed; whatever else happens, the temporary file goes away.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;
use thiserror::Error;
use ureq::Agent;

use super::known;
use super::published::Checksum;

/// How long and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For finding a mirror's address, and again for connecting to it.
    pub connect: Duration,
    /// For one attempt at the whole file.
    pub attempt: Duration,
    /// Attempts per mirror, at least 1. A refusal or a wrong checksum is not tried again.
    pub attempts: usize,
    /// Before the second attempt; doubles from then on.
    pub pause: Duration,
}

impl Patience {
    /// For a data set that the user asked for.
    pub const FULL: Patience = Patience {
        connect: Duration::from_secs(10),
        attempt: Duration::from_secs(300),
        attempts: 3,
        pause: Duration::from_millis(500),
    };
    /// For an archive of hundreds of megabytes.
    pub const LONG: Patience = Patience { attempt: Duration::from_secs(3600), ..Self::FULL };
    /// For one that can be done without: a machine without network shall not wait.
    pub const BRIEF: Patience =
        Patience { connect: Duration::from_secs(2), attempts: 1, ..Self::FULL };
}

/// A file to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Addresses ending in `/`, the first to be tried first.
    pub mirrors: &'a [String],
    /// Its name on the mirrors and in the folder.
    pub file: &'a str,
    /// What it must be.
    pub checksum: Checksum,
    /// The most bytes that are taken.
    pub largest: u64,
    /// Where it goes; made if it is not there.
    pub folder: &'a Path,
    /// How long to try.
    pub patience: Patience,
}

/// Why a file could not be had.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// Nothing can be written.
    #[error("cannot write into {}: {source}; choose another folder with --data-dir", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Every mirror failed.
    #[error(
        "cannot download {file}:\n{}\nput it into {} yourself (another place: --data-dir), name a folder that holds the \
         data set as --dataset, or train on digits drawn by the program with --dataset synthetic",
        failures.iter().map(|(url, why)| format!("  {url}: {why}")).collect::<Vec<_>>().join("\n"),
        folder.display()
    )]
    Mirrors {
        /// The file.
        file: String,
        /// Where it should have gone.
        folder: PathBuf,
        /// Each address and why it failed.
        failures: Vec<(String, Failure)>,
    },
}

/// Why one mirror failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// No answer, or a refusal.
    #[error("{0}")]
    Request(#[source] Box<ureq::Error>),
    /// The connection broke.
    #[error("the transfer broke off after {received} bytes: {source}")]
    Transfer {
        /// Bytes that had arrived.
        received: u64,
        /// What happened.
        source: io::Error,
    },
    /// More bytes than the file has.
    #[error("it serves more than {0} bytes under this name")]
    TooLarge(u64),
    /// The file came, but cannot be decompressed.
    #[error("what it serves is damaged ({0}); it was removed")]
    Damaged(#[source] io::Error),
    /// The file came, but is another one.
    #[error("what it serves has the checksum {found} instead of {expected}; it was removed")]
    Checksum {
        /// As published.
        expected: &'static str,
        /// As received.
        found: String,
    },
    /// The local disk failed.
    #[error("cannot be written: {0}")]
    Write(#[source] io::Error),
}

impl Failure {
    /// Whether another attempt may go better.
    fn may_pass(&self) -> bool {
        match self {
            Failure::Request(error) => match **error {
                ureq::Error::StatusCode(code) => code == 408 || code == 429 || code >= 500,
                ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => {
                    true
                }
                ureq::Error::Protocol(_) => true,
                _ => false,
            },
            Failure::Transfer { .. } => true,
            _ => false,
        }
    }
}

/// A mirror that sends nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(30);

/// Fetches a file; gives its path.
pub fn download(request: &Request<'_>) -> Result<PathBuf, DownloadError> {
    let unwritable = |source| DownloadError::Folder { folder: request.folder.to_owned(), source };
    std::fs::create_dir_all(request.folder).map_err(unwritable)?;
    let mut failures = Vec::new();
    for mirror in request.mirrors {
        let url = format!("{mirror}{}", request.file);
        match from_mirror(request, &url) {
            Ok(path) => return Ok(path),
            Err(Failure::Write(source)) => return Err(unwritable(source)),
            Err(failure) => failures.push((url, failure)),
        }
    }
    let (file, folder) = (request.file.to_owned(), request.folder.to_owned());
    Err(DownloadError::Mirrors { file, folder, failures })
}

fn from_mirror(request: &Request<'_>, url: &str) -> Result<PathBuf, Failure> {
    let patience = request.patience;
    let retries = ExponentialBuilder::default()
        .with_min_delay(patience.pause)
        .with_max_times(patience.attempts.saturating_sub(1));
    (|| attempt(request, url))
        .retry(retries)
        .when(Failure::may_pass)
        .notify(|failure, pause| tracing::warn!(%url, %failure, ?pause, "download failed, trying again"))
        .call()
}

fn attempt(request: &Request<'_>, url: &str) -> Result<PathBuf, Failure> {
    let mut partial = tempfile::Builder::new()
        .prefix(&format!(".{}.", request.file))
        .suffix(".part")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(request.folder)
        .map_err(Failure::Write)?;
    let length = transfer(&agent(request.patience), url, request.largest, &mut partial)?;
    check(partial.path(), request.checksum)?;
    partial.as_file().sync_all().map_err(Failure::Write)?;
    let path = request.folder.join(request.file);
    partial.persist(&path).map_err(|error| Failure::Write(error.error))?;
    tracing::info!(%url, bytes = length, path = %path.display(), "downloaded");
    Ok(path)
}

fn agent(patience: Patience) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(patience.attempt))
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_per_read(Some(SILENCE))
        .build()
        .new_agent()
}

/// Copies what an address serves; gives its length.
fn transfer(
    agent: &Agent,
    url: &str,
    largest: u64,
    file: &mut NamedTempFile,
) -> Result<u64, Failure> {
    tracing::info!(%url, "downloading");
    let response = agent.get(url).call().map_err(|error| Failure::Request(Box::new(error)))?;
    let bar = progress(response.body().content_length());
    let mut reader = response.into_body().into_reader().take(largest.saturating_add(1));
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(source) => return Err(Failure::Transfer { received, source }),
        };
        file.write_all(&buffer[..count]).map_err(Failure::Write)?;
        received += count as u64;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    if received > largest { Err(Failure::TooLarge(largest)) } else { Ok(received) }
}

/// A bar on standard error; invisible where that is no terminal.
fn progress(length: Option<u64>) -> ProgressBar {
    let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(style).expect("the template is well-formed");
    length
        .map_or_else(ProgressBar::new_spinner, |length| ProgressBar::new(length).with_style(style))
}

fn check(path: &Path, checksum: Checksum) -> Result<(), Failure> {
    let found = known::digest(path, checksum).map_err(Failure::Damaged)?;
    let expected = checksum.digits();
    if found == expected { Ok(()) } else { Err(Failure::Checksum { expected, found }) }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
