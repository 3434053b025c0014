//! What rank 0 sends to the coordinator while training goes on: metrics and files, one after the other, in the order
//! in which they came to be.
//!
//! The order is what makes a run resumable: a checkpoint is stored only after every line of metrics before it. A thread
//! of its own sends; the trainer waits only when too much is under way.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use common::status::ServiceError;
use proto::report_metrics_request::Metrics;

use crate::link::Link;

/// Messages under way before the sender waits.
const QUEUE: usize = 8;

/// One thing to send.
pub enum Upload {
    /// A line of metrics.
    Metrics(Metrics),
    /// A file of the run directory, under all of these paths.
    File {
        /// Paths below the run directory.
        paths: Vec<String>,
        /// Its content.
        content: Arc<Vec<u8>>,
    },
}

/// A queue to the coordinator.
pub struct Uplink {
    queue: Option<SyncSender<Upload>>,
    thread: Option<JoinHandle<Result<(), ServiceError>>>,
}

impl Uplink {
    /// Starts sending over `link`.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(link: Link) -> std::io::Result<Self> {
        let (queue, uploads) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("uplink".to_string()).spawn(move || {
            for upload in uploads {
                match upload {
                    Upload::Metrics(metrics) => link.report(metrics)?,
                    Upload::File { paths, content } => link.put_artifact(paths, content)?,
                }
            }
            Ok(())
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues something.
    ///
    /// # Errors
    /// Something queued earlier could not be sent: why.
    pub fn send(&mut self, upload: Upload) -> Result<(), ServiceError> {
        if self.queue.as_ref().is_some_and(|queue| queue.send(upload).is_ok()) {
            return Ok(());
        }
        self.finish()?;
        Err(ServiceError::Ending("no more results are taken".to_string()))
    }

    /// Waits until everything queued is stored.
    ///
    /// # Errors
    /// Something could not be sent: why.
    pub fn finish(&mut self) -> Result<(), ServiceError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| {
            Err(ServiceError::Internal("the thread that sends results panicked".to_string()))
        })
    }
}
