//! The gRPC service: thin handlers over the parts that do the work, one file for each group of calls.
//!
//! - `session`: a worker's whole stay;
//! - `rendezvous`: the key-value store;
//! - `samples`, [`artifacts`], `metrics`: what flows while training;
//! - [`status`]: what `coordinator status` shows;
//! - `operator`: what `coordinator scale` and `coordinator drain` ask for.
//!
//! Handlers check, delegate and map errors; decisions are made in `membership`.

use std::pin::Pin;
use std::sync::Arc;

use common::config::Config;
use common::status::ServiceError;
use proto::coordinator_server::Coordinator;
use proto::{
    AddKeyReply, AddKeyRequest, ArtifactPiece, CoordinatorMessage, DrainReply, DrainRequest,
    GetArtifactRequest, GetKeysReply, GetKeysRequest, PutArtifactPiece, PutArtifactReply,
    ReportMetricsReply, ReportMetricsRequest, SampleBlock, SamplesRequest, ScaleReply,
    ScaleRequest, SetKeyReply, SetKeyRequest, StatusReply, StatusRequest, WorkerMessage,
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::codegen::Bytes;
use tonic::{Request, Response, Status, Streaming};

use crate::board::Board;
use crate::cluster::Cluster;
use crate::cluster::membership::Event;
use crate::data::DataIdentity;
use crate::data::samples::SampleServer;
use crate::door::guests::Caller;
use crate::door::places::Places;
use crate::intake::Intake;
use crate::intake::joins::Joins;
use crate::run_directory::RunDirectory;

pub mod artifacts;
mod metrics;
mod operator;
mod rendezvous;
mod samples;
mod session;
pub mod status;

/// What the handlers share.
#[derive(Debug)]
pub struct Shared {
    /// The resolved settings.
    pub config: Config,
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
    pub board: Board,
    /// The initial state, where the run starts from a given file.
    pub initial_state: Option<Bytes>,
    /// Tasks that outlive the call that began them.
    pub tasks: TaskTracker,
    /// Ends them.
    pub cancel: CancellationToken,
}

impl Shared {
    /// Passes a result on; a failure to store something ends the run first.
    fn ending_run_if_storage_failed<T>(
        &self,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if let Err(ServiceError::Storage(reason)) = &result {
            self.cluster.apply(Event::StorageFailed { reason: reason.clone() });
        }
        result
    }
}

/// The service.
#[derive(Clone, Debug)]
pub struct Service(pub Arc<Shared>);

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Coordinator for Service {
    type SessionStream = Outgoing<CoordinatorMessage>;
    type StreamSamplesStream = Outgoing<SampleBlock>;
    type GetArtifactStream = Outgoing<ArtifactPiece>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let caller = request.extensions().get::<Caller>().map(Caller::address);
        Ok(Response::new(session::serve(&self.0, caller, request.into_inner()).await?))
    }

    async fn set_key(
        &self,
        request: Request<SetKeyRequest>,
    ) -> Result<Response<SetKeyReply>, Status> {
        Ok(Response::new(rendezvous::set(&self.0, request.into_inner())?))
    }

    async fn get_keys(
        &self,
        request: Request<GetKeysRequest>,
    ) -> Result<Response<GetKeysReply>, Status> {
        Ok(Response::new(rendezvous::get(&self.0, request.into_inner()).await?))
    }

    async fn add_key(
        &self,
        request: Request<AddKeyRequest>,
    ) -> Result<Response<AddKeyReply>, Status> {
        Ok(Response::new(rendezvous::add(&self.0, request.into_inner())?))
    }

    async fn stream_samples(
        &self,
        request: Request<SamplesRequest>,
    ) -> Result<Response<Self::StreamSamplesStream>, Status> {
        Ok(Response::new(samples::stream(&self.0, &request.into_inner())?))
    }

    async fn put_artifact(
        &self,
        request: Request<Streaming<PutArtifactPiece>>,
    ) -> Result<Response<PutArtifactReply>, Status> {
        let caller = request.extensions().get::<Caller>().map(Caller::address);
        Ok(Response::new(artifacts::put(&self.0, caller, request.into_inner()).await?))
    }

    async fn get_artifact(
        &self,
        request: Request<GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        Ok(Response::new(artifacts::get(&self.0, &request.into_inner())?))
    }

    async fn report_metrics(
        &self,
        request: Request<ReportMetricsRequest>,
    ) -> Result<Response<ReportMetricsReply>, Status> {
        Ok(Response::new(metrics::report(&self.0, request.into_inner()).await?))
    }

    async fn get_status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(status::status(&self.0)))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ScaleReply>, Status> {
        Ok(Response::new(operator::scale(&self.0, request.into_inner())?))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainReply>, Status> {
        Ok(Response::new(operator::drain(&self.0, request.into_inner())?))
    }
}
