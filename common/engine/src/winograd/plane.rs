//! A transform in two dimensions out of one in one dimension.

#![expect(
    clippy::needless_range_loop,
    reason = "rows and columns are counted alike; iterators over arrays of vectors leave registers"
)]

use std::ops::Range;

/// Transforms all columns of `A × A` numbers, then all rows of the result, which are `B × B`: columns beyond `columns` are
/// zeros, as is what becomes of them, and rows beyond `rows` are not wanted. `load` and `store` take row and column.
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
    let mut half = [[zero; A]; B];
    for column in 0..A {
        if columns.contains(&column) {
            let mut line = [zero; A];
            for row in 0..A {
                line[row] = load(row, column);
            }
            let line = transform(line);
            for row in 0..B {
                half[row][column] = line[row];
            }
        }
    }
    for row in 0..B {
        if rows.contains(&row) {
            let line = transform(half[row]);
            for column in 0..B {
                store(row, column, line[column]);
            }
        }
    }
}
