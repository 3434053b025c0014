//! Numbers copied past the caches.

use super::instructions::{Instructions, Task};
use super::number::Number;
use super::vector::Vector;

impl Instructions {
    /// Copies numbers past the processor's caches, where it can: for much that is not read soon. It costs no reading of what was
    /// there, which a cache does before it is written.
    ///
    /// # Panics
    /// If they are not as many.
    pub fn stream<T: Number>(self, from: &[T], to: &mut [T]) {
        assert_eq!(from.len(), to.len(), "numbers are copied to as many");
        let task = Stream { from, to: to.as_mut_ptr() };
        // SAFETY: nothing else uses `to` meanwhile.
        unsafe { self.run(&task, 0) };
    }
}

struct Stream<'a, T> {
    from: &'a [T],
    /// As many.
    to: *mut T,
}

// SAFETY: one part is all there is.
unsafe impl<T: Sync> Sync for Stream<'_, T> {}

impl<T: Number> Task<T> for Stream<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Vector<Number = T>>(&self, _: usize) {
        let Self { from, to } = *self;
        let count = from.len();
        let before = to.align_offset(size_of::<T>() * V::LANES).min(count);
        let whole = before + (count - before) / V::LANES * V::LANES;
        // SAFETY: there are as many numbers on both sides, and the places of vectors are aligned.
        unsafe {
            for i in (0..before).chain(whole..count) {
                to.add(i).write(from[i]);
            }
            for i in (before..whole).step_by(V::LANES) {
                V::load(from.as_ptr().add(i)).stream(to.add(i));
            }
        }
        V::end_stream();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_streamed_arrives() {
        let numbers: Vec<f32> = (0..4100).map(|number| number as f32).collect();
        for instructions in Instructions::available() {
            for (start, count) in [(0, 4096), (1, 4099), (16, 0), (3, 5), (17, 40)] {
                let mut to = vec![-1.0; numbers.len()];
                instructions.stream(&numbers[..count], &mut to[start..start + count]);
                assert_eq!(to[start..start + count], numbers[..count]);
                let others = to[..start].iter().chain(&to[start + count..]);
                assert!(others.copied().all(|number| number == -1.0));
                let mut to = vec![-1.0; numbers.len()];
                let long: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
                instructions.stream(&long[..count], &mut to[start..start + count]);
                assert_eq!(to[start..start + count], long[..count]);
            }
        }
    }
}
