//! How many there may be of something that callers hold: in all, and of one caller, so that no address takes the places
//! of all others.
//!
//! `guests` takes a place for each connection, `service::artifacts` one for each upload; it is given back at the end.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections at once, as far as the system allows so many.
const MOST_CONNECTIONS: usize = 16_384;
/// File descriptors that are left to files and to the program.
const RESERVED: u64 = 128;

/// All places. Clones share them.
#[derive(Clone, Debug)]
pub struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<IpAddr, usize>,
}

/// A caller's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    network: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

/// Why there is no place for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// Callers from the same address have half of all.
    ForItsAddress,
    /// All are taken.
    ForAnybody,
}

impl Places {
    /// As many as the system allows connections, after its limit on file descriptors is raised as far as it goes.
    pub fn for_connections() -> Self {
        Self::of(most_connections())
    }

    /// So many.
    pub fn of(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// As many as one address may have.
    pub fn most_of_one(&self) -> usize {
        self.most.div_ceil(2)
    }

    /// A place for a caller.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&self, address: IpAddr) -> Result<Place, NoPlace> {
        let mut taken = lock(&self.taken);
        let address = network(address);
        let from_here = taken.by.get(&address).copied().unwrap_or(0);
        if from_here >= self.most_of_one() {
            return Err(NoPlace::ForItsAddress);
        }
        if taken.all >= self.most {
            return Err(NoPlace::ForAnybody);
        }
        taken.all += 1;
        taken.by.insert(address, from_here + 1);
        Ok(Place { network: address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        match taken.by.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.by.remove(&self.network)),
        }
    }
}

/// What is one caller's: an IPv4 address, or the 64 bits of IPv6 that a network has.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(places: &Places, address: &str, count: usize) -> Vec<Place> {
        (0..count).filter_map(|_| places.take(address.parse().unwrap()).ok()).collect()
    }

    #[test]
    fn one_address_leaves_half_of_the_places_to_the_others() {
        let places = Places::of(10);
        let first = taken(&places, "10.0.0.1", 20);
        assert_eq!(first.len(), 5);
        assert_eq!(taken(&places, "::ffff:10.0.0.1", 1).len(), 0, "it is the same address");
        let second = taken(&places, "fe80::1", 3);
        assert_eq!(taken(&places, "fe80::2", 3).len(), 2, "they share a network");
        let _third = taken(&places, "fe80:0:0:1::1", 2);
        assert_eq!((second.len(), taken(&places, "10.0.0.2", 9).len()), (3, 0), "all are taken");
        drop(first);
        assert_eq!(taken(&places, "10.0.0.1", 20).len(), 5);
    }
}
