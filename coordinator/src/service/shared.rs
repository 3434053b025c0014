//! What the handlers share: the parts of the run that do the work.
//!
//! `run` puts them together; the handlers, the progress display and the summary read them.

use std::pin::Pin;
use std::sync::Arc;

use common::config::Config;
use common::status::ServiceError;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::codegen::Bytes;

use super::board::Board;
use super::intake::Intake;
use super::intake::joins::Joins;
use crate::cluster::Cluster;
use crate::cluster::membership::Event;
use crate::data::DataIdentity;
use crate::data::samples::SampleServer;
use crate::door::places::Places;
use crate::run_directory::RunDirectory;

/// What a call streams back.
pub type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the handlers share.
#[derive(Debug)]
pub struct Shared {
    /// The resolved settings.
    pub config: Config,
    /// The run's identity.
    pub run: String,
    /// It was complete when this coordinator came.
    pub was_complete: bool,
    /// Which samples the run is made of.
    pub data: DataIdentity,
    /// The members.
    pub cluster: Arc<Cluster>,
    /// Who consumes which samples.
    pub samples: SampleServer,
    /// What workers may say and send.
    pub intake: Intake,
    /// How often they may join.
    pub joins: Joins,
    /// How many results may be on their way in.
    pub uploads: Places,
    /// Where results go.
    pub directory: Arc<RunDirectory>,
    /// What was reported so far.
    pub board: Arc<Board>,
    /// The initial state, where the run starts from a given file.
    pub initial_state: Option<Bytes>,
    /// Tasks that outlive the call that began them.
    pub tasks: TaskTracker,
    /// Ends them.
    pub cancel: CancellationToken,
}

impl Shared {
    /// Passes a result on; a failure to store something ends the run first.
    ///
    /// # Errors
    /// Those of the result.
    pub fn ending_run_if_storage_failed<T>(
        &self,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if let Err(ServiceError::Storage(reason)) = &result {
            self.cluster.apply(Event::StorageFailed { reason: reason.clone() });
        }
        result
    }
}
