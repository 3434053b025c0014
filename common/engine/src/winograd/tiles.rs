//! The transforms of tiles: from the images into the stacks of matrices and back.

use super::super::lowering::Rows;
use super::super::memory::Stack;
use super::super::number::Number;
use super::super::vector::Vector;
use super::Winograd;
use super::patch::{Buffer, Patch, Picture, copy};
use super::plane::in_two_dimensions;
use super::scheme::Scheme;

impl<S: Scheme<N, M, R>, const N: usize, const M: usize, const R: usize> Winograd<S, N, M, R> {
    /// An image of the input.
    #[inline(always)]
    fn input_picture<T: Number>(&self, start: *mut T, image: usize) -> Picture<T> {
        Picture {
            start: start.wrapping_add(image * self.shape.input_numbers()),
            height: self.shape.height,
            width: self.shape.width,
            channels: self.shape.inputs,
        }
    }

    /// An image of the output.
    #[inline(always)]
    fn output_picture<T: Number>(&self, start: *mut T, image: usize) -> Picture<T> {
        Picture {
            start: start.wrapping_add(image * self.shape.output_numbers()),
            height: self.shape.output_height(),
            width: self.shape.output_width(),
            channels: self.shape.outputs,
        }
    }

    /// The image that a tile sees, and where its patch begins.
    #[inline(always)]
    fn seen<T: Number>(&self, start: *mut T, tile: usize) -> (Picture<T>, (isize, isize)) {
        let (image, row, column) = self.place(tile);
        let padding = self.shape.padding as isize;
        (self.input_picture(start, image), (row as isize - padding, column as isize - padding))
    }

    /// The image that a tile is part of, and where its patch begins.
    #[inline(always)]
    fn made<T: Number>(&self, start: *mut T, tile: usize) -> (Picture<T>, (isize, isize)) {
        let (image, row, column) = self.place(tile);
        (self.output_picture(start, image), (row as isize, column as isize))
    }

    /// `Bᵀ·d·B` of each tile's inputs.
    #[inline(always)]
    pub(super) unsafe fn transform_inputs<V: Vector>(
        &self,
        input: *const V::Number,
        rows: Rows,
        to: Stack<'_, V::Number>,
    ) {
        let mut buffer = Buffer::new();
        for tile in rows.range {
            let (picture, corner) = self.seen(input.cast_mut(), tile);
            for channel in (0..picture.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(picture.channels - channel);
                let mut patch = picture.patch(corner, N, channel);
                // SAFETY: the patch is whole, or is made so; the place is one of the stack's.
                unsafe {
                    if lanes < V::LANES {
                        let whole = buffer.patch(&patch);
                        copy(&patch, &whole, lanes);
                        patch = whole;
                    }
                    input_tile::<V, S, N, M, R>(&patch, to.from(tile - rows.first, channel));
                }
            }
        }
    }

    /// `A·y·Aᵀ` of the gradients of each tile's outputs.
    #[inline(always)]
    pub(super) unsafe fn transform_gradients<V: Vector>(
        &self,
        gradient: *const V::Number,
        rows: Rows,
        to: Stack<'_, V::Number>,
    ) {
        let mut buffer = Buffer::new();
        for tile in rows.range {
            let (picture, corner) = self.made(gradient.cast_mut(), tile);
            for channel in (0..picture.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(picture.channels - channel);
                let mut patch = picture.patch(corner, M, channel);
                // SAFETY: as in `transform_inputs`.
                unsafe {
                    if lanes < V::LANES {
                        let whole = buffer.patch(&patch);
                        copy(&patch, &whole, lanes);
                        patch = whole;
                    }
                    gradient_tile::<V, S, N, M, R>(&patch, to.from(tile - rows.first, channel));
                }
            }
        }
    }

    /// `Aᵀ·m·A` of each tile's products, which are its outputs.
    #[inline(always)]
    pub(super) unsafe fn transform_outputs<V: Vector>(
        &self,
        from: Stack<'_, V::Number>,
        rows: Rows,
        output: *mut V::Number,
    ) {
        let mut buffer = Buffer::new();
        for tile in rows.range {
            let (picture, corner) = self.made(output, tile);
            for channel in (0..picture.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(picture.channels - channel);
                let patch = picture.patch(corner, M, channel);
                let from = from.from(tile - rows.first, channel);
                // SAFETY: as in `transform_inputs`; nobody else writes the tile's outputs.
                unsafe {
                    if lanes == V::LANES {
                        output_tile::<V, S, N, M, R>(from, &patch);
                    } else {
                        let whole = buffer.patch(&patch);
                        output_tile::<V, S, N, M, R>(from, &whole);
                        copy(&whole, &patch, lanes);
                    }
                }
            }
        }
    }

