//! The channel to the coordinator: one for a stay, which the session and the calls of its generations share.

use std::time::Duration;

use common::access::{Access, Line};
use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use tonic::transport::{Endpoint, Uri};

/// Longest message: samples and files travel in smaller pieces.
const MESSAGE_LIMIT: usize = 16 << 20;

/// A connection to the coordinator.
pub type Client = CoordinatorClient<Line>;

/// Connects to the coordinator at this address, which lets in who has this access.
///
/// # Errors
/// As [`common::access::Access::connect`].
pub async fn connect(coordinator: &Uri, access: &Access) -> Result<Client, ServiceError> {
    let endpoint = Endpoint::from(coordinator.clone())
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    let line = access.connect(endpoint).await?;
    Ok(Client::new(line).max_decoding_message_size(MESSAGE_LIMIT))
}
