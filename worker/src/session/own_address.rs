//! The addresses at which other workers may reach this one. `joining` asks for them each time it has reached the
//! coordinator: a machine's addresses change while it is away.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use common::address::HostPort;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use tokio::net::{UdpSocket, lookup_host};
use tonic::transport::Uri;

/// All that a name or an address stands for, in the order of the system.
///
/// # Errors
/// The name is not known.
pub async fn of_name(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in lookup_host((host, 0)).await? {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
}

/// This machine's addresses: first the one that faces the coordinator, then those of its interfaces that lead to other
/// machines. One that faces a coordinator on the same machine may lead nowhere else.
///
/// # Errors
/// As [`facing`].
pub async fn all(coordinator: &Uri) -> io::Result<Vec<IpAddr>> {
    let facing = facing(coordinator).await?;
    let others = of_interfaces().into_iter().filter(|address| *address != facing);
    Ok([facing].into_iter().chain(others).collect())
}

/// Addresses of the interfaces that are up, without those that mean nothing to another machine.
fn of_interfaces() -> Vec<IpAddr> {
    // Without them there is still the one that faces the coordinator.
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let is_up = |flags: InterfaceFlags| flags.contains(InterfaceFlags::IFF_UP);
    let addresses =
        interfaces.filter(|it| is_up(it.flags)).filter_map(|it| address_of(&it.address?));
    addresses.filter(leads_to_others).collect()
}

fn address_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let four = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    four.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

fn leads_to_others(address: &IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !is_link_local
}

/// The address of this machine that packets to the coordinator leave from. Nothing is sent.
///
/// # Errors
/// The coordinator's name is not known (yet), or no way leads there.
pub async fn facing(coordinator: &Uri) -> io::Result<IpAddr> {
    let incomplete = || io::Error::new(ErrorKind::InvalidInput, "the address is incomplete");
    let place = coordinator.authority().and_then(|place| place.as_str().parse().ok());
    let HostPort { host, port: Some(port) } = place.ok_or_else(incomplete)? else {
        return Err(incomplete());
    };
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host.as_str(), port)).await? {
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

    #[tokio::test]
    async fn beside_the_coordinator_there_are_the_addresses_that_others_know() {
        let all = all(&Uri::from_static("http://127.0.0.1:29400")).await.unwrap();
        assert_eq!(all[0], Ipv4Addr::LOCALHOST);
        assert!(all[1..].iter().all(leads_to_others), "{all:?}");
        for address in &all {
            UdpSocket::bind((*address, 0)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_stands_for_each_address_once() {
        let local = of_name("localhost").await.unwrap();
        assert!(local.contains(&Ipv4Addr::LOCALHOST.into()), "{local:?}");
        assert_eq!(of_name("::1").await.unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        of_name("worker.invalid").await.unwrap_err();
    }
}
