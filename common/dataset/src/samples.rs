//! Images and labels of a run.
//!
//! Filled by [`super::load()`], served by the coordinator. What is here has been checked: as many labels as images,
//! each label a class.

use std::io;
use std::sync::Arc;

use common::data_shape::DataShape;

/// What a run trains and tests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Name for logs and folders, e.g. `mnist`: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Of every image; how many classes there are.
    pub shape: DataShape,
    /// A name for each class.
    pub class_names: Arc<[String]>,
    /// Samples to train on, at least one.
    pub train: Samples,
    /// Samples to test on, none where there is no test set.
    pub test: Samples,
    /// Whether the digits were drawn by this program; whoever reports results must say so.
    pub synthetic: bool,
}

/// Images and their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Pixels `[n, height, width, channels]`, row-major, 0 (black) to 255.
    images: Vec<u8>,
    /// Classes `[n]`.
    labels: Vec<u16>,
}

impl Samples {
    /// Images of equal size, and as many labels.
    ///
    /// # Panics
    /// The bytes are not so many images of equal size.
    pub fn new(images: Vec<u8>, labels: Vec<u16>) -> Self {
        let count = labels.len();
        assert!(if count == 0 { images.is_empty() } else { images.len().is_multiple_of(count) });
        Self { images, labels }
    }

    /// How many samples these are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Each sample's class.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Appends the pixels of one image, `[height, width, channels]`, to `to`.
    ///
    /// # Errors
    /// They cannot be read.
    ///
    /// # Panics
    /// `index` is not below [`Samples::len`].
    pub fn read_image(&self, index: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let size = self.images.len() / self.len();
        to.extend_from_slice(&self.images[index * size..(index + 1) * size]);
        Ok(())
    }

    /// Keeps the first `count` samples; all, where there are fewer.
    pub fn truncate(&mut self, count: usize) {
        if count < self.len() {
            self.images.truncate(self.images.len() / self.len() * count);
            self.labels.truncate(count);
            // They may have been a small part of a large file.
            self.images.shrink_to_fit();
            self.labels.shrink_to_fit();
        }
    }

    /// How many samples each of so many classes has.
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Samples {
        Samples::new((0..3).flat_map(|value| [value; 6]).collect(), vec![4, 0, 4])
    }

    #[test]
    fn image_is_a_slice_of_its_own() {
        let mut image = vec![9];
        three().read_image(2, &mut image).unwrap();
        assert_eq!(image, [9, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn truncate_keeps_the_first() {
        for (count, left) in [(0, 0), (2, 2), (3, 3), (9, 3), (usize::MAX, 3)] {
            let mut samples = three();
            samples.truncate(count);
            assert_eq!((samples.len(), samples.images.len()), (left, left * 6));
            assert_eq!(samples.labels, three().labels[..left]);
        }
    }

    #[test]
    fn counts_by_class() {
        assert_eq!(three().class_counts(5), [1, 0, 0, 0, 2]);
    }
}
