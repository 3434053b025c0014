//! Tests of [`super`], with real MNIST where `CONCENTRIC_MNIST_DIR` names its folder.

use super::*;
use crate::idx;
use crate::published::KMNIST;
use crate::test_server::{Mirror, nobody, ok};

/// Real MNIST, or `None`, loudly.
fn real_mnist() -> Option<PathBuf> {
    let folder = std::env::var_os("CONCENTRIC_MNIST_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!(
            "SKIPPED: CONCENTRIC_MNIST_DIR is not set, so nothing was tested against real MNIST"
        );
    }
    folder
}

/// Options for an empty data folder and no mirror.
fn offline(data_dir: &Path) -> LoadOptions {
    LoadOptions {
        data_dir: data_dir.to_owned(),
        mirrors: Some(vec![nobody()]),
        train_samples: Some(20),
        test_samples: Some(10),
        ..LoadOptions::default()
    }
}

/// Writes five training and three test samples under the usual names.
fn write_small(folder: &Path, suffix: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let images = |count: usize| idx::encode_images(&vec![7; count * DataShape::MNIST.numbers()]);
    let labels = |count: u8| idx::encode_labels(&(0..count).collect::<Vec<_>>());
    for (part, bytes) in [
        (Part::TrainImages, images(5)),
        (Part::TrainLabels, labels(5)),
        (Part::TestImages, images(3)),
        (Part::TestLabels, labels(3)),
    ] {
        std::fs::write(folder.join(format!("{}{suffix}", part.file_name())), bytes).unwrap();
    }
}

#[test]
fn real_mnist_is_read() {
    let Some(folder) = real_mnist() else { return };
    let options = LoadOptions { mnist_dir: Some(folder), ..LoadOptions::default() };
    for source in [DatasetSource::Auto, DatasetSource::Published(&MNIST)] {
        let dataset = load(&source, &options).unwrap();
        assert_eq!((dataset.name.as_str(), dataset.synthetic), ("mnist", false));
        assert_eq!((dataset.train.len(), dataset.test.len()), (60_000, 10_000));
        assert_eq!(dataset.train.labels()[..8], [5, 0, 4, 1, 9, 2, 1, 3]);
        assert_eq!(
            dataset.test.class_counts(10),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        );
        let mut pixels = Vec::new();
        (0..60_000).for_each(|index| dataset.train.read_image(index, &mut pixels).unwrap());
        let sum: u64 = pixels.iter().map(|&pixel| u64::from(pixel)).sum();
        let mean = sum as f64 / pixels.len() as f64 / 255.0;
        assert!((mean - 0.130_66).abs() < 1e-5, "{mean}");
    }
}

#[test]
fn real_mnist_is_downloaded_once_and_checked() {
    let Some(real) = real_mnist() else { return };
    let mirror = Mirror::start(move |_, name| {
        ok(&std::fs::read(real.join(name)).expect("CONCENTRIC_MNIST_DIR holds the .gz files"))
    });
    let data = tempfile::tempdir().unwrap();
    let options =
        LoadOptions { mirrors: Some(vec![mirror.address.clone()]), ..offline(data.path()) };
    for _ in 0..2 {
        let dataset = load(&DatasetSource::Published(&MNIST), &options).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (20, 10));
        assert_eq!(mirror.requests(), 4);
    }
}

#[test]
fn what_cannot_be_had_is_an_error_unless_it_was_not_asked_for() {
    let data = tempfile::tempdir().unwrap();
    for published in [&MNIST, &KMNIST] {
        let outcome = load(&DatasetSource::Published(published), &offline(data.path()));
        assert!(matches!(outcome, Err(DatasetError::Download(_))));
    }
    let dataset = load(&DatasetSource::Auto, &offline(data.path())).unwrap();
    assert_eq!((dataset.name.as_str(), dataset.synthetic), ("synthetic", true));
    assert_eq!((dataset.train.len(), dataset.test.len()), (20, 10));
    assert_eq!(dataset, load(&DatasetSource::Synthetic, &offline(data.path())).unwrap());
}

