//! What a run sends to the coordinator, in order, kept by every rank until it is known to be stored.
//!
//! The first rank's `uplink` sends it, the others only keep it: should the first be lost, the next first rank sends what
//! may not have arrived. What is in it, and under which number, is a function of how far the state has got, so it is
//! the same on every rank but for what each knows to be stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::metrics::{EpochMetrics, StepMetrics};
use proto::pending_upload::Upload as Message;
use proto::{PendingFile, PendingUpload};

/// One thing to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Upload {
    /// A line of metrics about a step.
    Step(StepMetrics),
    /// A line of metrics about an epoch.
    Epoch(EpochMetrics),
    /// A file of the run directory, under all of these paths.
    File {
        /// Paths below the run directory.
        paths: Vec<String>,
        /// Its content.
        content: Arc<Vec<u8>>,
    },
}

/// What is not known to be stored. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    /// Number of the first upload that is kept: all before it are stored.
    first: u64,
    uploads: VecDeque<Upload>,
}

impl Outbox {
    /// Adds an upload and returns its number.
    pub fn push(&self, upload: Upload) -> u64 {
        let mut pending = self.lock();
        pending.uploads.push_back(upload);
        pending.first + pending.uploads.len() as u64 - 1
    }

    /// The upload with a number, if it is still kept.
    pub fn get(&self, number: u64) -> Option<Upload> {
        let pending = self.lock();
        let index = number.checked_sub(pending.first)?;
        pending.uploads.get(usize::try_from(index).ok()?).cloned()
    }

    /// The number that the next upload will get.
    pub fn end(&self) -> u64 {
        let pending = self.lock();
        pending.first + pending.uploads.len() as u64
    }

    /// How many uploads are known to be stored, from the first one on.
    pub fn stored(&self) -> u64 {
        self.lock().first
    }

    /// All uploads before number `stored` are stored.
    pub fn acknowledge(&self, stored: u64) {
        let mut pending = self.lock();
        while pending.first < stored && pending.uploads.pop_front().is_some() {
            pending.first += 1;
        }
    }

    /// Takes back what was added from number `end` on.
    pub fn withdraw(&self, end: u64) {
        let mut pending = self.lock();
        let kept = end.saturating_sub(pending.first);
        pending.uploads.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    /// The contents of all files whose first path begins with `folder`.
    pub fn files_in(&self, folder: &str) -> Vec<Arc<Vec<u8>>> {
        let pending = self.lock();
        let content = |upload: &Upload| match upload {
            Upload::File { paths, content } if paths[0].starts_with(folder) => {
                Some(Arc::clone(content))
            }
            _ => None,
        };
        pending.uploads.iter().filter_map(content).collect()
    }

    /// As another worker is told of it: what is stored, and what is pending.
    pub fn to_message(&self) -> (u64, Vec<PendingUpload>) {
        let pending = self.lock();
        (pending.first, pending.uploads.iter().map(to_message).collect())
    }

    /// From what another worker told.
    pub fn from_message(first: u64, uploads: Vec<PendingUpload>) -> Self {
        let uploads = uploads.into_iter().filter_map(|pending| from_message(pending.upload?));
        Self(Arc::new(Mutex::new(Pending { first, uploads: uploads.collect() })))
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_message(upload: &Upload) -> PendingUpload {
    let upload = match upload {
        Upload::Step(metrics) => Message::Step(metrics.into()),
        Upload::Epoch(metrics) => Message::Epoch(metrics.into()),
        Upload::File { paths, content } => Message::File(PendingFile {
            paths: paths.clone(),
            content: content.as_slice().to_vec().into(),
        }),
    };
    PendingUpload { upload: Some(upload) }
}

fn from_message(message: Message) -> Option<Upload> {
    Some(match message {
        Message::Step(metrics) => Upload::Step(metrics.into()),
        Message::Epoch(metrics) => Upload::Epoch(metrics.into()),
        Message::File(file) if file.paths.is_empty() => return None,
        Message::File(file) => {
            Upload::File { paths: file.paths, content: Arc::new(file.content.to_vec()) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Upload {
        Upload::File { paths: vec![name.to_string()], content: Arc::new(name.as_bytes().to_vec()) }
    }

    #[test]
    fn what_is_stored_goes_and_numbers_stay() {
        let outbox = Outbox::default();
        for (number, name) in ["features/a", "pictures/b", "features/c"].into_iter().enumerate() {
            assert_eq!(outbox.push(file(name)), number as u64);
        }
        outbox.acknowledge(1);
        assert_eq!((outbox.stored(), outbox.end()), (1, 3));
        assert_eq!((outbox.get(0), outbox.get(1)), (None, Some(file("pictures/b"))));
        assert_eq!(outbox.files_in("features/"), [Arc::new(b"features/c".to_vec())]);
        // News of the past, and of a future that this rank has not reached.
        outbox.acknowledge(0);
        outbox.acknowledge(9);
        assert_eq!((outbox.stored(), outbox.end()), (3, 3));
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let outbox = Outbox::default();
        for name in ["a", "b", "c", "d"] {
            outbox.push(file(name));
        }
        outbox.acknowledge(1);
        outbox.withdraw(3);
        assert_eq!((outbox.get(2), outbox.get(3), outbox.end()), (Some(file("c")), None, 3));
        assert_eq!(outbox.push(file("e")), 3);
        outbox.withdraw(0);
        assert_eq!((outbox.stored(), outbox.end()), (1, 1));
    }

    #[test]
    fn another_worker_gets_the_same() {
        let outbox = Outbox::default();
        outbox.push(file("a"));
        outbox.push(file("features/b"));
        outbox.acknowledge(1);
        let (first, uploads) = outbox.to_message();
        let copy = Outbox::from_message(first, uploads);
        assert_eq!((copy.stored(), copy.end(), copy.get(1)), (1, 2, Some(file("features/b"))));
    }
}
