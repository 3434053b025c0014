//! How a coordinator is reached behind TLS and a join token; used by workers and by the coordinator's commands.
//!
//! - [`Access`]: the flags, and how they become a connection;
//! - [`token`]: the join token;
//! - [`AccessError`]: what is wrong with either;
//! - `buffered`: what lies below TLS.
//!
//! Nothing here knows what is said over the connection.

mod buffered;
mod connect;
mod error;
pub mod token;

pub use connect::{Access, Key, Line};
pub use error::AccessError;
pub use token::JoinToken;
