//! Images and labels of a run.
//!
//! Filled by [`super::load()`], served by the coordinator. What is here has been checked: as many labels as images,
//! each label a class.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
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

impl Dataset {
    /// What was found out about these samples when they were made, if it was and all of them are still here.
    pub fn facts(&self) -> Option<&Facts> {
        let (train, test) = (self.train.facts.as_ref()?, self.test.facts.as_ref()?);
        Arc::ptr_eq(train, test).then_some(train)
    }
}

/// What is known of training and test samples together, so that nobody has to read them all for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// SHA-256 of training images, training labels, test images, test labels, one after the other, labels as
    /// [`common::labels::to_bytes`] writes them; hexadecimal.
    pub sha256: String,
    /// Of the training images.
    pub measured: Measured,
}

/// Mean and deviation of pixels scaled to 0…1, a number for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Their mean.
    pub mean: Vec<f64>,
    /// Their standard deviation, 1 where all are alike.
    pub deviation: Vec<f64>,
}

/// Images and their labels.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Pixels `[n, height, width, channels]`, row-major, 0 (black) to 255.
    images: Images,
    /// Classes `[n]`.
    labels: Vec<u16>,
    /// Of the data set that they are a whole part of.
    facts: Option<Arc<Facts>>,
}

/// Where pixels are.
///
/// Those in a file are read when they are asked for, one image after the other: the system keeps what it has memory for,
/// and the program itself needs none. They are not mapped into memory: that is `unsafe`, as the file may be cut short by
/// somebody else meanwhile.
#[derive(Clone, Debug)]
enum Images {
    Memory(Vec<u8>),
    File {
        file: Arc<File>,
        /// Where the first image begins, bytes.
        start: u64,
        /// Of an image, bytes.
        size: usize,
    },
}

impl Default for Images {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Samples {
    /// Images of equal size, and as many labels.
    ///
    /// # Panics
    /// The bytes are not so many images of equal size.
    pub fn new(images: Vec<u8>, labels: Vec<u16>) -> Self {
        let count = labels.len();
        assert!(if count == 0 { images.is_empty() } else { images.len().is_multiple_of(count) });
        Self { images: Images::Memory(images), labels, facts: None }
    }

    /// Images of `size` bytes each that lie in a file one after the other, the first at `start`, and their labels. The
    /// file must hold them all.
    pub(crate) fn in_file(file: Arc<File>, start: u64, size: usize, labels: Vec<u16>) -> Self {
        Self { images: Images::File { file, start, size }, labels, facts: None }
    }

    /// With what is known of the data set that these are a whole part of.
    pub(crate) fn with_facts(self, facts: Arc<Facts>) -> Self {
        Self { facts: Some(facts), ..self }
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
    /// They cannot be read; `to` is as it was.
    ///
    /// # Panics
    /// `index` is not below [`Samples::len`].
    pub fn read_image(&self, index: usize, to: &mut Vec<u8>) -> io::Result<()> {
        assert!(index < self.len(), "there are {} samples, none has the index {index}", self.len());
        match &self.images {
            Images::Memory(pixels) => {
                let size = pixels.len() / self.len();
                to.extend_from_slice(&pixels[index * size..(index + 1) * size]);
                Ok(())
            }
            Images::File { file, start, size } => {
                let before = to.len();
                to.resize(before + size, 0);
                let read = file.read_exact_at(&mut to[before..], start + (index * size) as u64);
                read.inspect_err(|_| to.truncate(before))
            }
        }
    }

    /// Keeps the first `count` samples; all, where there are fewer.
    pub fn truncate(&mut self, count: usize) {
        if count < self.len() {
            if let Images::Memory(pixels) = &mut self.images {
                pixels.truncate(pixels.len() / self.labels.len() * count);
                // They may have been a small part of a large file.
                pixels.shrink_to_fit();
            }
            self.labels.truncate(count);
            self.labels.shrink_to_fit();
            self.facts = None;
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

/// The same pixels and labels, wherever the pixels are; what cannot be read is equal to nothing.
impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        let image = |samples: &Self, index| {
            let mut image = Vec::new();
            samples.read_image(index, &mut image).ok().map(|()| image)
        };
        let same = |index| image(self, index).is_some_and(|it| Some(it) == image(other, index));
        self.labels == other.labels && (0..self.len()).all(same)
    }
}

impl Eq for Samples {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn three() -> Samples {
        Samples::new((0..3).flat_map(|value| [value; 6]).collect(), vec![4, 0, 4])
    }

    /// The same in a file, after five other bytes.
    fn three_in_file() -> Samples {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[77; 5]).unwrap();
        (0..3).for_each(|value| file.write_all(&[value; 6]).unwrap());
        Samples::in_file(Arc::new(file), 5, 6, vec![4, 0, 4])
    }

    #[test]
    fn image_is_a_slice_of_its_own() {
        for samples in [three(), three_in_file()] {
            let mut image = vec![9];
            samples.read_image(2, &mut image).unwrap();
            assert_eq!(image, [9, 2, 2, 2, 2, 2, 2]);
        }
    }

    #[test]
    fn truncate_keeps_the_first() {
        for whole in [three(), three_in_file()] {
            for (count, left) in [(0, 0), (2, 2), (3, 3), (9, 3), (usize::MAX, 3)] {
                let mut samples = whole.clone();
                samples.truncate(count);
                let labels = whole.labels[..left].to_vec();
                let images = (0..left as u8).flat_map(|value| [value; 6]).collect();
                assert_eq!((samples.len(), &samples), (left, &Samples::new(images, labels)));
            }
        }
        let mut samples = three();
        samples.truncate(2);
        assert!(matches!(samples.images, Images::Memory(pixels) if pixels.len() == 12));
    }

    #[test]
    fn equal_are_the_same_pixels_and_labels() {
        assert_eq!(three(), three_in_file());
        let images: Vec<u8> = (0..3).flat_map(|value| [value; 6]).collect();
        assert_ne!(Samples::new(images.clone(), vec![4, 0, 3]), three_in_file());
        let other = images.iter().map(|pixel| pixel + 1).collect();
        assert_ne!(Samples::new(other, vec![4, 0, 4]), three_in_file());
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let samples = three_in_file();
        let Images::File { file, .. } = &samples.images else { panic!("it is in a file") };
        file.set_len(20).unwrap();
        let mut image = vec![9];
        samples.read_image(1, &mut image).unwrap();
        assert_eq!(
            samples.read_image(2, &mut image).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(image, [9, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn facts_are_of_all_samples() {
        let measured = Measured { mean: vec![0.5], deviation: vec![1.0] };
        let facts = Arc::new(Facts { sha256: "ab".to_owned(), measured });
        let whole = |samples: Samples| samples.with_facts(facts.clone());
        let mut dataset = Dataset {
            name: "x".to_owned(),
            shape: DataShape { channels: 1, height: 2, width: 3, classes: 5 },
            class_names: (0..5).map(|class| class.to_string()).collect(),
            train: whole(three()),
            test: whole(Samples::default()),
            synthetic: false,
        };
        dataset.train.truncate(3);
        assert_eq!(dataset.facts(), Some(&*facts));
        dataset.train.truncate(2);
        assert_eq!(dataset.facts(), None);
        dataset.train = three();
        assert_eq!(dataset.facts(), None);
    }

    #[test]
    fn counts_by_class() {
        assert_eq!(three().class_counts(5), [1, 0, 0, 0, 2]);
    }
}
