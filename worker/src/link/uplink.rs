//! The first rank's way to the coordinator: the uploads of the outbox, one after the other, in the order in which they
//! came to be, while training goes on.
//!
//! The order is what makes a run resumable: a checkpoint is stored only after every line of metrics before it. A thread
//! of its own sends; the trainer waits only when too much is under way.

use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use common::status::ServiceError;
use proto::report_metrics_request::Metrics;

use super::calls::Link;
use super::outbox::{Outbox, Upload};
use crate::fault::{Faults, Phase};
use crate::machine::cpus;

/// Uploads under way before the sender waits.
const QUEUE: usize = 8;

/// A queue to the coordinator.
pub struct Uplink {
    /// Up to which number uploads may be sent.
    released: Option<SyncSender<u64>>,
    thread: Option<JoinHandle<Result<(), ServiceError>>>,
}

impl Uplink {
    /// Starts sending over `link` what `outbox` holds, as far as it is released.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(link: Link, outbox: Outbox, faults: Faults) -> std::io::Result<Self> {
        let (released, limits) = mpsc::sync_channel::<u64>(QUEUE);
        let thread = std::thread::Builder::new().name("uplink".to_string()).spawn(move || {
            cpus::release();
            let mut next = outbox.stored();
            for limit in limits {
                while next < limit {
                    let upload = outbox.get(next).ok_or_else(|| {
                        ServiceError::Internal(format!("upload {next} is not kept any more"))
                    })?;
                    faults.point(Phase::Upload);
                    send(&link, upload)?;
                    next += 1;
                    outbox.acknowledge(next);
                }
            }
            Ok(())
        })?;
        Ok(Self { released: Some(released), thread: Some(thread) })
    }

    /// Lets all uploads before number `end` go.
    ///
    /// # Errors
    /// One of them could not be sent: why.
    pub fn release(&mut self, end: u64) -> Result<(), ServiceError> {
        if self.released.as_ref().is_some_and(|released| released.send(end).is_ok()) {
            return Ok(());
        }
        self.finish()?;
        Err(ServiceError::Ending("no more results are taken".to_string()))
    }

    /// Waits until everything released is stored.
    ///
    /// # Errors
    /// Something could not be sent: why.
    pub fn finish(&mut self) -> Result<(), ServiceError> {
        self.released = None;
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| {
            Err(ServiceError::Internal("the thread that sends results panicked".to_string()))
        })
    }
}

fn send(link: &Link, upload: Upload) -> Result<(), ServiceError> {
    match upload {
        Upload::Step(metrics) => link.report(Metrics::Step((&metrics).into())),
        Upload::Epoch(metrics) => link.report(Metrics::Epoch((&metrics).into())),
        Upload::File { paths, content } => link.put_artifact(paths, content),
    }
}
