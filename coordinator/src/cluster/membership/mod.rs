//! Who takes part in the run, as a pure state machine: `(now, state, event) → (state', decisions)`.
//!
//! - `event`: what happens to it ([`Event`]) and what it decides ([`Decision`]);
//! - `rules`: what it is decided by ([`Rules`]);
//! - `state`: slots, their holders, and how far the run's life has got ([`Membership`]);
//! - `admission`: who may join, and the probe of a slot's holder;
//! - `placing`: the slot of a worker that asks for none;
//! - `forming`: how members leave a generation and the next one begins;
//! - `machines`: which of its members share their cores;
//! - `losing`: members that are gone: by news, by silence, by failing to answer;
//! - `leaving`: members that are let go: drained, scaled away;
//! - `ending`: stops, failures, completion;
//! - `view`: what `status` shows of it.
//!
//! `cluster` feeds it and carries its decisions out. It never does I/O, never reads a clock (`now` is an argument,
//! counted from the coordinator's start) and is the only place that decides about members.

mod admission;
mod ending;
mod event;
mod forming;
mod leaving;
mod losing;
mod machines;
#[cfg(test)]
mod model;
mod placing;
mod rules;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use event::{
    Begin, Decision, Event, Held, Identity, Join, LocalPlace, Loss, Origin, Outcome, Place,
    Reached, Report, SessionId,
};
pub use rules::{HardwareRule, Rules, Spawning, Timing};
pub use state::{Membership, Past};
pub use view::{MemberView, View};
