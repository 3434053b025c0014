//! Rows of numbers from and to memory, in vectors as far as they go.

use super::lowering::Rows;
use super::memory::Stack;
use super::number::Number;
use super::vector::Vector;

/// Copies rows of `count` numbers, and zeros up to a whole line.
///
/// # Safety
/// The rows are those of both; the processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn copy_rows<V: Vector>(
    from: *const V::Number,
    count: usize,
    rows: Rows,
    to: Stack<'_, V::Number>,
) {
    let line = V::Number::LINE;
    for row in rows.range {
        for column in (0..count).step_by(line) {
            // SAFETY: the caller's promise.
            unsafe {
                let (from, to) =
                    (from.add(row * count + column), to.place(row - rows.first, column));
                if count - column < line {
                    to.write_bytes(0, line);
                }
                copy::<V>(from, to, line.min(count - column));
            }
        }
    }
}

/// Copies numbers, and what follows them up to a whole vector.
///
/// # Safety
/// They are there, and can be written; the processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn copy_vectors<V: Vector>(
    from: *const V::Number,
    to: *mut V::Number,
    count: usize,
) {
    for i in (0..count).step_by(V::LANES) {
        // SAFETY: the caller's promise.
        unsafe { V::load(from.add(i)).store(to.add(i)) };
    }
}

/// Copies numbers.
///
/// # Safety
/// As for [`copy_vectors`].
#[inline(always)]
pub(super) unsafe fn copy<V: Vector>(from: *const V::Number, to: *mut V::Number, count: usize) {
    let whole = count - count % V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        for i in (0..whole).step_by(V::LANES) {
            V::load(from.add(i)).store(to.add(i));
        }
        for i in whole..count {
            *to.add(i) = *from.add(i);
        }
    }
}

/// Adds numbers to others.
///
/// # Safety
/// As for [`copy_vectors`].
#[inline(always)]
pub(super) unsafe fn add<V: Vector>(from: *const V::Number, to: *mut V::Number, count: usize) {
    let whole = count - count % V::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        for i in (0..whole).step_by(V::LANES) {
            V::load(to.add(i)).add(V::load(from.add(i))).store(to.add(i));
        }
        for i in whole..count {
            *to.add(i) = *to.add(i) + *from.add(i);
        }
    }
}
