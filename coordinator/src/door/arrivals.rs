//! How often an address may begin a connection: a handshake costs the coordinator more than whoever asks for it.

use std::net::IpAddr;
use std::time::Instant;

use super::pace::{Buckets, Rate};
use super::places::network;

/// Connections a second from one address, on and on: some tenths of a core, for TLS with certificates on both sides.
const PER_SECOND: f64 = 256.0;

/// Counts connections.
#[derive(Debug)]
pub struct Arrivals {
    rate: Rate,
    since: Instant,
    buckets: Buckets<IpAddr>,
}

impl Arrivals {
    /// Where so many may come from one address at once, as all its workers do when a run begins.
    pub fn new(at_once: usize) -> Self {
        let rate = Rate { burst: at_once as f64, per_second: PER_SECOND };
        Self { rate, since: Instant::now(), buckets: Buckets::default() }
    }

    /// Whether another may come from an address; it is counted then.
    pub fn take(&mut self, address: IpAddr) -> bool {
        self.buckets.take(self.since.elapsed(), network(address), self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_connects_again_and_again_keeps_nobody_else_out() {
        let mut arrivals = Arrivals::new(1000);
        let mut come = |address: &str, count| {
            let address = address.parse().unwrap();
            (0..count).filter(|_| arrivals.take(address)).count()
        };
        let started = Instant::now();
        let come_in = come("10.0.0.1", 100_000);
        let refilled = (started.elapsed().as_secs_f64() * PER_SECOND) as usize;
        assert!((1000..=1001 + refilled).contains(&come_in), "{come_in}");
        assert_eq!(come("10.0.0.2", 500), 500);
    }
}
