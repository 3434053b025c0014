//! Sums over images that threads compute in any order.

use std::sync::Mutex;

/// Each image's sums, to be added in the order of the images.
pub struct PerImage {
    width: usize,
    sums: Mutex<Vec<f64>>,
}

impl PerImage {
    /// Of so many images, with `width` sums each.
    pub fn new(images: usize, width: usize) -> Self {
        Self { width, sums: Mutex::new(vec![0.0; images * width]) }
    }

    /// Keeps an image's sums.
    pub fn keep(&self, image: usize, sums: &[f64]) {
        let mut kept = self.sums.lock().expect("nobody panics while it keeps sums");
        kept[image * self.width..(image + 1) * self.width].copy_from_slice(sums);
    }

    /// The sums over all images.
    pub fn total(self) -> Vec<f64> {
        let kept = self.sums.into_inner().expect("nobody panics while it keeps sums");
        let mut total = vec![0.0; self.width];
        for sums in kept.chunks_exact(self.width.max(1)) {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keeping_changes_no_bit() {
        let numbers = [1e16, 1.0, -1e16];
        let total = |order: [usize; 3]| {
            let sums = PerImage::new(3, 1);
            order.into_iter().for_each(|image| sums.keep(image, &[numbers[image]]));
            sums.total()
        };
        assert_eq!(total([0, 1, 2]), [0.0]);
        assert_eq!(total([2, 0, 1]), [0.0]);
    }
}
