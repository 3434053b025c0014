//! The engine's own memory: stacks of matrices in lines, and the workspace that they are cut from.
//!
//! A matrix is cut into columns of one line's width, each of which lies in one piece: the numbers `(row, column)` of
//! columns 0 to 15 (in 32 bits) are the first `rows` lines, those of columns 16 to 31 the next. So the lines that a kernel
//! reads one after the other are neighbours, in whichever direction it goes, and the places of a tile's rows are constants
//! of the program.

use std::marker::PhantomData;

use super::number::{Line, Number};

/// How large a stack of matrices is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Matrices.
    pub points: usize,
    /// Of each matrix.
    pub rows: usize,
    /// Of each matrix, numbers.
    pub columns: usize,
}

impl Extent {
    /// Lines of a column: one that may be written to beyond the last row, and an odd number, so that neighbouring columns
    /// are held by different sets of a cache.
    fn column(self) -> usize {
        (self.rows + 1) | 1
    }

    /// Lines of a matrix: an odd number again.
    fn matrix<T: Number>(self) -> usize {
        (self.columns.div_ceil(T::LINE) * self.column()) | 1
    }

    /// Lines of the stack.
    pub(super) fn lines<T: Number>(self) -> usize {
        self.points * self.matrix::<T>()
    }

    /// A stack in memory that has room for it.
    pub(super) fn at<T: Number>(self, memory: Piece<'_>) -> Stack<'_, T> {
        assert!(self.lines::<T>() <= memory.lines, "{self:?} does not fit {} lines", memory.lines);
        Stack {
            start: memory.start.cast(),
            point: self.matrix::<T>() * T::LINE,
            line: self.column() * T::LINE,
            memory: PhantomData,
        }
    }

    /// A stack in memory that is read alone.
    pub(super) fn within<T: Number>(self, lines: &[Line]) -> Stack<'_, T> {
        let start = lines.as_ptr().cast_mut();
        self.at(Piece { start, lines: lines.len(), memory: PhantomData })
    }
}

/// Some lines of the engine's memory, all of whose bytes are numbers of some value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    start: *mut Line,
    lines: usize,
    memory: PhantomData<&'a mut [Line]>,
}

// SAFETY: it is a place; who may read and write there is the promise of those who do.
unsafe impl Send for Piece<'_> {}
// SAFETY: as above.
unsafe impl Sync for Piece<'_> {}

impl Piece<'_> {
    /// One of equal parts of it.
    pub(super) fn part(self, index: usize, parts: usize) -> Self {
        let lines = self.lines / parts;
        assert!(index < parts);
        // SAFETY: the part lies in the piece.
        Self { start: unsafe { self.start.add(index * lines) }, lines, ..self }
    }

    /// Where its first number is.
    pub(super) fn numbers<T: Number>(self) -> *mut T {
        self.start.cast()
    }
}

/// Lines that hold so many numbers.
pub(super) fn lines_of<T: Number>(numbers: usize) -> usize {
    numbers.div_ceil(T::LINE)
}

/// Matrices of equal size. A place, not an owner: several may be at the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack<'a, T> {
    start: *mut T,
    /// Numbers from one matrix to the next.
    pub point: usize,
    /// Numbers from one line of columns to the next.
    pub line: usize,
    memory: PhantomData<Piece<'a>>,
}

// SAFETY: as for `Piece`.
unsafe impl<T: Send> Send for Stack<'_, T> {}
// SAFETY: as for `Piece`.
unsafe impl<T: Sync> Sync for Stack<'_, T> {}

impl<T: Number> Stack<'_, T> {
    /// Where a number of the first matrix is.
    #[inline(always)]
    pub(super) fn place(&self, row: usize, column: usize) -> *mut T {
        let number = column / T::LINE * self.line + row * T::LINE + column % T::LINE;
        self.start.wrapping_add(number)
    }

    /// One of the matrices.
    #[inline(always)]
    pub(super) fn matrix(&self, point: usize) -> Self {
        Self { start: self.start(point), ..*self }
    }

    /// What is left of the matrices from a row and a column on. The column begins a line, or only these places are used.
    #[inline(always)]
    pub(super) fn from(&self, row: usize, column: usize) -> Self {
        Self { start: self.place(row, column), ..*self }
    }

    /// Where the first number of a matrix is.
    #[inline(always)]
    pub(super) fn start(&self, point: usize) -> *mut T {
        self.start.wrapping_add(point * self.point)
    }
}

/// Memory that kernels compute in. It grows to what the largest of them needs, and is used again by the next: keep one for
/// each shard that is computed at the same time. What it holds between two calls has no meaning.
#[derive(Debug, Default)]
pub struct Workspace {
    lines: Vec<Line>,
}

impl Workspace {
    /// Pieces of these many lines.
    pub(super) fn pieces<const N: usize>(&mut self, lines: [usize; N]) -> [Piece<'_>; N] {
        pieces(&mut self.lines, lines)
    }
}

/// Pieces of these many lines of memory that grows where it is too small.
pub(super) fn pieces<const N: usize>(memory: &mut Vec<Line>, lines: [usize; N]) -> [Piece<'_>; N] {
    let total = lines.iter().sum();
    if memory.len() < total {
        memory.resize(total, Line::ZERO);
    }
    let mut start = memory.as_mut_ptr();
    lines.map(|lines| {
        let piece = Piece { start, lines, memory: PhantomData };
        // SAFETY: the pieces lie one after the other in the memory, which has room for all.
        start = unsafe { start.add(lines) };
        piece
    })
}
