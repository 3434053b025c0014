//! A transform in two dimensions out of one in one dimension.

#![expect(
    clippy::needless_range_loop,
    reason = "rows and columns are counted alike; iterators over arrays of vectors leave registers"
)]

use std::mem::MaybeUninit;
use std::ops::Range;

/// Transforms all columns of `A × A` numbers, then all rows of the result, which becomes `B × B`: columns beyond `columns`
/// are zeros, as is what becomes of them, and rows beyond `rows` are not wanted. `load` and `store` take row and column.
///
/// All three are closures that are always inlined. A function's name in their place is compiled without the instructions of
/// the vectors, and called: that takes five times as long.
#[inline(always)]
pub(super) fn in_two_dimensions<V: Copy, const A: usize, const B: usize>(
    zero: V,
    (columns, rows): (&Range<usize>, &Range<usize>),
    load: impl Fn(usize, usize) -> V,
    transform: impl Fn([V; A]) -> [V; B],
    mut store: impl FnMut(usize, usize, V),
) {
    // Not filled before: setting it to zero took longer than some of the transforms.
    let mut half = [[MaybeUninit::uninit(); A]; B];
    for column in 0..A {
        let line = if columns.contains(&column) {
            let mut line = [zero; A];
            for row in 0..A {
                line[row] = load(row, column);
            }
            transform(line)
        } else {
            [zero; B]
        };
        for row in 0..B {
            half[row][column].write(line[row]);
        }
    }
    for row in 0..B {
        if rows.contains(&row) {
            let mut line = [zero; A];
            for column in 0..A {
                // SAFETY: every column was written, in all its rows.
                line[column] = unsafe { half[row][column].assume_init() };
            }
            let line = transform(line);
            for column in 0..B {
                store(row, column, line[column]);
            }
        }
    }
}
