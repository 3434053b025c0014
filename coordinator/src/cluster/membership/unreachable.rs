//! That one worker does not reach another, in words: from where, at which address, why, and the way out.

use std::net::{IpAddr, SocketAddr};

/// The way out.
const ADVERTISE: &str = "give that worker an address that the others reach with --advertise";

/// Who does not reach whom at which address, and why in the words of the system.
pub(super) fn words(
    (from, own): (&str, IpAddr),
    (to, address): (&str, SocketAddr),
    why: &str,
) -> String {
    let (from, to) = (with(from, own), with(to, address.ip()));
    format!("{from} does not reach {to} at {address}: {why}{}", hint(own, address.ip()))
}

/// A worker's name, with its address where that is not part of it.
fn with(name: &str, address: IpAddr) -> String {
    let address = address.to_string();
    if name.ends_with(&address) { name.to_string() } else { format!("{name} ({address})") }
}

/// A member has no address of the family that the others have.
pub(super) fn other_family(name: &str, own: IpAddr, family: &str) -> String {
    format!(
        "{name} listens at {own} only, and the others connect over {family}: {ADVERTISE}, or name the coordinator by an \
         {family} address there"
    )
}

/// A member is reached by all, but at different addresses.
pub(super) fn no_common_address(name: &str) -> String {
    format!("no single address of {name} is reached by all others: {ADVERTISE}")
}

/// What the address tells of the cause.
fn hint(own: IpAddr, address: IpAddr) -> String {
    if address.is_loopback() && !own.is_loopback() {
        return format!(
            "; that is a loopback address, which leads every machine to itself: {ADVERTISE}, or start it with the \
             coordinator's address in the network in place of {address}"
        );
    }
    if own.is_ipv4() != address.is_ipv4() {
        return format!("; one has an IPv4 address and the other an IPv6 address: {ADVERTISE}");
    }
    if !is_near(own, address) {
        return format!(
            "; the two are in different networks: {ADVERTISE}, or open a way between them"
        );
    }
    "; look whether a firewall or a cable is in the way of the ports that the system chooses"
        .to_string()
}

/// Whether two addresses look like one network: the same /16, or the same /64.
fn is_near(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..2] == other.octets()[..2],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_both_ends_and_the_way_out() {
        let check = |own: &str, address: &str, expected: &[&str]| {
            let from = ("rank 0 on node-a", own.parse().unwrap());
            let to = ("rank 1 on node-b", address.parse().unwrap());
            let words = words(from, to, "connection refused");
            let always = ["rank 0 on node-a", "rank 1 on node-b", address, "connection refused"];
            for part in always.iter().chain(expected) {
                assert!(words.contains(part), "`{part}` is missing in {words}");
            }
        };
        check("10.0.0.1", "127.0.0.1:4000", &["loopback", "--advertise"]);
        check("10.0.0.1", "[fd00::1]:4000", &["IPv6", "--advertise"]);
        check("10.0.0.1", "192.168.0.1:4000", &["different networks", "--advertise"]);
        check("10.0.0.1", "10.0.3.7:4000", &["firewall"]);
        check("127.0.0.1", "127.0.0.1:4000", &["firewall"]);
    }
}
