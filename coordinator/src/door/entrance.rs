//! Takes connections: each is shaken hands with in a task of its own, under a deadline, and their number is bounded.
//!
//! `server` serves what comes out. Nothing a caller does, or does not do, keeps the others waiting; a system that has
//! no more file descriptors makes newcomers wait, and ends nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Stream};
use super::tls::ServerTls;

/// From a connection to the end of its handshakes, and from there to its first permitted call.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections at once, as far as the system allows so many.
const MOST_CONNECTIONS: usize = 16_384;
/// File descriptors that are left to files and to the program.
const RESERVED: u64 = 128;
/// Connections ready to be served that the server has not taken yet.
const READY: usize = 64;
/// How long the system is left alone when it cannot give a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections that speak HTTP/2, until `cancel`.
pub fn open(
    listener: TcpListener,
    tls: Option<ServerTls>,
    cancel: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(READY);
    let places = Arc::new(Semaphore::new(most_connections()));
    tokio::spawn(async move {
        let taking = take(listener, tls, places, ready);
        cancel.run_until_cancelled(taking).await;
    });
    ReceiverStream::new(connections)
}

async fn take(
    listener: TcpListener,
    tls: Option<ServerTls>,
    places: Arc<Semaphore>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    // Dropped with this, it ends the handshakes.
    let mut handshakes = JoinSet::new();
    while !ready.is_closed() {
        while handshakes.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("cannot take a connection: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Where there is no place, the connection is closed at once.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (tls, ready) = (tls.clone(), ready.clone());
        handshakes.spawn(async move {
            match timeout(HANDSHAKE, shake_hands(stream, tls, place)).await {
                Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::debug!("a connection was closed: {error}"),
                Err(_) => tracing::debug!("a connection was closed: it said nothing"),
            }
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: Option<ServerTls>,
    place: OwnedSemaphorePermit,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => Stream::Tls(Box::new(TlsAcceptor::from(tls.config()).accept(stream).await?)),
    };
    Connection::begin(stream, HANDSHAKE, place).await
}

/// How many connections there may be, after the system's limit on file descriptors is raised as far as it goes.
fn most_connections() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, hard)| {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        }
    });
    let free = limit.saturating_sub(RESERVED).max(limit / 2);
    usize::try_from(free).unwrap_or(MOST_CONNECTIONS).clamp(1, MOST_CONNECTIONS)
}
