//! Tests of [`super`], with real MNIST where `CONCENTRIC_MNIST_DIR` names its folder.

use super::*;
use crate::formats::idx;
use crate::formats::test_files::{data as made, folder_of, folder_with};
use crate::known::{self, Identity, PublishedFile};
use crate::published::{FASHION_MNIST, KMNIST, QMNIST_FILES};
use crate::test_server::{Mirror, nobody, ok};
use common::data_shape::DataShape;

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
        std::fs::write(folder.join(format!("{}{suffix}", MNIST.file_name(part))), bytes).unwrap();
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
    std::fs::write(folder.join(MNIST.file_name(Part::TestLabels)), [0, 0, 8, 1, 0]).unwrap();
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
    let path = |part: Part| folder.path().join(MNIST.file_name(part)).display().to_string();
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
    std::fs::remove_file(folder.path().join(MNIST.file_name(Part::TestImages))).unwrap();
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
    let file = |part: Part| data.path().join(MNIST.file_name(part));
    let identity = |set, part| known::identify(&file(part), PublishedFile { set, part }).unwrap();
    assert_eq!(identity(&MNIST, Part::TrainLabels), Identity::Unknown);
    assert_eq!(identity(&KMNIST, Part::TrainLabels), Identity::NotComparable);
    let Some(real) = real_mnist() else { return };
    for part in Part::ALL {
        let packed = real.join(format!("{}.gz", MNIST.file_name(part)));
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
        let path = folder.path().join(MNIST.file_name(part));
        std::fs::remove_file(&path).unwrap();
        path.display().to_string()
    });
    let options = LoadOptions {
        mnist_dir: Some(folder.path().into()),
        test_samples: Some(0),
        ..LoadOptions::default()
    };
    let path = |part: Part| folder.path().join(MNIST.file_name(part)).display().to_string();
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
    let message = read_pair(&images, &labels, &Reading::default()).unwrap_err().to_string();
    assert!(message.contains("2 images") && message.contains("3 labels"), "{message}");
}

#[test]
fn known_names_have_their_classes() {
    let data = tempfile::tempdir().unwrap();
    for (set, last) in [(&MNIST, "9"), (&KMNIST, "wo"), (&FASHION_MNIST, "Ankle boot")] {
        write_small(&data.path().join(set.name), "");
        let dataset = load(&DatasetSource::Published(set), &offline(data.path())).unwrap();
        assert_eq!((&dataset.class_names[9][..], dataset.shape), (last, DataShape::MNIST));
    }
}

#[test]
fn qmnist_is_read_under_its_own_names() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("qmnist");
    std::fs::create_dir(&folder).unwrap();
    let parts = ["grey.idx3", "qmnist-labels.idx2", "grey.idx3", "qmnist-labels.idx2"];
    for (from, name) in parts.into_iter().zip(QMNIST_FILES) {
        std::fs::copy(made(from), folder.join(name)).unwrap();
    }
    for source in ["qmnist".to_owned(), folder.display().to_string()] {
        let dataset = load(&source.parse().unwrap(), &offline(data.path())).unwrap();
        assert_eq!((dataset.train.labels(), dataset.test.len()), (&[2, 0, 1][..], 3));
        assert_eq!(dataset.shape.classes, if source == "qmnist" { 10 } else { 3 });
    }
}

#[test]
fn a_folder_may_name_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    write_small(folder.path(), "");
    let source = DatasetSource::Folder(folder.path().into());
    let names = |text: &str| {
        std::fs::write(folder.path().join("class_names.txt"), text).unwrap();
        load(&source, &LoadOptions::default())
    };
    assert_eq!(names("a\nb\nc\nd\ne\n").unwrap().class_names.join(""), "abcde");
    let message = names("a\nb\n").unwrap_err().to_string();
    assert!(
        message.contains("class_names.txt names 2 classes, but the labels go up to 4"),
        "{message}"
    );
}

