//! The images that a pass reads: those of a slice, or what a function makes of something else when they are needed, which
//! saves writing and reading them.

use std::ops::Range;

use super::number::Number;

/// Images of a shard, one at a time.
pub trait Images<T>: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The numbers of an image, `[height, width, channels]`: those that are in memory, or `room`, filled with them. What it
    /// holds before is anything. Any thread may ask for an image, several may, and again.
    fn image<'a>(&'a self, index: usize, room: &'a mut [T]) -> &'a [T];
}

/// What is told each image that a pass has computed, with its index, while a cache still holds it; by any thread, and in any
/// order.
pub type Observer<'a, T> = &'a (dyn Fn(usize, &[T]) + Sync);

/// Tells nobody.
pub fn unobserved<T>(_: usize, _: &[T]) {}

/// Images that lie in memory, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a, T> {
    numbers: &'a [T],
    size: usize,
}

impl<'a, T> Stored<'a, T> {
    /// Images of `size` numbers each.
    ///
    /// # Panics
    /// The last one is not whole.
    pub fn new(numbers: &'a [T], size: usize) -> Self {
        assert!(
            numbers.len().is_multiple_of(size),
            "{} numbers are not images of {size}",
            numbers.len()
        );
        Self { numbers, size }
    }
}

impl<T: Number> Images<T> for Stored<'_, T> {
    fn count(&self) -> usize {
        self.numbers.len() / self.size
    }

    fn image<'a>(&'a self, index: usize, _: &'a mut [T]) -> &'a [T] {
        &self.numbers[index * self.size..(index + 1) * self.size]
    }
}

/// The image that a thread reads at the moment.
pub(super) struct Held<'a, T> {
    images: &'a dyn Images<T>,
    size: usize,
    room: *mut T,
    current: Option<usize>,
    start: *const T,
}

impl<'a, T: Number> Held<'a, T> {
    /// None yet, of images of `size` numbers.
    pub(super) fn new(images: &'a dyn Images<T>, size: usize, room: *mut T) -> Self {
        Self { images, size, room, current: None, start: std::ptr::null() }
    }

    /// Where the first image would be, if this one lay at its place in a row of all.
    ///
    /// # Safety
    /// The room has `size` numbers, which nobody else uses.
    pub(super) unsafe fn origin(&mut self, image: usize) -> *const T {
        if self.current != Some(image) {
            // SAFETY: the caller's promise.
            let room = unsafe { std::slice::from_raw_parts_mut(self.room, self.size) };
            let numbers = self.images.image(image, room);
            assert_eq!(numbers.len(), self.size, "numbers of image {image}");
            (self.current, self.start) = (Some(image), numbers.as_ptr());
        }
        self.start.wrapping_sub(image * self.size)
    }
}

/// The images that rows are part of, with their rows.
pub(super) fn by_image(
    rows: Range<usize>,
    of_image: usize,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    (rows.start / of_image..rows.end.div_ceil(of_image)).map(move |image| {
        let all = image * of_image..(image + 1) * of_image;
        (image, rows.start.max(all.start)..rows.end.min(all.end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_where_images_end() {
        let cut = |rows| by_image(rows, 4).collect::<Vec<_>>();
        assert_eq!(cut(2..9), [(0, 2..4), (1, 4..8), (2, 8..9)]);
        assert_eq!(cut(4..8), [(1, 4..8)]);
        assert!(cut(8..8).is_empty());
    }
}
