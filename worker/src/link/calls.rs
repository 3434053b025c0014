//! The trainer thread's line to the coordinator: blocking calls, each with a deadline, all ending when the generation
//! is aborted.
//!
//! Called from threads outside the tokio runtime only. The session on the tokio side owns the membership; this carries
//! data.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use common::ids::Generation;
use common::status::ServiceError;
use proto::put_artifact_piece::Piece;
use proto::{
    AddKeyRequest, GetArtifactRequest, GetKeysRequest, PutArtifactHeader, PutArtifactPiece,
    ReportMetricsRequest, SetKeyRequest, report_metrics_request,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::collective::{KeyValueStore, StoreError};

/// Longest wait for a short call.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Longest wait for a file to be stored or read.
const FILE_DEADLINE: Duration = Duration::from_secs(300);
/// Bytes of a file in one message.
const PIECE: usize = 256 * 1024;

/// A line to the coordinator within one generation.
#[derive(Clone)]
pub struct Link {
    runtime: Handle,
    client: Client,
    generation: Generation,
    ended: CancellationToken,
}

impl Link {
    /// A line for `generation`; every call fails once `ended` is cancelled.
    pub fn new(
        runtime: Handle,
        client: Client,
        generation: Generation,
        ended: CancellationToken,
    ) -> Self {
        Self { runtime, client, generation, ended }
    }

    /// The generation this line belongs to.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The client, for calls made on the tokio side.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where tasks of this line run.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Cancelled when the generation ends.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Waits for a call, at most `deadline`.
    fn wait<R>(
        &self,
        what: &str,
        deadline: Duration,
        call: impl Future<Output = Result<R, tonic::Status>>,
    ) -> Result<R, ServiceError> {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.ended.cancelled() => {
                    Err(ServiceError::Ending("the generation has ended".to_string()))
                }
                result = tokio::time::timeout(deadline, call) => match result {
                    Ok(result) => result.map_err(ServiceError::from),
                    Err(_) => Err(ServiceError::TimedOut(format!(
                        "the coordinator did not {what} within {deadline:?}"
                    ))),
                },
            }
        })
    }

    /// Stores a file of the run directory under all of `paths`.
    ///
    /// # Errors
    /// The coordinator cannot store it or is out of reach.
    pub fn put_artifact(
        &self,
        paths: Vec<String>,
        content: Arc<Vec<u8>>,
    ) -> Result<(), ServiceError> {
        let header = PutArtifactHeader {
            generation: self.generation.0,
            paths,
            length: content.len() as u64,
        };
        let header = PutArtifactPiece { piece: Some(Piece::Header(header)) };
        let count = content.len().div_ceil(PIECE);
        let pieces = (0..count).map(move |index| {
            let end = content.len().min((index + 1) * PIECE);
            let bytes = content[index * PIECE..end].to_vec();
            PutArtifactPiece { piece: Some(Piece::Content(bytes.into())) }
        });
        let stream = tokio_stream::iter(std::iter::once(header).chain(pieces));
        let mut client = self.client.clone();
        self.wait("store a file", FILE_DEADLINE, client.put_artifact(stream))?;
        Ok(())
    }

    /// Reads a file of the run directory.
    ///
    /// # Errors
    /// There is none, or the coordinator is out of reach.
    pub fn get_artifact(&self, path: &str) -> Result<Vec<u8>, ServiceError> {
        let mut client = self.client.clone();
        self.wait("send a file", FILE_DEADLINE, async {
            let request = GetArtifactRequest { path: path.to_string() };
            let mut stream = client.get_artifact(request).await?.into_inner();
            let mut content = Vec::new();
            while let Some(piece) = stream.message().await? {
                content.extend_from_slice(&piece.content);
            }
            Ok(content)
        })
    }

    /// Adds an object to the run's metrics.
    ///
    /// # Errors
    /// The coordinator cannot store it or is out of reach.
    pub fn report(&self, metrics: report_metrics_request::Metrics) -> Result<(), ServiceError> {
        let request =
            ReportMetricsRequest { generation: self.generation.0, metrics: Some(metrics) };
        let mut client = self.client.clone();
        self.wait("take metrics", CALL_DEADLINE, client.report_metrics(request))?;
        Ok(())
    }
}

/// The rendezvous of a generation's ranks.
impl KeyValueStore for Link {
    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let request = SetKeyRequest {
            generation: self.generation.0,
            key: key.to_string(),
            value: value.into(),
        };
        let mut client = self.client.clone();
        self.wait("store a key", CALL_DEADLINE, client.set_key(request)).map_err(failed)?;
        Ok(())
    }

    fn get(&self, keys: &[String], timeout: Duration) -> Result<Vec<Vec<u8>>, StoreError> {
        let request = GetKeysRequest {
            generation: self.generation.0,
            keys: keys.to_vec(),
            timeout_ms: timeout.as_millis() as u64,
        };
        let mut client = self.client.clone();
        let deadline = timeout.saturating_add(CALL_DEADLINE);
        match self.wait("send keys", deadline, client.get_keys(request)) {
            Ok(reply) => {
                Ok(reply.into_inner().values.into_iter().map(|value| value.to_vec()).collect())
            }
            Err(ServiceError::TimedOut(_)) => {
                Err(StoreError::Missing { keys: keys.to_vec(), after: timeout })
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, StoreError> {
        let request = AddKeyRequest { generation: self.generation.0, key: key.to_string(), amount };
        let mut client = self.client.clone();
        let reply = self.wait("add to a key", CALL_DEADLINE, client.add_key(request));
        Ok(reply.map_err(failed)?.into_inner().value)
    }
}

fn failed(error: ServiceError) -> StoreError {
    StoreError::Failed(error.to_string())
}
