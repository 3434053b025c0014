//! How work is divided.

use std::ops::Range;

/// One of equal shares of `count` things, as far as they can be equal.
pub(super) fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    count * part / parts..count * (part + 1) / parts
}
