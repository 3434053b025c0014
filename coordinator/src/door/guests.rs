//! Everybody who is connected. Where no place is free for another, one who has not shown yet that it may call makes way,
//! so that nobody is kept out by connections that show nothing.
//!
//! `entrance` lets them in; `connection` learns that its place is wanted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::places::{NoPlace, Place, Places, network};

/// From being told to go to having gone: whoever waits for the place longer is turned away.
const MAKING_WAY: Duration = Duration::from_secs(1);

const UNKNOWN: u8 = 0;
const KNOWN: u8 = 1;
const DISMISSED: u8 = 2;

/// Who is at a connection's other end. Its calls carry it.
#[derive(Clone, Debug)]
pub struct Caller {
    address: IpAddr,
    /// It becomes known or is dismissed, never both.
    state: Arc<AtomicU8>,
}

/// All connections.
#[derive(Debug)]
pub struct Guests {
    places: Places,
    book: Arc<Mutex<Book>>,
}

/// Of those who are not known.
#[derive(Debug, Default)]
struct Book {
    arrived: u64,
    /// Of each network, by arrival.
    strangers: HashMap<IpAddr, BTreeMap<u64, Stranger>>,
}

#[derive(Debug)]
struct Stranger {
    caller: Caller,
    leave: CancellationToken,
    gone: CancellationToken,
}

/// A connection's stay.
#[derive(Debug)]
pub struct Visit {
    arrival: u64,
    caller: Caller,
    leave: CancellationToken,
    book: Arc<Mutex<Book>>,
    _place: Place,
    /// Dropped after the place.
    _gone: DropGuard,
}

impl Caller {
    fn new(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), state: Arc::default() }
    }

    /// Where it calls from.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// A call of its is permitted; false where its place is another's already.
    pub fn permit(&self) -> bool {
        self.become_one(KNOWN) || self.is_known()
    }

    /// Whether one was permitted.
    pub fn is_known(&self) -> bool {
        self.state.load(Ordering::Relaxed) == KNOWN
    }

    fn dismiss(&self) -> bool {
        self.become_one(DISMISSED)
    }

    fn become_one(&self, state: u8) -> bool {
        let (relaxed, unknown) = (Ordering::Relaxed, UNKNOWN);
        self.state.compare_exchange(unknown, state, relaxed, relaxed).is_ok()
    }
}

impl Guests {
    /// For so many.
    pub fn new(places: Places) -> Self {
        Self { places, book: Arc::default() }
    }

    /// Lets somebody in; nobody where all places that its address can have are those of callers who are known.
    pub async fn enter(&self, address: IpAddr) -> Option<Visit> {
        let place = match self.places.take(address) {
            Ok(place) => place,
            Err(reason) => {
                let of = (reason == NoPlace::ForItsAddress).then(|| network(address));
                let stranger = lock(&self.book).dismiss(of)?;
                stranger.leave.cancel();
                timeout(MAKING_WAY, stranger.gone.cancelled()).await.ok()?;
                self.places.take(address).ok()?
            }
        };
        let (caller, leave, gone) =
            (Caller::new(address), CancellationToken::new(), CancellationToken::new());
        let stranger =
            Stranger { caller: caller.clone(), leave: leave.clone(), gone: gone.clone() };
        let arrival = lock(&self.book).add(stranger);
        let book = Arc::clone(&self.book);
        Some(Visit { arrival, caller, leave, book, _place: place, _gone: gone.drop_guard() })
    }
}

impl Book {
    fn add(&mut self, stranger: Stranger) -> u64 {
        self.arrived += 1;
        let network = network(stranger.caller.address);
        self.strangers.entry(network).or_default().insert(self.arrived, stranger);
        self.arrived
    }

    /// Nothing where it is not there any more.
    fn remove(&mut self, network: IpAddr, arrival: u64) -> Option<Stranger> {
        let strangers = self.strangers.get_mut(&network)?;
        let removed = strangers.remove(&arrival);
        if strangers.is_empty() {
            self.strangers.remove(&network);
        }
        removed
    }

