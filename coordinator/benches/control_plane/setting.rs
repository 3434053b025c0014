//! What one measurement is made with: `main` says it, `program` and `measure` keep to it.

use std::path::Path;

/// What to measure with.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'p> {
    /// Folder of the programs.
    pub programs: &'p Path,
    /// Simulated workers.
    pub workers: u32,
    /// Connections that they share.
    pub connections: u32,
    /// Behind TLS, with certificates on both sides, and a join token.
    pub tls: bool,
}
