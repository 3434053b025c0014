//! Takes connections: each is shaken hands with in a task of its own, under a deadline; their number is bounded, and how
//! often an address may begin one.
//!
//! `service::server` serves what comes out. Nothing a caller does, or does not do, keeps the others waiting; a system that has
//! no more file descriptors makes newcomers wait, and ends nothing.

use std::io;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::connection::{Connection, Stream};
use super::guests::{Guests, Visit};
use super::places::Places;
use super::tls::ServerTls;

/// From a connection to the end of its handshakes, and from there to its first permitted call.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the system keeps what a connection's other end does not take; then it ends the connection.
const UNREAD: Duration = Duration::from_secs(10);
/// How long a connection that was refused stays for the refusal to be read.
const PARTING: Duration = Duration::from_secs(1);
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
    let places = Places::for_connections();
    tokio::spawn(async move {
        let taking = take(listener, tls, places, ready);
        cancel.run_until_cancelled(taking).await;
    });
    ReceiverStream::new(connections)
}

async fn take(
    listener: TcpListener,
    tls: Option<ServerTls>,
    places: Places,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    // Dropped with this, it ends the handshakes.
    let mut handshakes = JoinSet::new();
    let mut arrivals = Arrivals::new(places.most_of_one());
    let guests = Guests::new(places);
    while !ready.is_closed() {
        while handshakes.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("cannot take a connection: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Where the address comes too often, or there is no place, the connection is closed at once.
        if !arrivals.take(address.ip()) {
            continue;
        }
        let Some(visit) = guests.enter(address.ip()).await else { continue };
        let (tls, ready) = (tls.clone(), ready.clone());
        handshakes.spawn(async move {
            let over = visit.over();
            tokio::select! {
                hands = timeout(HANDSHAKE, shake_hands(stream, tls, visit)) => match hands {
                    Ok(Ok(connection)) => drop(ready.send(Ok(connection)).await),
                    Ok(Err(error)) => tracing::debug!("a connection was closed: {error}"),
                    Err(_) => tracing::debug!("a connection was closed: it said nothing"),
                },
                () = over => tracing::debug!("a connection was closed: it made way for another"),
            }
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: Option<ServerTls>,
    visit: Visit,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::TcpUserTimeout, &(UNREAD.as_millis() as u32))?;
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let accepted = TlsAcceptor::from(tls.config()).accept(stream).into_fallible().await;
            match accepted {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err((error, stream)) => {
                    part(stream).await;
                    return Err(error);
                }
            }
        }
    };
    Connection::begin(stream, HANDSHAKE, visit).await
}

/// After a refusal: lets the other side read why. Closing while bytes of its own are unread would take that from it.
async fn part(mut stream: TcpStream) {
    let mut unread = [0; 1024];
    let reading = async {
        stream.shutdown().await?;
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Gone already, or it talks on: either way it had its time.
    timeout(PARTING, reading).await.ok();
}

#[cfg(test)]
mod tests {
    use tonic::transport::server::Connected;

    use super::super::connection::PREFACE;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Reads from a connection that says nothing until it is closed.
    async fn closed(mut connection: impl AsyncReadExt + Unpin) {
        let read = timeout(LIMIT, connection.read(&mut [0])).await.expect("it has made way");
        assert_eq!(read.unwrap_or(0), 0);
    }

    async fn kept(connection: &mut (impl AsyncReadExt + Unpin)) {
        let read = timeout(PAUSE, connection.read(&mut [0])).await;
        assert!(read.is_err(), "{read:?}");
    }

    #[tokio::test]
    async fn a_newcomer_is_served_in_place_of_who_shows_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, mut connections) = mpsc::channel(READY);
        let taking = tokio::spawn(take(listener, None, Places::of(6), ready));
        let connect = || async {
            // So often an address may come.
            sleep(PAUSE).await;
            TcpStream::connect(address).await.unwrap()
        };
        let mut served = async |stream: &mut TcpStream| {
            stream.write_all(PREFACE).await.unwrap();
            let served = timeout(LIMIT, connections.recv()).await.expect("it is served");
            let mut served = served.unwrap().unwrap();
            let mut preface = [0; PREFACE.len()];
            served.read_exact(&mut preface).await.unwrap();
            served
        };
        // One that may call, one that only speaks HTTP/2, and one that says nothing: all that an address can have.
        let (mut known, mut speaking) = (connect().await, connect().await);
        let mut known_here = served(&mut known).await;
        let speaking_here = served(&mut speaking).await;
        assert!(known_here.connect_info().permit());
        let silent = connect().await;
        let mut newcomer = connect().await;
        let (mut newcomer_here, ()) = tokio::join!(served(&mut newcomer), closed(speaking_here));
        closed(speaking).await;
        let mut last = connect().await;
        served(&mut last).await;
        closed(silent).await;
        kept(&mut known_here).await;
        kept(&mut newcomer_here).await;
        taking.abort();
    }
}
