//! Lets libtorch make each of its kernels while no other thread makes or runs one.
//!
//! libtorch makes a convolution's kernel when a shape is first met, and keeps it for the process. Where threads met shapes
//! for the first time together, 3 of 2,900 processes got other last bits from their first `backward` on (libtorch 2.11,
//! AVX-512; the same ones each time, from the same kernels by name); of 2,200 processes in which they waited for each
//! other, none did. A process that computes nothing but one such gradient did not show it, in 1,500 tries, so what happens
//! within libtorch is not known.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use tch::Tensor;

/// What tells one of libtorch's kernels from another: the operation, and sizes and kinds of its tensors.
type Key = (&'static str, Vec<i64>);

/// Those that there are. Of the process, as what libtorch keeps is.
static MADE: RwLock<BTreeSet<Key>> = RwLock::new(BTreeSet::new());

/// Runs `compute`, which calls `operation` of libtorch with these tensors: beside others of its kind where that has been
/// done before in this process, and alone the first time.
pub fn alone_at_first<R>(
    operation: &'static str,
    tensors: [&Tensor; 2],
    compute: impl FnOnce() -> R,
) -> R {
    let sizes = tensors.map(|tensor| [tensor.size(), vec![tensor.kind() as i64]].concat());
    let key = (operation, sizes.concat());
    {
        let made = MADE.read().unwrap_or_else(PoisonError::into_inner);
        if made.contains(&key) {
            return compute();
        }
    }
    let mut made = MADE.write().unwrap_or_else(PoisonError::into_inner);
    let result = compute();
    made.insert(key);
    result
}
