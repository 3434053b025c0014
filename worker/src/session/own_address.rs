//! The address at which other workers reach this one, where `--advertise` does not say it. `joining` asks for it each time it
//! has reached the coordinator.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{UdpSocket, lookup_host};
use tonic::transport::Uri;

/// The address of this machine that packets to the coordinator leave from. Nothing is sent.
///
/// # Errors
/// The coordinator's name is not known (yet), or no way leads there.
pub async fn facing(coordinator: &Uri) -> io::Result<IpAddr> {
    let incomplete = || io::Error::new(ErrorKind::InvalidInput, "the address is incomplete");
    let host = coordinator.host().ok_or_else(incomplete)?.trim_matches(['[', ']']);
    let port = coordinator.port_u16().ok_or_else(incomplete)?;
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match facing_one(address).await {
            Ok(own) => return Ok(own),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn facing_one(address: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_address_is_on_the_way_to_the_coordinator() {
        let of = async |uri: &'static str| facing(&Uri::from_static(uri)).await;
        assert_eq!(of("http://127.0.0.1:29400").await.unwrap(), Ipv4Addr::LOCALHOST);
        assert!(of("https://localhost:29400").await.unwrap().is_loopback());
        // A name that is not known is not taken for this machine's.
        of("http://coordinator.invalid:29400").await.unwrap_err();
    }
}
