//! Images and labels in memory.
//!
//! Filled by [`super::load()`], served by the coordinator. What is here has been checked: as many labels as images,
//! each label a class.

use crate::architecture::{CLASSES, IMAGE_PIXELS};

/// What a run trains and tests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Name for logs and folders, e.g. `mnist`: lower-case letters, digits, `-` and `_`.
    pub name: String,
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
    /// Pixels `[n, 28, 28]`, row-major, 0 (paper) to 255 (ink).
    pub images: Vec<u8>,
    /// Classes `[n]`, each below 10.
    pub labels: Vec<u8>,
}

impl Samples {
    /// How many samples these are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels `[28, 28]` of one image, row-major.
    ///
    /// # Panics
    /// If `index` is not below [`Samples::len`].
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * IMAGE_PIXELS..(index + 1) * IMAGE_PIXELS]
    }

    /// Keeps the first `count` samples; all, where there are fewer.
    pub fn truncate(&mut self, count: usize) {
        self.images.truncate(count.saturating_mul(IMAGE_PIXELS));
        self.labels.truncate(count);
    }

    /// How many samples each class has.
    pub fn class_counts(&self) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
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
        let images = (0..3).flat_map(|value| [value; IMAGE_PIXELS]).collect();
        Samples { images, labels: vec![4, 0, 4] }
    }

    #[test]
    fn image_is_a_slice_of_its_own() {
        assert_eq!(three().image(2), [2; IMAGE_PIXELS]);
    }

    #[test]
    fn truncate_keeps_the_first() {
        for (count, left) in [(0, 0), (2, 2), (3, 3), (9, 3), (usize::MAX, 3)] {
            let mut samples = three();
            samples.truncate(count);
            assert_eq!((samples.len(), samples.images.len()), (left, left * IMAGE_PIXELS));
            assert_eq!(samples.labels, three().labels[..left]);
        }
    }

    #[test]
    fn counts_by_class() {
        assert_eq!(three().class_counts(), [1, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
    }
}
