//! Who computes: instructions, and threads that are the caller's.

use super::instructions::{Instructions, Task};
use super::number::Number;

/// Threads that work can be divided among. How many there are and which does what changes no bit.
pub trait Threads: Sync {
    /// How many can work at the same time, at least 1.
    fn count(&self) -> usize;

    /// Calls `work` once with each of `0..parts`, in any order and side by side, and returns after the last.
    fn each(&self, parts: usize, work: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug)]
pub struct OneThread;

impl Threads for OneThread {
    fn count(&self) -> usize {
        1
    }

    fn each(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(work);
    }
}

/// What computes a kernel.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    instructions: Instructions,
    threads: &'a dyn Threads,
}

impl<'a> Engine<'a> {
    /// Of instructions and threads.
    pub fn new(instructions: Instructions, threads: &'a dyn Threads) -> Self {
        Self { instructions, threads }
    }

    /// The calling thread, with the fastest instructions.
    pub fn alone() -> Engine<'static> {
        Engine::new(Instructions::detect(), &OneThread)
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.count().max(1)
    }

    /// Does all parts of a task.
    ///
    /// # Safety
    /// No two parts of it write to the same memory, or one writes what another reads.
    pub(super) unsafe fn run<T: Number, K: Task<T>>(&self, parts: usize, task: &K) {
        // SAFETY: the caller's promise.
        let part = |part| unsafe { self.instructions.run(task, part) };
        if parts == 1 {
            part(0);
        } else {
            self.threads.each(parts, &part);
        }
    }
}
