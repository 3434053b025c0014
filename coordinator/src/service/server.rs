//! The gRPC server: its port, its limits, and how it notices that a connection is dead.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nix::errno::Errno;
use proto::coordinator_server::CoordinatorServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use super::calls::Service;
use super::shared::Shared;
use crate::door::{Door, entrance};

/// A silent connection is pinged after this…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// …and closed when the answer takes longer: a cut-off worker is noticed before its heartbeats time out.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);
/// Unread bytes of one upload, and of one connection.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);
/// Largest message taken: a piece of an artifact, with room to spare.
const LARGEST_MESSAGE: usize = 4 << 20;
/// Calls at once on one connection: a worker has its session, its samples and a few more.
const MOST_CALLS: u32 = 256;
/// Bytes of a call's headers: a token and little else.
const LARGEST_HEADERS: u32 = 16 << 10;

/// Listens for workers of a run that goes on: where any port would do, at the one that its workers know.
///
/// # Errors
/// As [`bind`].
pub async fn bind_again(address: &str, known: Option<&str>) -> Result<TcpListener> {
    if let (true, Some(known)) = (address.ends_with(":0"), known)
        && let Ok(listener) = TcpListener::bind(known).await
    {
        return Ok(listener);
    }
    bind(address).await
}

/// Listens for workers at `address`.
///
/// # Errors
/// The port is taken, or the address is not this machine's.
pub async fn bind(address: &str) -> Result<TcpListener> {
    let mut bound = TcpListener::bind(address).await;
    if let (Err(error), Some(port)) = (&bound, address.strip_prefix("[::]:"))
        && lacks_ipv6(error)
    {
        bound = TcpListener::bind(format!("0.0.0.0:{port}")).await;
    }
    bound.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "cannot listen on {address}: the port is taken, perhaps by another coordinator; choose another with \
             --listen HOST:PORT (port 0 takes any free one)"
        ),
        _ => anyhow::anyhow!("cannot listen on {address}: {error}; give --listen HOST:PORT"),
    })
}

/// A machine that has switched IPv6 off has no `[::]`, which stands for every address elsewhere.
fn lacks_ipv6(error: &std::io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    matches!(known, Some(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL))
}

/// Serves until `no_more_calls`, then until the calls in progress are done.
///
/// # Errors
/// The transport's own.
pub async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    door: Door,
    no_more_calls: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let service =
        CoordinatorServer::new(Service(shared)).max_decoding_message_size(LARGEST_MESSAGE);
    // Before any handler, and before anything of a message is read.
    let service = InterceptedService::new(service, door.guard());
    let connections = entrance::open(listener, door.tls, no_more_calls.clone());
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_concurrent_streams(MOST_CALLS)
        .http2_max_header_list_size(LARGEST_HEADERS)
        .add_service(service)
        .serve_with_incoming_shutdown(connections, no_more_calls.cancelled_owned())
        .await
}
