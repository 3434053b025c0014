//! Hosts and ports as text: the one place where they are split and joined. An IPv6 address stands in brackets wherever a port
//! may follow it, and bare everywhere else.
//!
//! Whoever takes a host from a flag or a variable, or puts one into an address, calls it. Looks nothing up.

use std::net::Ipv6Addr;
use std::str::FromStr;

/// A host, a name or an address without brackets, and its port where one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

/// What is wrong with a text that should be a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// What follows the last colon is no port.
    #[error("has no port that is a number from 1 to 65535 after its colon")]
    Port,
    /// The brackets hold no IPv6 address, or are not closed.
    #[error("holds no IPv6 address between its brackets")]
    Brackets,
    /// It looks like a URL, or holds spaces.
    #[error("is neither a name nor an address")]
    NoHost,
    /// A host alone is wanted.
    #[error("has a port, where a host alone is wanted")]
    UnwantedPort,
}

impl FromStr for HostPort {
    type Err = AddressError;

    /// Takes `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` and a bare IPv6 address.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.contains('/') {
            return Err(AddressError::NoHost);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(AddressError::Brackets)?;
                if !is_ipv6(host) {
                    return Err(AddressError::Brackets);
                }
                let port = if after.is_empty() { None } else { Some(after) };
                (host, port.map(|port| port.strip_prefix(':').unwrap_or_default()))
            }
            None if is_ipv6(text) => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_host =
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "@[]?#".contains(c));
        if !is_host {
            return Err(AddressError::NoHost);
        }
        let port = port.map(|port| port.parse().ok().filter(|port| *port > 0));
        match port {
            Some(None) => Err(AddressError::Port),
            port => Ok(Self { host: host.to_string(), port: port.flatten() }),
        }
    }
}

/// A host without a port, without brackets.
///
/// # Errors
/// It is no host, or has a port.
pub fn host(text: &str) -> Result<String, AddressError> {
    match text.parse()? {
        HostPort { host, port: None } => Ok(host),
        HostPort { port: Some(_), .. } => Err(AddressError::UnwantedPort),
    }
}

/// `HOST:PORT`, with brackets where the host is an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

/// A host as it stands in a URL.
pub fn bracketed(host: &str) -> String {
    if is_ipv6(host) { format!("[{host}]") } else { host.to_string() }
}

/// An address, perhaps with the interface that it counts on (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let check = |text: &str, host: &str, port: Option<u16>| {
            let expected = HostPort { host: host.to_string(), port };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        };
        check("host", "host", None);
        check("host:29400", "host", Some(29400));
        check("10.0.0.1:1", "10.0.0.1", Some(1));
        check("fd00::1", "fd00::1", None);
        check("[fd00::1]", "fd00::1", None);
        check("[fd00::1]:29400", "fd00::1", Some(29400));
        check("::1", "::1", None);
        check("fe80::1%eth0", "fe80::1%eth0", None);
        check("[fe80::1%eth0]:5", "fe80::1%eth0", Some(5));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<HostPort>(), Err(expected), "{text}");
        };
        check("", AddressError::Empty);
        check("host:", AddressError::Port);
        check("host:0", AddressError::Port);
        check("host:65536", AddressError::Port);
        check("[::1]29400", AddressError::Port);
        check("[host]:1", AddressError::Brackets);
        check("[::1", AddressError::Brackets);
        check(":29400", AddressError::NoHost);
        check("http://host", AddressError::NoHost);
        check("a b", AddressError::NoHost);
        assert_eq!(host("host:1"), Err(AddressError::UnwantedPort));
        assert_eq!(host("[fd00::1]"), Ok("fd00::1".to_string()));
    }

    #[test]
    fn what_is_joined_can_be_split() {
        for name in ["host", "10.0.0.1", "fd00::1", "fe80::1%eth0"] {
            let expected = HostPort { host: name.to_string(), port: Some(7) };
            assert_eq!(join(name, 7).parse(), Ok(expected));
        }
    }
}
