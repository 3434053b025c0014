//! The stream of samples: pulled block by block as the connection takes them.

use common::status::ServiceError;
use proto::{SampleBlock, SamplesRequest};

use super::shared::{Outgoing, Shared};

pub fn stream(
    shared: &Shared,
    request: &SamplesRequest,
) -> Result<Outgoing<SampleBlock>, ServiceError> {
    shared.cluster.require_current(request.generation)?;
    let blocks = shared.samples.blocks(request)?;
    Ok(Box::pin(tokio_stream::iter(blocks.map(|block| block.map_err(Into::into)))))
}
