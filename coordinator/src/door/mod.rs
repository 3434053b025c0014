//! Who may come in: TLS, the join token, and limits on those who are not known yet.
//!
//! - [`DoorSettings`]: what is asked of callers; [`Door`]: when it may stand open, and what checks each call;
//! - [`certs`]: `coordinator certs`, which makes certificates and a join token;
//! - [`tls`]: certificates, read again when they are replaced;
//! - [`entrance`]: takes connections, holds them to deadlines and bounds their number;
//! - [`arrivals`]: how often an address may begin a connection; [`pace`]: how that is counted;
//! - [`guests`]: everybody who is connected, and who makes way for others;
//! - [`places`]: how many there may be, in all and of one caller;
//! - [`connection`]: one connection, until it has shown that it may call.
//!
//! `service` serves what comes through. Nothing here knows what is called, or of which run.

pub mod arrivals;
pub mod certs;
pub mod connection;
pub mod entrance;
pub mod guests;
pub mod pace;
pub mod places;
mod settings;
pub mod tls;

pub use settings::{Door, DoorSettings, Guard, open};
