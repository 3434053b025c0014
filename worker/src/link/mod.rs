//! The line to the coordinator: what comes down it, and what goes up.
//!
//! The session opens it and the trainer's threads talk over it, from outside the tokio runtime; each wait has a deadline
//! and ends with the generation. Nothing here knows what a sample, a key or a file is for, and nothing here decides who is
//! a member: that is the session's conversation.
//!
//! - `client`: the channel;
//! - `calls`: blocking calls over it within one generation, the rendezvous of its ranks among them;
//! - `sample_stream`: the samples that a rank consumes, as they come;
//! - `outbox`: what is to be stored, kept by every rank;
//! - `uplink`: the first rank's way of sending it.

mod calls;
mod client;
mod outbox;
mod sample_stream;
mod uplink;

pub use calls::Link;
pub use client::{Client, connect};
pub use outbox::{Outbox, Upload};
pub use sample_stream::{SampleRange, SampleStream, Shards};
pub use uplink::Uplink;
