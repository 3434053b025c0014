//! Who takes part in the run, as a pure state machine: `(now, state, event) → (state', decisions)`.
//!
//! - `event`: what happens to it ([`Event`]) and what it decides ([`Decision`]), with `worker`, what workers say of
//!   themselves, and `generation`, what one begins with;
//! - `rules`: what it is decided by ([`Rules`]);
//! - `state`: slots, their holders, and how far the run's life has got ([`Membership`]);
//! - `admission`: who may join, and the probe of a slot's holder;
//! - `computing`: who computes what the run has been computed with so far;
//! - `placing`: the slot of a worker that asks for none;
//! - `forming`: how members leave a generation and the next one begins;
//! - `contacts`: who reaches whom, as far as it was tried; `crew`: who can compute together, then; `unreachable`: in words;
//! - `pausing`: generations that break without a step; `spares`: members that take no part;
//! - `machines`: which of its members share their cores;
//! - `losing`: members that are gone: by news, by silence, by failing to answer;
//! - `leaving`: members that are let go: drained, scaled away;
//! - `ending`: stops, failures, completion;
//! - `view`: what `status` shows of it.
//!
//! `cluster` feeds it and carries its decisions out. It never does I/O, never reads a clock (`now` is an argument,
//! counted from the coordinator's start) and is the only place that decides about members.

mod admission;
mod computing;
mod contacts;
mod crew;
mod ending;
mod event;
mod forming;
mod generation;
mod leaving;
mod losing;
mod machines;
#[cfg(test)]
mod model;
mod pausing;
mod placing;
mod rules;
mod spares;
mod state;
#[cfg(test)]
mod tests;
mod unreachable;
mod view;
mod worker;

pub use contacts::{Attempt, Peer};
pub use event::{Decision, Event, Loss, Outcome, SessionId};
pub use generation::{Begin, LocalPlace, Origin, Place};
pub use rules::{HardwareRule, Rules, Spawning, Timing};
pub use state::{Membership, Past};
pub use view::{MemberView, View};
pub use worker::{Held, Identity, Join, Reached, Report};
