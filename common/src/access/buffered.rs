//! Connections below TLS, which asks for 4 KiB at a time: here it finds more of them in a buffer, instead of in the system.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tower::ServiceExt;
use tower::util::MapResponse;

/// Bytes that are asked for at a time.
const READ: usize = 128 << 10;

type Tcp = TokioIo<TcpStream>;
type Buffered = TokioIo<BufReader<TcpStream>>;

/// What connects to an address by TCP within so long, in which all addresses of a name are tried.
pub fn connector(limit: Option<Duration>) -> MapResponse<HttpConnector, fn(Tcp) -> Buffered> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(limit);
    tcp.map_response(|stream| TokioIo::new(BufReader::with_capacity(READ, stream.into_inner())))
}
