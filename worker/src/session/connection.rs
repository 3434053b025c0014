//! How the coordinator is reached: the channel, and what this worker says of itself first.

use std::time::Duration;

use common::access::Line;
use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use proto::{HeldState, Hello, PROTOCOL_VERSION};
use tonic::transport::Endpoint;

use crate::args::WorkerArgs;
use crate::bridge;
use crate::hardware;

/// Longest message: samples and files travel in smaller pieces.
const MESSAGE_LIMIT: usize = 16 << 20;

/// A connection to the coordinator.
pub type Client = CoordinatorClient<Line>;

/// Connects.
///
/// # Errors
/// As [`common::access::Access::connect`].
pub async fn connect(args: &WorkerArgs) -> Result<Client, ServiceError> {
    let endpoint = Endpoint::from(args.coordinator.clone())
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    let line = args.access.connect(endpoint).await?;
    Ok(Client::new(line).max_decoding_message_size(MESSAGE_LIMIT))
}

/// What this worker says first.
pub fn hello(args: &WorkerArgs, held: Option<HeldState>) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: args.slot.0,
        advertise: args.advertise.clone(),
        device: args.place.to_string(),
        hardware: hardware::describe(args.place),
        libtorch_version: bridge::LIBTORCH_VERSION.to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_string(),
        process_id: std::process::id(),
        held,
    }
}
