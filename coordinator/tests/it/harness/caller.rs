//! Somebody who has come in, and what he may call beside a session.

use common::access::{Access, Line};
use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use proto::{
    GetArtifactRequest, PutArtifactHeader, PutArtifactPiece, ReportMetricsRequest, StepMetrics,
    put_artifact_piece, report_metrics_request,
};
use tonic::transport::Endpoint;

use super::patience::within;
use crate::files::checkpoint_files;

/// Somebody who has come in: what a worker does beside its session.
#[derive(Clone, Debug)]
pub struct Caller {
    pub client: CoordinatorClient<Line>,
}

impl Caller {
    /// Connects, and nothing more.
    pub async fn connect(address: &str, access: &Access) -> Result<Self, ServiceError> {
        let endpoint = Endpoint::from_shared(address.to_string()).unwrap();
        let line = within(access.connect(endpoint)).await?;
        Ok(Self { client: CoordinatorClient::new(line) })
    }

    pub async fn put(&mut self, paths: &[&str], content: &[u8]) -> Result<(), ServiceError> {
        self.put_as(1, paths, content, content.len() as u64).await
    }

    pub async fn put_as(
        &mut self,
        generation: u64,
        paths: &[&str],
        content: &[u8],
        length: u64,
    ) -> Result<(), ServiceError> {
        let paths = paths.iter().map(|path| (*path).to_string()).collect();
        let header = PutArtifactHeader { generation, paths, length };
        let piece = |piece| PutArtifactPiece { piece: Some(piece) };
        let mut pieces = vec![piece(put_artifact_piece::Piece::Header(header))];
        // Few pieces, so that there are few places to be killed at.
        let contents =
            content.chunks(content.len().div_ceil(3).clamp(1000, 1 << 20)).map(<[u8]>::to_vec);
        pieces.extend(contents.map(|c| piece(put_artifact_piece::Piece::Content(c.into()))));
        within(self.client.put_artifact(tokio_stream::iter(pieces))).await?;
        Ok(())
    }

    pub async fn get(&mut self, path: &str) -> Result<Vec<u8>, ServiceError> {
        let request = GetArtifactRequest { path: path.to_string() };
        let mut pieces = within(self.client.get_artifact(request)).await?.into_inner();
        let mut content = Vec::new();
        while let Some(piece) = within(pieces.message()).await? {
            content.extend_from_slice(&piece.content);
        }
        Ok(content)
    }

    /// Reports a step's losses.
    pub async fn report_step(&mut self, epoch: u64, step: u64) -> Result<(), ServiceError> {
        self.report_step_in(1, epoch, step).await
    }

    pub async fn report_step_in(
        &mut self,
        generation: u64,
        epoch: u64,
        step: u64,
    ) -> Result<(), ServiceError> {
        let metrics =
            StepMetrics { epoch, step, loss: 0.1 + 0.2, lr: 1e-3, ..StepMetrics::default() };
        let metrics = Some(report_metrics_request::Metrics::Step(metrics));
        within(self.client.report_metrics(ReportMetricsRequest { generation, metrics })).await?;
        Ok(())
    }

    /// Stores a checkpoint under `stems`, as a worker does: the resume file, then the model that names it.
    pub async fn checkpoint(
        &mut self,
        stems: &[&str],
        position: [u64; 3],
    ) -> Result<(), ServiceError> {
        self.checkpoint_in(1, stems, position).await
    }

    pub async fn checkpoint_in(
        &mut self,
        generation: u64,
        stems: &[&str],
        position: [u64; 3],
    ) -> Result<(), ServiceError> {
        let (model, resume) = checkpoint_files(position);
        let paths = |suffix| stems.iter().map(move |stem| format!("checkpoints/{stem}{suffix}"));
        for (suffix, content) in [(".resume.safetensors", &resume), (".safetensors", &model)] {
            let paths: Vec<String> = paths(suffix).collect();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            self.put_as(generation, &paths, content, content.len() as u64).await?;
        }
        Ok(())
    }
}