#[test]
fn small_digits_are_read_whatever_their_file() {
    let pixels: Vec<u8> = (0..5 * 64).map(|index| (index % 17) as u8).collect();
    let labels = [0, 1, 2, 3, 4];
    let idx = (idx::encode(&[5, 8, 8], &pixels), idx::encode(&[5], &labels));
    let rows = (
        crate::formats::npy::encode(&[5, 64], &pixels),
        crate::formats::npy::encode(&[5], &labels),
    );
    let mut sets = Vec::new();
    for (images, labels) in [idx, rows] {
        let folder = folder_with(&[("i", &images), ("l", &labels)]);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let source = format!("{},{}", path("i"), path("l")).parse().unwrap();
        let options =
            LoadOptions { image_size: ImageSize::new(8, 8).ok(), ..LoadOptions::default() };
        sets.push(load(&source, &options).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    for (label, pixels) in pixels.chunks(64).enumerate() {
        let class = folder.path().join(label.to_string());
        std::fs::create_dir(&class).unwrap();
        let grey = image::ExtendedColorType::L8;
        image::save_buffer(class.join("x.png"), pixels, 8, 8, grey).unwrap();
    }
    let source = DatasetSource::Folder(folder.path().to_owned());
    // The second time they come out of the file of decoded images.
    for _ in 0..2 {
        sets.push(load(&source, &LoadOptions::default()).unwrap());
    }
    let shape = DataShape { channels: 1, height: 8, width: 8, classes: 5 };
    for set in &sets {
        assert_eq!(
            (set.shape, &set.class_names, &set.train),
            (shape, &sets[0].class_names, &sets[0].train)
        );
    }
}

#[test]
fn archives_are_read_by_name_and_by_path() {
    let data = tempfile::tempdir().unwrap();
    for (from, folder) in [
        ("gzip.zip", "emnist"),
        ("cifar-10-binary.tar.gz", "cifar-10"),
        ("cifar-100-binary.tar.gz", "cifar-100"),
    ] {
        std::fs::create_dir(data.path().join(folder)).unwrap();
        std::fs::copy(made(from), data.path().join(folder).join(from)).unwrap();
    }
    let path = |below: &str| data.path().join(below).display().to_string();
    let check = |source: &str, name: &str, samples: (usize, usize), last_class: &str| {
        let dataset = load(&source.parse().unwrap(), &offline(data.path())).unwrap();
        assert_eq!(
            (&dataset.name[..], dataset.train.len(), dataset.test.len()),
            (name, samples.0, samples.1)
        );
        assert_eq!(dataset.class_names.last().unwrap(), last_class, "{source}");
    };
    check("emnist-letters", "emnist-letters", (3, 2), "Z/z");
    check("emnist-digits", "emnist-digits", (3, 2), "9");
    check(&format!("emnist-letters:{}", path("emnist/gzip.zip")), "emnist-letters", (3, 2), "Z/z");
    check("cifar-10", "cifar-10", (10, 1), "truck");
    check("cifar-100", "cifar-100", (2, 1), "worm");
    check(&path("cifar-100"), "cifar-100", (2, 1), "worm");
    check(&path("cifar-10/cifar-10-binary.tar.gz"), "cifar-10-binary", (10, 1), "truck");
    check(&made("mnist.npz").display().to_string(), "mnist", (3, 2), "2");
    let message = |source: &str| {
        load(&source.parse().unwrap(), &offline(data.path())).unwrap_err().to_string()
    };
    let several = message(&path("emnist"));
    assert!(several.contains("name one: --dataset emnist-digits:/"), "{several}");
    let absent = message(&format!("emnist-balanced:{}", path("emnist")));
    assert!(
        absent.contains("does not hold emnist-balanced, but emnist-digits, emnist-letters"),
        "{absent}"
    );
    // It is published with all of them.
    assert!(message("emnist-balanced").contains("cannot download gzip.zip"));
    let elsewhere = message(&format!("emnist-letters:{}", path("cifar-10")));
    assert!(elsewhere.contains("does not hold emnist-letters, but nothing"), "{elsewhere}");
}

#[test]
fn an_archive_is_downloaded_once_and_only_as_published() {
    let mirror = Mirror::start(|_, name| ok(&std::fs::read(made(name)).unwrap()));
    let data = tempfile::tempdir().unwrap();
    let options =
        LoadOptions { mirrors: Some(vec![mirror.address.clone()]), ..offline(data.path()) };
    for source in ["cifar-10", "emnist-letters"] {
        let message = load(&source.parse().unwrap(), &options).unwrap_err().to_string();
        assert!(message.contains("checksum"), "{message}");
    }
    assert_eq!(mirror.requests(), 2);
    assert!(!data.path().join("cifar-10/cifar-10-binary.tar.gz").exists());
}

#[test]
fn a_folder_of_something_else_is_told_what_was_looked_for() {
    let folder = folder_with(&[("notes.md", b"x"), ("photo.txt", b"y")]);
    let message = |path: &Path| {
        load(&DatasetSource::Folder(path.into()), &LoadOptions::default()).unwrap_err().to_string()
    };
    let other = message(folder.path());
    for words in ["there lie notes.md, photo.txt", "train-images-idx3-ubyte", "x_train.npy"] {
        assert!(other.contains(words), "{other}");
    }
    assert!(message(&folder.path().join("none")).contains("is not there; check the path"));
    assert!(message(&folder.path().join("notes.md")).contains("one file of another kind"));
    let parent = folder_with(&[]);
    std::fs::create_dir(parent.path().join("deeper")).unwrap();
    assert!(message(parent.path()).contains("there lie deeper/"));
    assert!(message(folder_with(&[]).path()).contains("there lie nothing"));
}

#[test]
fn any_numbers_of_channels_and_classes_reach_the_shape() {
    let folder = folder_of(&[("colour.idx4", "i"), ("labels.i2", "l")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let source = format!("{},{}", path("i"), path("l")).parse().unwrap();
    let dataset = load(&source, &LoadOptions::default()).unwrap();
    let shape = DataShape { channels: 3, height: 4, width: 5, classes: 1000 };
    assert_eq!((dataset.shape, dataset.train.labels()), (shape, &[300, 0, 999][..]));
}
