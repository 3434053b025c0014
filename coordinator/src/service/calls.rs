//! The gRPC service as `proto` declares it: each call to the handler of its group.
//!
//! `server` serves it.

use std::sync::Arc;

use proto::coordinator_server::Coordinator;
use proto::{
    AddKeyReply, AddKeyRequest, ArtifactPiece, CoordinatorMessage, DrainReply, DrainRequest,
    GetArtifactRequest, GetKeysReply, GetKeysRequest, PutArtifactPiece, PutArtifactReply,
    ReportMetricsReply, ReportMetricsRequest, SampleBlock, SamplesRequest, ScaleReply,
    ScaleRequest, SetKeyReply, SetKeyRequest, StatusReply, StatusRequest, TermsReply, TermsRequest,
    WorkerMessage,
};
use tonic::{Request, Response, Status, Streaming};

use super::shared::{Outgoing, Shared};
use super::{artifacts, metrics, operator, rendezvous, samples, session, status, terms};
use crate::door::guests::Caller;

/// The service.
#[derive(Clone, Debug)]
pub struct Service(pub Arc<Shared>);

#[tonic::async_trait]
impl Coordinator for Service {
    type SessionStream = Outgoing<CoordinatorMessage>;
    type StreamSamplesStream = Outgoing<SampleBlock>;
    type GetArtifactStream = Outgoing<ArtifactPiece>;

    async fn get_terms(
        &self,
        _request: Request<TermsRequest>,
    ) -> Result<Response<TermsReply>, Status> {
        Ok(Response::new(terms::terms(&self.0)))
    }

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
