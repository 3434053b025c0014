//! Tests of [`super`], on files that `tests/data/make.py` wrote.

use super::*;
use crate::formats::test_files::{data, folder_of, folder_with, pixels};

const PAIRS: [&str; 4] = ["version1.npy", "labels-i8.npy", "version2.npy", "labels-column.npy"];

fn check(path: &Path, tests: usize, names: &ClassNames) {
    let found = find(path).unwrap().expect("holds arrays");
    let splits = read(&found, &Reading::default()).unwrap();
    let test = splits.test.unwrap();
    assert_eq!((splits.train.images.pixels, splits.train.labels), (pixels(60), vec![2, 0, 1]));
    assert_eq!((test.images.pixels, test.labels.len()), (pixels(20 * tests), tests));
    assert_eq!(&splits.names, names);
}

#[test]
fn arrays_are_found_under_the_names_that_people_use() {
    for names in NAMES {
        let files: Vec<(&str, String)> =
            PAIRS.into_iter().zip(names.map(|name| format!("{name}.npy"))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(from, to)| (*from, &to[..])).collect();
        check(folder_of(&files).path(), 3, &ClassNames::Numbered);
    }
    let keras = folder_of(&[("mnist.npz", "mnist.npz")]);
    check(&keras.path().join("mnist.npz"), 2, &ClassNames::Numbered);
    check(keras.path(), 2, &ClassNames::Numbered);
    let file = keras.path().join("classes.txt");
    std::fs::write(&file, "x\ny\nz").unwrap();
    let names = ["x", "y", "z"].map(str::to_owned).to_vec();
    check(keras.path(), 2, &ClassNames::Listed { file, names });
}

#[test]
fn kuzushiji_49_is_read_as_it_is_published() {
    let files = ["train-imgs", "train-labels", "test-imgs", "test-labels"];
    let files = files.map(|name| format!("k49-{name}.npz"));
    let mut files: Vec<(&str, &str)> = files.iter().map(|name| (&name[..], &name[..])).collect();
    files.push(("k49_classmap.csv", "k49_classmap.csv"));
    let folder = folder_of(&files);
    let file = folder.path().join("k49_classmap.csv");
    let names = ["a", "i", "iteration mark"].map(str::to_owned).to_vec();
    check(folder.path(), 2, &ClassNames::Listed { file, names });
}

#[test]
fn what_is_missing_is_named() {
    let folder = folder_of(&[("version1.npy", "x_train.npy"), ("labels-i8.npy", "y_train.npy")]);
    let found = find(folder.path()).unwrap().unwrap();
    let message = read(&found, &Reading::default()).unwrap_err().to_string();
    assert!(message.contains("holds no x_test.npy"), "{message}");
    let reading = Reading { test: false, ..Reading::default() };
    assert!(read(&found, &reading).unwrap().test.is_none());
    let reading = Reading::default();
    let message = read_pair(&data("mnist.npz"), &data("labels.u1"), &reading).unwrap_err();
    let words =
        "holds x_test.npy, x_train.npy, y_train.npy, y_test.npy, but not one array of images alone";
    assert!(message.to_string().contains(words), "{message}");
    assert!(find(folder_with(&[]).path()).unwrap().is_none());
}

#[test]
fn formats_may_be_mixed_and_are_told_by_content() {
    let reading = Reading::default();
    let files = folder_of(&[("k49-train-imgs.npz", "images.bin"), ("labels.i4", "labels.npy")]);
    let [images, labels] = ["images.bin", "labels.npy"].map(|name| files.path().join(name));
    let pair = read_pair(&images, &labels, &reading).unwrap();
    assert_eq!((pair.images.pixels, pair.labels), (pixels(60), vec![2, 0, 1]));
}

#[test]
fn an_array_of_an_archive_is_bounded() {
    let reading = Reading { limit: 59, ..Reading::default() };
    let message = read_pair(&data("k49-train-imgs.npz"), &data("labels.u1"), &reading).unwrap_err();
    assert!(message.to_string().contains("arr_0.npy in it: has, or claims"), "{message}");
}