#[test]
fn a_forged_file_is_never_used() {
    let forged = idx::encode_images(&[0; DataShape::MNIST.numbers()]);
    let mirror = Mirror::start(move |_, _| ok(&forged));
    let data = tempfile::tempdir().unwrap();
    let options = LoadOptions { mirrors: Some(vec![mirror.address]), ..offline(data.path()) };
    let message = load(&DatasetSource::Published(&MNIST), &options).unwrap_err().to_string();
    assert!(message.contains("checksum"), "{message}");
    assert_eq!(std::fs::read_dir(data.path().join("mnist")).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_an_error_even_for_auto() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("mnist");
    write_small(&folder, "");
    assert_eq!(load(&DatasetSource::Auto, &offline(data.path())).unwrap().name, "mnist");
    std::fs::write(folder.join(Part::TestLabels.file_name()), [0, 0, 8, 1, 0]).unwrap();
    let message = load(&DatasetSource::Auto, &offline(data.path())).unwrap_err().to_string();
    assert!(message.contains("t10k-labels-idx1-ubyte: is cut off"), "{message}");
}

#[test]
fn folders_and_files_are_read_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let check = |source: &str, test: usize| {
        let dataset = load(&source.parse().unwrap(), &LoadOptions::default()).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len(), dataset.synthetic), (5, test, false));
        assert_eq!(dataset.train.labels(), [0, 1, 2, 3, 4]);
    };
    write_small(folder.path(), "");
    let path = |part: Part| folder.path().join(part.file_name()).display().to_string();
    check(&folder.path().display().to_string(), 3);
    let train = format!("{},{}", path(Part::TrainImages), path(Part::TrainLabels));
    check(&train, 0);
    check(&format!("{train},{},{}", path(Part::TestImages), path(Part::TestLabels)), 3);
    // The `.gz` name with plain content, beside nothing else.
    let compressed = tempfile::tempdir().unwrap();
    write_small(compressed.path(), ".gz");
    check(&compressed.path().display().to_string(), 3);
}

#[test]
fn a_folder_without_a_file_says_which() {
    let folder = tempfile::tempdir().unwrap();
    write_small(folder.path(), "");
    std::fs::remove_file(folder.path().join(Part::TestImages.file_name())).unwrap();
    for source in [DatasetSource::Folder(folder.path().into()), DatasetSource::Published(&MNIST)] {
        let options =
            LoadOptions { mnist_dir: Some(folder.path().into()), ..LoadOptions::default() };
        let message = load(&source, &options).unwrap_err().to_string();
        assert!(message.contains("t10k-images-idx3-ubyte.gz"), "{message}");
    }
}

#[test]
fn what_lies_under_a_known_name_is_compared_with_what_was_published() {
    let data = tempfile::tempdir().unwrap();
    write_small(data.path(), "");
    let file = |part: Part| data.path().join(part.file_name());
    let identity = |set, part| known::identify(&file(part), PublishedFile { set, part }).unwrap();
    assert_eq!(identity(&MNIST, Part::TrainLabels), Identity::Unknown);
    assert_eq!(identity(&KMNIST, Part::TrainLabels), Identity::NotComparable);
    let Some(real) = real_mnist() else { return };
    for part in Part::ALL {
        let packed = real.join(format!("{}.gz", part.file_name()));
        std::fs::copy(packed, file(part)).unwrap();
        let found = Identity::Published(PublishedFile { set: &MNIST, part });
        assert_eq!((identity(&MNIST, part), identity(&KMNIST, part)), (found, found));
    }
    let mnist = LoadOptions { mnist_dir: Some(data.path().into()), ..LoadOptions::default() };
    load(&DatasetSource::Published(&MNIST), &mnist).unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::rename(data.path(), other.path().join("kmnist")).unwrap();
    let options = offline(other.path());
    let message = load(&DatasetSource::Published(&KMNIST), &options).unwrap_err().to_string();
    let words = "train-images-idx3-ubyte is train-images-idx3-ubyte of mnist, not \
                 train-images-idx3-ubyte of kmnist";
    assert!(message.contains(words) && message.contains("--dataset mnist"), "{message}");
}

#[test]
fn test_files_are_not_asked_for_where_there_is_no_test() {
    let folder = tempfile::tempdir().unwrap();
    write_small(folder.path(), "");
    let [images, labels] = [Part::TestImages, Part::TestLabels].map(|part| {
        let path = folder.path().join(part.file_name());
        std::fs::remove_file(&path).unwrap();
        path.display().to_string()
    });
    let options = LoadOptions {
        mnist_dir: Some(folder.path().into()),
        test_samples: Some(0),
        ..LoadOptions::default()
    };
    let path = |part: Part| folder.path().join(part.file_name()).display().to_string();
    let train = format!("{},{}", path(Part::TrainImages), path(Part::TrainLabels));
    for source in [
        DatasetSource::Folder(folder.path().into()),
        DatasetSource::Published(&MNIST),
        DatasetSource::Auto,
        format!("{train},{images},{labels}").parse().unwrap(),
    ] {
        let dataset = load(&source, &options).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (5, 0), "{source:?}");
        assert!(!dataset.synthetic);
    }
}

#[test]
fn counts_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) = (folder.path().join("i"), folder.path().join("l"));
    std::fs::write(&images, idx::encode_images(&[7; 2 * DataShape::MNIST.numbers()])).unwrap();
    std::fs::write(&labels, idx::encode_labels(&[1, 2, 3])).unwrap();
    let message = read_pair(&images, &labels).unwrap_err().to_string();
    assert!(message.contains("2 images") && message.contains("3 labels"), "{message}");
}