    /// Whoever has been unknown for longest, of this network or of the one with the most who are unknown: whoever has few
    /// is not made to go for the many of another.
    fn dismiss(&mut self, of: Option<IpAddr>) -> Option<Stranger> {
        loop {
            let network = of.or_else(|| {
                let rank = |strangers: &BTreeMap<u64, Stranger>| {
                    (strangers.len(), Reverse(strangers.keys().next().copied()))
                };
                self.strangers.iter().max_by_key(|(_, it)| rank(it)).map(|(network, _)| *network)
            })?;
            let oldest = *self.strangers.get(&network)?.keys().next()?;
            let stranger = self.remove(network, oldest)?;
            // Otherwise it has become known just now, and stays.
            if stranger.caller.dismiss() {
                return Some(stranger);
            }
        }
    }
}

impl Visit {
    /// Whose it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits until the place is wanted for another.
    pub fn over(&self) -> WaitForCancellationFutureOwned {
        self.leave.clone().cancelled_owned()
    }

    /// Its caller is known and will not have to make way.
    pub fn settle(&self) {
        lock(&self.book).remove(network(self.caller.address), self.arrival);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.settle();
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes, and goes when it is told to.
    async fn enter(guests: &Guests, address: &str) -> Option<Caller> {
        let visit = guests.enter(address.parse().unwrap()).await?;
        let caller = visit.caller().clone();
        tokio::spawn(async move { visit.over().await });
        Some(caller)
    }

    fn dismissed(callers: &[Caller]) -> Vec<usize> {
        let is_dismissed = |index: &usize| !callers[*index].clone().permit();
        (0..callers.len()).filter(is_dismissed).collect()
    }

    #[tokio::test]
    async fn the_oldest_stranger_of_who_has_most_makes_way_and_who_is_known_stays() {
        let guests = Guests::new(Places::of(6));
        let mut callers = Vec::new();
        for host in [1, 1, 2, 2, 1, 2] {
            callers.push(enter(&guests, &format!("10.0.0.{host}")).await.unwrap());
        }
        assert!(callers[0].permit());
        // All places are taken. 10.0.0.1 has two strangers, 10.0.0.2 three.
        callers.push(enter(&guests, "10.0.0.3").await.unwrap());
        assert_eq!(callers[2].state.load(Ordering::Relaxed), DISMISSED);
        // Now each of them has two, and this one the oldest.
        callers.push(enter(&guests, "10.0.0.2").await.unwrap());
        assert_eq!(callers[1].state.load(Ordering::Relaxed), DISMISSED);
        // With half of all places it can have one of its own only.
        callers.push(enter(&guests, "10.0.0.2").await.unwrap());
        assert_eq!(callers[3].state.load(Ordering::Relaxed), DISMISSED);
        // The others become known.
        assert_eq!(dismissed(&callers), [1, 2, 3]);
        assert!(enter(&guests, "10.0.0.2").await.is_none());
        assert!(enter(&guests, "10.0.0.4").await.is_none(), "nobody who is known makes way");
    }

    #[tokio::test]
    async fn places_are_given_back_once() {
        let guests = Guests::new(Places::of(4));
        let host = |number: u32| IpAddr::from([10, 0, 0, number as u8]);
        for _ in 0..3 {
            let mut visits = Vec::new();
            for number in 0..4 {
                visits.push(guests.enter(host(number)).await.unwrap());
            }
            visits.iter().for_each(|visit| assert!(visit.caller().permit()));
            assert!(guests.enter(host(9)).await.is_none());
            visits.pop();
            let visit = guests.enter(host(9)).await.unwrap();
            visit.settle();
            assert!(guests.enter(host(8)).await.is_none(), "nobody is left who could go");
        }
        assert!(lock(&guests.book).strangers.is_empty());
    }
}
