//! An artifact on its way in: an unfinished file until all of it has come, then in place at once.

use std::io::Write;

use common::ids::Generation;
use common::status::ServiceError;
use tempfile::NamedTempFile;

use super::artifact_path::ArtifactPath;
use super::directory::{RunDirectory, lock_on};
use super::{atomic, crash, retention};

/// An artifact being received. Dropped before [`Upload::finish`], it leaves no trace.
#[derive(Debug)]
pub struct Upload<'d> {
    directory: &'d RunDirectory,
    generation: Generation,
    paths: Vec<ArtifactPath>,
    file: NamedTempFile,
    expected: u64,
    received: u64,
}

impl<'d> Upload<'d> {
    /// Begins to receive an artifact of `length` bytes from `generation` that is to stand at every one of `paths`.
    ///
    /// # Errors
    /// No path is given, or [`ServiceError::Storage`].
    pub fn begin(
        directory: &'d RunDirectory,
        generation: Generation,
        paths: Vec<ArtifactPath>,
        length: u64,
    ) -> Result<Self, ServiceError> {
        let Some(first) = paths.first() else {
            return Err(ServiceError::Invalid("an artifact needs at least one path".to_string()));
        };
        let target = first.below(&directory.root);
        let folder = target.parent().unwrap_or(&directory.root);
        let file = atomic::unfinished(folder)
            .map_err(|error| directory.storage_error(&first.to_string(), &error))?;
        Ok(Self { directory, generation, paths, file, expected: length, received: 0 })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes than announced, or [`ServiceError::Storage`].
    pub fn write(&mut self, content: &[u8]) -> Result<(), ServiceError> {
        self.received += content.len() as u64;
        if self.received > self.expected {
            return Err(self.wrong_length());
        }
        crash::point();
        let written = self.file.write_all(content);
        written.map_err(|error| self.directory.storage_error(&self.paths[0].to_string(), &error))
    }

    /// All of it, to be looked at before it is put in place.
    ///
    /// # Errors
    /// Fewer bytes than announced, or [`ServiceError::Storage`].
    pub fn content(&self) -> Result<Vec<u8>, ServiceError> {
        if self.received != self.expected {
            return Err(self.wrong_length());
        }
        let read = std::fs::read(self.file.path());
        read.map_err(|error| self.directory.storage_error(&self.paths[0].to_string(), &error))
    }

    /// Puts the complete artifact in place.
    ///
    /// # Errors
    /// Fewer bytes than announced, [`ServiceError::Stale`] where another generation has begun in the meantime, or
    /// [`ServiceError::Storage`]; what was in place before is whole then.
    pub fn finish(self) -> Result<Vec<ArtifactPath>, ServiceError> {
        if self.received != self.expected {
            return Err(self.wrong_length());
        }
        let (directory, name) = (self.directory, self.paths[0].to_string());
        let current = lock_on(&directory.placing);
        if *current != self.generation {
            return Err(ServiceError::Stale(format!(
                "{name} belongs to generation {}, the current one is {}; nothing was stored",
                self.generation, *current
            )));
        }
        self.place().map_err(|error| directory.storage_error(&name, &error))
    }

    fn place(self) -> std::io::Result<Vec<ArtifactPath>> {
        let Self { directory, paths, file, .. } = self;
        let root = &directory.root;
        file.as_file().sync_all()?;
        if paths.iter().any(|path| path.checkpoint().is_some()) {
            lock_on(&directory.metrics).sync()?;
            lock_on(&directory.digests).sync()?;
            lock_on(&directory.events).sync()?;
        }
        for path in &paths {
            path.checkpoint()
                .map_or(Ok(()), |checkpoint| retention::before_put(root, &checkpoint))?;
        }
        for path in &paths[1..] {
            atomic::duplicate(file.path(), &path.below(root))?;
        }
        atomic::finish(file, &paths[0].below(root))?;
        for path in &paths {
            path.checkpoint().map_or(Ok(()), |checkpoint| {
                retention::after_put(root, &checkpoint, directory.keep)
            })?;
        }
        Ok(paths)
    }

    fn wrong_length(&self) -> ServiceError {
        ServiceError::Invalid(format!(
            "{} was announced with {} bytes but {} came; nothing was stored",
            self.paths[0], self.expected, self.received
        ))
    }
}
