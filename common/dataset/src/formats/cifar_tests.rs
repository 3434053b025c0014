//! Tests of [`super`], on archives that `tests/data/make.py` wrote.

use super::*;
use crate::formats::cifar_records::read_records;
use crate::formats::test_files::{compress, data, folder_of, folder_with, pixels};

fn archive(variant: Variant) -> Found {
    find(&data(variant.archive())).unwrap().expect("holds CIFAR")
}

/// The archive unpacked by hand.
fn unpacked(variant: Variant, below: &str) -> tempfile::TempDir {
    let folder = folder_with(&[]);
    std::fs::create_dir_all(folder.path().join(below)).unwrap();
    each_member(&data(variant.archive()), |name, content| {
        let bytes = content.all(1 << 20)?;
        std::fs::write(folder.path().join(below).join(name), bytes).unwrap();
        Ok(true)
    })
    .unwrap();
    folder
}

fn read_all(found: &Found) -> Splits {
    read(found, &Reading::default()).unwrap()
}

#[test]
fn archives_and_folders_give_the_same() {
    for (variant, train, test, train_labels) in [
        (Variant::Ten, 10, vec![9], vec![1, 2, 2, 3, 3, 4, 4, 5, 5, 6]),
        (Variant::Hundred, 2, vec![3], vec![99, 7]),
    ] {
        assert_eq!(archive(variant), Found::Archive(variant, data(variant.archive())));
        let splits = read_all(&archive(variant));
        assert_eq!((splits.train.images.size(), splits.train.images.count()), ([3, 32, 32], train));
        // Each batch begins anew.
        assert_eq!(splits.train.images.pixels[..2 * PIXELS], pixels(2 * PIXELS));
        assert_eq!(splits.train.labels, train_labels);
        let found = splits.test.clone().unwrap();
        assert_eq!((found.images.pixels, found.labels), (pixels(PIXELS), test));
        for below in ["", variant.folder()] {
            let folder = unpacked(variant, below);
            let found = find(folder.path()).unwrap().unwrap();
            assert_eq!((found.variant(), read_all(&found)), (variant, splits.clone()));
        }
        let beside = folder_of(&[(variant.archive(), variant.archive())]);
        assert_eq!(read_all(&find(beside.path()).unwrap().unwrap()), splits);
    }
}

#[test]
fn without_a_test_its_file_is_not_asked_for() {
    let folder = unpacked(Variant::Hundred, "");
    std::fs::remove_file(folder.path().join("test.bin")).unwrap();
    let found = find(folder.path()).unwrap().unwrap();
    let message = read(&found, &Reading::default()).unwrap_err().to_string();
    assert!(message.contains("holds no test.bin"), "{message}");
    let reading = Reading { test: false, ..Reading::default() };
    assert!(read(&found, &reading).unwrap().test.is_none());
    assert!(read(&archive(Variant::Hundred), &reading).unwrap().test.is_none());
}

#[test]
fn records_are_checked() {
    let record = |labels: &[u8]| [labels, &vec![0; PIXELS]].concat();
    let check = |variant, bytes: &[u8], words: &str| {
        let message = read_records(bytes, variant, &Reading::default()).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    check(
        Variant::Ten,
        &record(&[10]),
        "label 0 (counted from 0) is 10, but this data set's run from 0 to 9",
    );
    check(
        Variant::Hundred,
        &[record(&[0, 5]), record(&[0, 100])].concat(),
        "label 1 (counted from 0) is 100",
    );
    check(
        Variant::Hundred,
        &record(&[1]),
        "3073 bytes, which are no whole number of records of 3074",
    );
    check(Variant::Ten, &record(&[1])[1..], "3072 bytes");
    check(Variant::Ten, b"", "holds no images");
    let limit = Reading { limit: 5000, ..Reading::default() };
    let bomb = compress(&vec![0; 3073 * 1000]);
    let problem = read_records(&bomb[..], Variant::Ten, &limit).unwrap_err();
    assert!(matches!(problem, Problem::TooLarge { limit: 5000 }));
    let message = read(&archive(Variant::Hundred), &limit).unwrap_err().to_string();
    assert!(message.contains("cifar-100-binary/train.bin in it: has, or claims"), "{message}");
}

#[test]
fn names_come_from_the_file_where_it_is_there() {
    let folder = unpacked(Variant::Ten, "");
    let names = |text: &str| {
        std::fs::write(folder.path().join("batches.meta.txt"), text).unwrap();
        read(&find(folder.path()).unwrap().unwrap(), &Reading::default())
    };
    let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let given = ten.map(str::to_owned).to_vec();
    assert_eq!(names(&format!("{}\n\n", ten.join("\n"))).unwrap().names, ClassNames::Fixed(given));
    let message = names("a\nb\n").unwrap_err().to_string();
    assert!(message.contains("batches.meta.txt: names 2 classes, but there are 10"), "{message}");
    let sorted = |names: &[&str]| names.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(sorted(&cifar_names::TEN) && sorted(&cifar_names::HUNDRED));
}

#[test]
fn damaged_archives_are_refused() {
    let bytes = std::fs::read(data(Variant::Ten.archive())).unwrap();
    let folder = folder_with(&[(Variant::Ten.archive(), &bytes[..bytes.len() / 2])]);
    let found = find(folder.path()).unwrap().unwrap();
    let message = read(&found, &Reading::default()).unwrap_err().to_string();
    assert!(message.contains("stream is damaged or cut off"), "{message}");
    assert!(find(&data("grey.idx3")).unwrap().is_none());
}
