//! Results on their way in, checkpoints and initial state on their way out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use common::ids::Generation;
use common::status::ServiceError;
use proto::put_artifact_piece::Piece;
use proto::{
    ArtifactPiece, GetArtifactRequest, PutArtifactHeader, PutArtifactPiece, PutArtifactReply,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;
use tonic::codegen::Bytes;
use tonic::{Status, Streaming};

use super::intake::Intake;
use super::shared::{Outgoing, Shared};
use crate::cluster::membership::Event;
use crate::data::initial_state;
use crate::run_directory::{ArtifactPath, CheckpointMetadata, RunDirectory, Upload};

/// Longest wait for the next piece of an upload…
const PIECE_DEADLINE: Duration = Duration::from_secs(30);
/// …and for all of them: a worker does not wait for longer either.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(300);
/// Uploads at once, half of them from one address; a run has one or two on their way.
pub const UPLOADS: usize = 32;
/// Pieces received but not yet written.
const QUEUED_PIECES: usize = 4;
/// Bytes of a piece on its way out.
const PIECE_LENGTH: usize = 256 << 10;

/// Stores an artifact.
pub async fn put(
    shared: &Shared,
    caller: Option<IpAddr>,
    mut pieces: Streaming<PutArtifactPiece>,
) -> Result<PutArtifactReply, ServiceError> {
    // Each keeps a thread and memory from the others.
    let caller = caller.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let _place = shared.uploads.take(caller).map_err(|_| {
        ServiceError::Unreachable(format!("too many uploads from {caller} just now: try again"))
    })?;
    let Some(Piece::Header(header)) = next(&mut pieces).await? else {
        return Err(ServiceError::Invalid("an artifact must begin with its header".to_string()));
    };
    shared.cluster.require_current(header.generation)?;
    let paths =
        header.paths.iter().map(|path| ArtifactPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
    shared.intake.check_header(&paths, header.length)?;
    let (content, queue) = mpsc::channel(QUEUED_PIECES);
    let upload = (Arc::clone(&shared.directory), shared.intake.clone());
    let writing = spawn_blocking(move || write(&upload.0, &upload.1, paths, &header, queue));
    let received = timeout(UPLOAD_DEADLINE, forward(&mut pieces, content)).await;
    let received = received.unwrap_or_else(|_| {
        Err(ServiceError::TimedOut(format!("the artifact did not come within {UPLOAD_DEADLINE:?}")))
    });
    let written = writing.await.map_err(|error| ServiceError::Internal(error.to_string()))?;
    // A broken stream also ends the writing early, with a less telling error.
    let stored = received.and(shared.ending_run_if_storage_failed(written))?;
    announce_checkpoint(shared, stored);
    Ok(PutArtifactReply {})
}

/// Passes the pieces on to the writer, and none after the last: without that nothing is stored. The writer may end first;
/// it says why itself.
async fn forward(
    pieces: &mut Streaming<PutArtifactPiece>,
    content: mpsc::Sender<Option<Bytes>>,
) -> Result<(), ServiceError> {
    while let Some(piece) = next(pieces).await? {
        let Piece::Content(piece) = piece else {
            return Err(ServiceError::Invalid("an artifact has one header".to_string()));
        };
        if content.send(Some(piece)).await.is_err() {
            return Ok(());
        }
    }
    content.send(None).await.ok();
    Ok(())
}

async fn next(pieces: &mut Streaming<PutArtifactPiece>) -> Result<Option<Piece>, ServiceError> {
    let piece = timeout(PIECE_DEADLINE, pieces.message()).await.map_err(|_| {
        ServiceError::TimedOut(format!("no piece of the artifact came for {PIECE_DEADLINE:?}"))
    })?;
    Ok(piece?.and_then(|piece| piece.piece))
}

/// What was stored, with the checkpoint's description if it was one.
struct Stored {
    model: Option<ArtifactPath>,
    description: String,
    /// Steps that are done in it.
    step: u64,
}

/// Runs where it may block.
fn write(
    directory: &RunDirectory,
    intake: &Intake,
    paths: Vec<ArtifactPath>,
    header: &PutArtifactHeader,
    mut queue: mpsc::Receiver<Option<Bytes>>,
) -> Result<Stored, ServiceError> {
    let generation = Generation(header.generation);
    let Some(first) = paths.first().cloned() else {
        return Err(ServiceError::Invalid("an artifact needs at least one path".to_string()));
    };
    let mut upload = Upload::begin(directory, generation, paths, header.length)?;
    let broken = || ServiceError::Invalid("the artifact broke off; nothing was stored".to_string());
    while let Some(content) = queue.blocking_recv().ok_or_else(broken)? {
        upload.write(&content)?;
    }
    let metadata = match intake.has_numbers(&first) {
        true => intake.check_content(&first, &upload.content()?)?,
        false => None,
    };
    upload.finish()?;
    Ok(match metadata {
        Some(metadata) => {
            let description = description(directory, &first, &metadata);
            Stored { description, step: metadata.step, model: Some(first) }
        }
        None => Stored { model: None, description: String::new(), step: 0 },
    })
}

/// A checkpoint as messages name it.
fn description(
    directory: &RunDirectory,
    model: &ArtifactPath,
    metadata: &CheckpointMetadata,
) -> String {
    let root = directory.root();
    format!(
        "the last checkpoint is {} (epoch {}, step {})",
        model.below(root).display(),
        metadata.epoch,
        metadata.step
    )
}

fn announce_checkpoint(shared: &Shared, stored: Stored) {
    let Stored { model: Some(model), description, step } = stored else {
        return;
    };
    tracing::debug!(%model, "checkpoint stored");
    shared.board.update(|record| {
        record.last_checkpoint = Some(model.to_string());
        record.checkpoint_step = step;
    });
    shared.cluster.apply(Event::CheckpointStored { description, step });
}

/// Reads an artifact, or the initial state.
pub fn get(
    shared: &Shared,
    request: &GetArtifactRequest,
) -> Result<Outgoing<ArtifactPiece>, ServiceError> {
    if request.path == initial_state::ARTIFACT {
        let content = shared.initial_state.clone().ok_or_else(|| {
            ServiceError::NotFound("this run does not start from a given file".to_string())
        })?;
        return Ok(Box::pin(tokio_stream::iter(
            cut(content).map(|content| Ok(ArtifactPiece { content })),
        )));
    }
    let path = ArtifactPath::parse(&request.path)?;
    let file = tokio::fs::File::from_std(shared.directory.open_artifact(&path)?);
    let pieces = ReaderStream::with_capacity(file, PIECE_LENGTH).map(|piece| match piece {
        Ok(content) => Ok(ArtifactPiece { content }),
        Err(error) => {
            Err(Status::from(ServiceError::Storage(format!("cannot read an artifact: {error}"))))
        }
    });
    Ok(Box::pin(pieces))
}

/// Content in pieces that share its memory.
fn cut(content: Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..content.len()).step_by(PIECE_LENGTH);
    starts.map(move |start| content.slice(start..content.len().min(start + PIECE_LENGTH)))
}