    /// Adds `B·v·Bᵀ` of each tile's products to the gradients of its inputs.
    #[inline(always)]
    pub(super) unsafe fn add_to_inputs<V: Vector>(
        &self,
        from: Stack<'_, V::Number>,
        rows: Rows,
        to_input: *mut V::Number,
    ) {
        let mut buffer = Buffer::new();
        for tile in rows.range {
            let (picture, corner) = self.seen(to_input, tile);
            for channel in (0..picture.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(picture.channels - channel);
                let patch = picture.patch(corner, N, channel);
                let from = from.from(tile - rows.first, channel);
                // SAFETY: as in `transform_inputs`; nobody else uses the image meanwhile.
                unsafe {
                    if lanes == V::LANES {
                        add_tile::<V, S, N, M, R>(from, &patch);
                    } else {
                        let whole = buffer.patch(&patch);
                        copy(&patch, &whole, lanes);
                        add_tile::<V, S, N, M, R>(from, &whole);
                        copy(&whole, &patch, lanes);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn input_tile<V, S, const N: usize, const M: usize, const R: usize>(
    patch: &Patch<V::Number>,
    to: Stack<'_, V::Number>,
) where
    V: Vector,
    S: Scheme<N, M, R>,
{
    // SAFETY: the caller's promise.
    unsafe {
        in_two_dimensions(
            V::splat(V::Number::default()),
            (&patch.columns, &(0..N)),
            #[inline(always)]
            |row, column| patch.load(row, column),
            #[inline(always)]
            |line| S::input(line),
            #[inline(always)]
            |row, column, point: V| point.store(to.start(row * N + column)),
        );
    }
}

#[inline(always)]
unsafe fn gradient_tile<V, S, const N: usize, const M: usize, const R: usize>(
    patch: &Patch<V::Number>,
    to: Stack<'_, V::Number>,
) where
    V: Vector,
    S: Scheme<N, M, R>,
{
    // SAFETY: the caller's promise.
    unsafe {
        in_two_dimensions(
            V::splat(V::Number::default()),
            (&patch.columns, &(0..N)),
            #[inline(always)]
            |row, column| patch.load(row, column),
            #[inline(always)]
            |line| S::output_adjoint(line),
            #[inline(always)]
            |row, column, point: V| point.store(to.start(row * N + column)),
        );
    }
}

#[inline(always)]
unsafe fn output_tile<V, S, const N: usize, const M: usize, const R: usize>(
    from: Stack<'_, V::Number>,
    patch: &Patch<V::Number>,
) where
    V: Vector,
    S: Scheme<N, M, R>,
{
    // SAFETY: the caller's promise.
    unsafe {
        in_two_dimensions(
            V::splat(V::Number::default()),
            (&(0..N), &patch.rows),
            #[inline(always)]
            |row, column| V::load(from.start(row * N + column)),
            #[inline(always)]
            |line| S::output(line),
            #[inline(always)]
            |row, column, number: V| {
                if patch.columns.contains(&column) {
                    number.store(patch.at(row, column));
                }
            },
        );
    }
}

#[inline(always)]
unsafe fn add_tile<V, S, const N: usize, const M: usize, const R: usize>(
    from: Stack<'_, V::Number>,
    patch: &Patch<V::Number>,
) where
    V: Vector,
    S: Scheme<N, M, R>,
{
    // SAFETY: the caller's promise.
    unsafe {
        in_two_dimensions(
            V::splat(V::Number::default()),
            (&(0..N), &patch.rows),
            #[inline(always)]
            |row, column| V::load(from.start(row * N + column)),
            #[inline(always)]
            |line| S::input_adjoint(line),
            #[inline(always)]
            |row, column, number: V| {
                if patch.columns.contains(&column) {
                    let place = patch.at(row, column);
                    V::load(place).add(number).store(place);
                }
            },
        );
    }
}
