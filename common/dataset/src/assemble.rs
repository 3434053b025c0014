//! From what files hold to a data set: its shape, the names of its classes, the first so many samples.
//!
//! Called by [`super::load()`] with what a format has read.

use std::sync::Arc;

use common::data_shape::DataShape;

use super::error::DatasetError;
use super::formats::{ClassNames, Pair, Splits};
use super::load::LoadOptions;
use super::samples::{Dataset, Samples};

/// Checks that all belongs together, and cuts it to what is wanted.
pub fn assemble(
    name: String,
    splits: Splits,
    options: &LoadOptions,
) -> Result<Dataset, DatasetError> {
    let Splits { train, test, names } = splits;
    let size = train.images.size();
    if let Some(test) = test.as_ref().map(|test| test.images.size()).filter(|test| *test != size) {
        return Err(DatasetError::SizeMismatch { train: size, test });
    }
    let given = options.image_size.map(|size| (size.height(), size.width()));
    if let Some((height, width)) = given.filter(|given| *given != (size[1], size[2])) {
        return Err(DatasetError::OtherSize { found: size, height, width });
    }
    let labels = || train.labels.iter().chain(test.iter().flat_map(|test| &test.labels));
    let last = usize::from(labels().copied().max().unwrap_or_default());
    let class_names = named(&name, names, last)?;
    let [channels, height, width] = size;
    let classes = class_names.len();
    let shape = DataShape { channels, height, width, classes };
    let shape = shape.check().map_err(DatasetError::Shape)?;
    warn_of_empty_classes(&train, &class_names);
    let samples = |pair: Pair, wanted: Option<usize>| {
        let mut samples = Samples::new(pair.images.pixels, pair.labels);
        samples.truncate(wanted.unwrap_or(usize::MAX));
        samples
    };
    let train = samples(train, options.train_samples);
    let test = test.map(|pair| samples(pair, options.test_samples)).unwrap_or_default();
    Ok(Dataset { name, shape, class_names, train, test, synthetic: false })
}

/// A name for each class, where `last` is the highest label.
fn named(name: &str, names: ClassNames, last: usize) -> Result<Arc<[String]>, DatasetError> {
    match names {
        ClassNames::Numbered => Ok(numbered(last + 1)),
        ClassNames::Fixed(names) if last < names.len() => Ok(names.into()),
        ClassNames::Fixed(names) => Err(DatasetError::BeyondClasses {
            name: name.to_owned(),
            label: last,
            classes: names.len(),
        }),
        ClassNames::Listed { names, .. } if names.len() == last + 1 => Ok(names.into()),
        ClassNames::Listed { file, names } => {
            Err(DatasetError::NameCount { file, names: names.len(), classes: last + 1 })
        }
    }
}

/// The names of classes that have none: their numbers.
pub fn numbered(classes: usize) -> Arc<[String]> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// A class that nothing can be learned of is mostly a mistake, such as labels that are counted from 1.
fn warn_of_empty_classes(train: &Pair, names: &[String]) {
    let empty = empty_classes(&train.labels, names);
    if !empty.is_empty() {
        tracing::warn!(
            classes = empty.join(", "),
            "these classes have no samples to train on; where the labels are counted from 1, subtract 1 from each"
        );
    }
}

fn empty_classes(labels: &[u16], names: &[String]) -> Vec<String> {
    let mut is_there = vec![false; names.len()];
    labels.iter().for_each(|&label| is_there[usize::from(label)] = true);
    let absent = names.iter().zip(is_there).filter(|(_, is_there)| !is_there);
    absent.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use common::config::ImageSize;

    use super::*;
    use crate::formats::Images;

    fn pair(labels: &[u16], [channels, height, width]: [usize; 3]) -> Pair {
        let pixels = vec![5; labels.len() * channels * height * width];
        let images = Images { channels, height, width, pixels };
        Pair { images, labels: labels.to_vec() }
    }

    fn assembled(
        train: Pair,
        test: Option<Pair>,
        names: ClassNames,
    ) -> Result<Dataset, DatasetError> {
        let options = LoadOptions { train_samples: Some(2), ..LoadOptions::default() };
        assemble("a".to_owned(), Splits { train, test, names }, &options)
    }

    #[test]
    fn all_labels_say_how_many_classes_there_are() {
        let (train, test) = (pair(&[0, 1, 4], [3, 2, 5]), pair(&[6], [3, 2, 5]));
        let dataset = assembled(train, Some(test), ClassNames::Numbered).unwrap();
        let shape = DataShape { channels: 3, height: 2, width: 5, classes: 7 };
        assert_eq!((dataset.shape, dataset.class_names.len()), (shape, 7));
        assert_eq!((dataset.train.labels(), dataset.test.labels()), (&[0, 1][..], &[6][..]));
        let names = |count| ["x", "y", "z"][..count].iter().map(|&name| name.to_owned()).collect();
        assert_eq!(empty_classes(&[1, 1], &names(3) as &Vec<String>), ["x", "z"]);
        let fixed = assembled(pair(&[1], [1, 2, 2]), None, ClassNames::Fixed(names(3))).unwrap();
        assert_eq!((fixed.shape.classes, &fixed.class_names[2][..]), (3, "z"));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let small = [1, 2, 2];
        let names = |count: usize| (0..count).map(|name| name.to_string()).collect();
        let listed = |count| ClassNames::Listed { file: "n.txt".into(), names: names(count) };
        let check = |labels: &[u16], test: Option<Pair>, names: ClassNames, words: &str| {
            let message = assembled(pair(labels, small), test, names).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        };
        let other = pair(&[1], [3, 2, 2]);
        check(
            &[0, 1],
            Some(other),
            ClassNames::Numbered,
            "are 2×2×1 pixels, those to test on 2×2×3",
        );
        check(&[0, 3], None, listed(3), "n.txt names 3 classes, but the labels go up to 3");
        check(&[0, 3], None, listed(5), "n.txt names 5 classes, but the labels go up to 3");
        check(&[0, 3], None, ClassNames::Fixed(names(3)), "up to 3, but a has 3 classes");
        check(&[0, 0], None, ClassNames::Numbered, "1 classes to tell apart");
        let options =
            LoadOptions { image_size: ImageSize::new(4, 1).ok(), ..LoadOptions::default() };
        let splits =
            Splits { train: pair(&[0, 1], small), test: None, names: ClassNames::Numbered };
        let message = assemble("a".to_owned(), splits, &options).unwrap_err().to_string();
        assert!(message.contains("are 2×2×1 pixels, but --image-size says 4x1"), "{message}");
    }
}
