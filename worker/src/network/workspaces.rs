//! Memory that kernels compute in, lent to whoever computes: there is as much of it as is needed at the same time, and what
//! one has just used is still in a cache for the next.

use std::sync::{Mutex, PoisonError};

use engine::Workspace;

/// Workspaces that nobody uses at the moment.
#[derive(Debug, Default)]
pub struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// One of them, or a new one.
    pub fn lend(&self) -> Lent<'_> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { workspace: idle.unwrap_or_default(), of: self }
    }
}

/// A workspace that goes back when it is dropped.
#[derive(Debug)]
pub struct Lent<'a> {
    /// Its memory.
    pub workspace: Workspace,
    of: &'a Workspaces,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let workspace = std::mem::take(&mut self.workspace);
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_used_together() {
        let workspaces = Workspaces::default();
        drop((workspaces.lend(), workspaces.lend()));
        drop(workspaces.lend());
        assert_eq!(workspaces.0.lock().unwrap().len(), 2);
    }
}
