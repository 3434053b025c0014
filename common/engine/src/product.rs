//! Products of matrices, the engine's innermost loops.
//!
//! A number of a product is one running sum: it begins with zero, or where it was left, and takes the products of `k` in
//! the order of `k`, each by one fused multiply-add. A tile of rows and columns is summed at a time, in as many registers
//! as there are; which numbers share a tile is nobody's business but the clock's.

#![expect(
    clippy::needless_range_loop,
    reason = "rows and vectors of a tile are counted alike, whichever array they index"
)]

use std::ops::Range;

use super::memory::Stack;
use super::number::Number;
use super::vector::Vector;

/// Products that are added before the next columns' turn: the numbers of two columns' lines that these need stay in the
/// nearest cache. Whole lines.
const DEPTH: usize = 256;

/// How a sum begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// Begins with zero.
    New,
    /// Goes on where it was left.
    Continued,
    /// Begins with zero, and is added to the number that is there.
    Added,
}

/// `c[row, column] = Σ_k a[row, k] · b[k, column]` for rows and for columns of whole lines.
///
/// # Safety
/// The matrices have these rows, columns and depth; nobody else uses those of `c` meanwhile, or writes to the others. The
/// processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn product<V: Vector>(
    [a, b, c]: [Stack<'_, V::Number>; 3],
    rows: Range<usize>,
    columns: Range<usize>,
    depth: usize,
) {
    for start in (0..depth).step_by(DEPTH) {
        let sum = if start == 0 { Sum::New } else { Sum::Continued };
        let depth = DEPTH.min(depth - start);
        let factors = [a.from(0, start), b.from(start, 0), c];
        // SAFETY: the caller's promise.
        unsafe { panels::<V, Across>(factors, rows.clone(), columns.clone(), depth, sum) };
    }
}

/// `c[row, column] = Σ_k a[k, row] · b[k, column]`, or that added to `c`, for whole lines of rows and columns.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
pub(super) unsafe fn transposed_product<V: Vector>(
    factors: [Stack<'_, V::Number>; 3],
    rows: Range<usize>,
    columns: Range<usize>,
    depth: usize,
    sum: Sum,
) {
    // SAFETY: the caller's promise.
    unsafe { panels::<V, Down>(factors, rows, columns, depth, sum) };
}

/// Where the first factor's numbers of a tile lie.
trait Access {
    /// Whether a tile's rows are neighbours in memory, and not its products.
    const DOWN: bool;
}

/// Rows of a tile are rows of the factor.
struct Across;

/// Rows of a tile are columns of the factor, all in one line.
struct Down;

impl Access for Across {
    const DOWN: bool = false;
}

impl Access for Down {
    const DOWN: bool = true;
}

/// Two vectors of columns at a time, then what is left.
#[inline(always)]
unsafe fn panels<V: Vector, A: Access>(
    factors: [Stack<'_, V::Number>; 3],
    rows: Range<usize>,
    columns: Range<usize>,
    depth: usize,
    sum: Sum,
) {
    let mut column = columns.start;
    while column + 2 * V::LANES <= columns.end {
        // SAFETY: the caller's promise.
        unsafe { panel::<V, A, 2>(factors, rows.clone(), column, depth, sum) };
        column += 2 * V::LANES;
    }
    if column < columns.end {
        // SAFETY: as above; columns are whole lines, and a vector is a whole part of one.
        unsafe { panel::<V, A, 1>(factors, rows, column, depth, sum) };
    }
}

/// As many rows at a time as registers can sum.
#[inline(always)]
unsafe fn panel<V: Vector, A: Access, const W: usize>(
    factors: [Stack<'_, V::Number>; 3],
    rows: Range<usize>,
    column: usize,
    depth: usize,
    sum: Sum,
) {
    let mut row = rows.start;
    macro_rules! tiles {
        ($($height:literal)*) => {$(
            while rows.end - row >= $height {
                // SAFETY: the caller's promise.
                unsafe { tile::<V, A, $height, W>(factors, (row, column), depth, sum) };
                row += $height;
            }
        )*};
    }
    match (V::REGISTERS, A::DOWN) {
        (32.., false) => {
            tiles!(12 8 4 1);
        }
        (_, false) => {
            tiles!(6 4 1);
        }
        (32.., true) => {
            tiles!(8);
        }
        (_, true) => {
            tiles!(4);
        }
    }
}

/// `H` rows of `W` vectors.
#[inline(always)]
unsafe fn tile<V: Vector, A: Access, const H: usize, const W: usize>(
    [a, b, c]: [Stack<'_, V::Number>; 3],
    (row, column): (usize, usize),
    depth: usize,
    sum: Sum,
) {
    let line = V::Number::LINE;
    // Numbers of the first factor from one row of the tile, and from one product, to the next; products of a line of it.
    let (next_row, next_product, in_line) =
        if A::DOWN { (1, line, depth) } else { (line, 1, line) };
    let mut a_line = if A::DOWN { a.place(0, row) } else { a.place(row, 0) };
    let mut b_row: [_; W] = std::array::from_fn(|w| b.place(0, column + w * V::LANES));
    // SAFETY: all numbers below are those that the caller promised.
    unsafe {
        let mut sums = [[V::splat(V::Number::default()); W]; H];
        if sum == Sum::Continued {
            for h in 0..H {
                for w in 0..W {
                    sums[h][w] = V::load(c.place(row + h, column + w * V::LANES));
                }
            }
        }
        let mut left = depth;
        while left > 0 {
            let products = in_line.min(left);
            let mut factors = a_line;
            for _ in 0..products {
                let mut vectors = [V::splat(V::Number::default()); W];
                for w in 0..W {
                    vectors[w] = V::load(b_row[w]);
                    b_row[w] = b_row[w].wrapping_add(line);
                }
                for h in 0..H {
                    let factor = V::splat(*factors.add(h * next_row));
                    for w in 0..W {
                        sums[h][w] = factor.mul_add(vectors[w], sums[h][w]);
                    }
                }
                factors = factors.wrapping_add(next_product);
            }
            left -= products;
            a_line = a_line.wrapping_add(a.line);
        }
        for h in 0..H {
            for w in 0..W {
                let place = c.place(row + h, column + w * V::LANES);
                let mut total = sums[h][w];
                if sum == Sum::Added {
                    total = V::load(place).add(total);
                }
                total.store(place);
            }
        }
    }
}
