//! What the session asks of the trainer, for all ranks to agree on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A wish that the ranks agree on in the step in flight, and follow after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// Leave the generation.
    Pause,
    /// Store the state and end the run. Goes over a pause.
    Stop,
}

impl Request {
    /// As a number that a rank sends the others: 0 is none, and of several the largest counts.
    pub fn to_number(request: Option<Self>) -> f64 {
        match request {
            None => 0.0,
            Some(Self::Pause) => 1.0,
            Some(Self::Stop) => 2.0,
        }
    }

    /// From such a number.
    pub fn from_number(number: f64) -> Option<Self> {
        match number {
            number if number >= 2.0 => Some(Self::Stop),
            number if number >= 1.0 => Some(Self::Pause),
            _ => None,
        }
    }
}

/// Where the session leaves its wishes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicU8>);

impl Requests {
    /// Asks; a lesser wish than the one that is there changes nothing.
    pub fn ask(&self, request: Request) {
        self.0.fetch_max(Request::to_number(Some(request)) as u8, Ordering::Relaxed);
    }

    /// What was asked for.
    pub fn pending(&self) -> Option<Request> {
        Request::from_number(f64::from(self.0.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_wish_counts() {
        let requests = Requests::default();
        assert_eq!(requests.pending(), None);
        requests.ask(Request::Stop);
        requests.ask(Request::Pause);
        assert_eq!(requests.pending(), Some(Request::Stop));
        for request in [None, Some(Request::Pause), Some(Request::Stop)] {
            assert_eq!(Request::from_number(Request::to_number(request)), request);
        }
    }
}
