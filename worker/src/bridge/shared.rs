//! Tensors that several threads read at once. Used for the parameters while logical shards run side by side.

/// A value whose tensors are only read while it is shared.
#[derive(Debug)]
pub struct Shared<T>(T);

// SAFETY: `tch::Tensor` is a reference-counted handle whose counter is atomic, and libtorch allows concurrent calls
// that only read the same tensor; what forbids `Sync` on `Tensor` is that its in-place methods could be reached
// through a shared handle. A `Shared` is made for one parallel region by the trainer thread, which writes to none of
// its tensors before the region has ended, and the closures of a region call only functions that read.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares `value` for reading.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, to be changed: it is not shared meanwhile.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// The value, to be read only.
    pub fn get(&self) -> &T {
        &self.0
    }
}
