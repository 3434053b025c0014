//! Whose turn it is: runs share the machine's cores, and most of them use all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// As many as the smallest machine has that the tests are made for.
const CORES: u32 = 2;

static STATE: Mutex<State> = Mutex::new(State { free: CORES, tickets: 0, served: 0 });
static CHANGED: Condvar = Condvar::new();

struct State {
    free: u32,
    /// Whoever comes draws the next, and is served in this order.
    tickets: u64,
    served: u64,
}

/// What a run takes of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nothing runs beside it.
    Whole,
    /// It computes in one thread, or waits as much as it computes.
    Half,
}

/// A share that was taken; given back when dropped.
#[derive(Debug)]
pub struct Turn(u32);

impl Turn {
    /// Waits for a share.
    pub fn wait(share: Share) -> Self {
        let cores = match share {
            Share::Whole => CORES,
            Share::Half => 1,
        };
        let mut state = lock();
        let own = state.tickets;
        state.tickets += 1;
        let must_wait = |state: &mut State| state.served != own || state.free < cores;
        let state = CHANGED.wait_while(state, must_wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.served += 1;
        state.free -= cores;
        // The next one may fit beside this one.
        CHANGED.notify_all();
        Self(cores)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock().free += self.0;
        CHANGED.notify_all();
    }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
