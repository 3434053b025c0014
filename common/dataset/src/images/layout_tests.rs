//! Tests of [`super`], with files that nobody looks into.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A folder of empty files.
fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    root
}

fn listed(root: &TempDir, options: &ImageOptions) -> Listing {
    list(root.path(), options).unwrap()
}

fn refused(root: &TempDir) -> String {
    let error = list(root.path(), &ImageOptions::default()).unwrap_err();
    common::causes::in_words(&error)
}

fn paths(sources: &[Source]) -> Vec<(&str, u16)> {
    sources.iter().map(|source| (source.relative.to_str().unwrap(), source.label)).collect()
}

#[test]
fn classes_alone_in_the_order_of_torchvision() {
    // sorted(os.walk(class)): a folder's files before those of its folders, capitals before small letters.
    let root = folder(&[
        "b/2.PNG",
        "b/10.jpeg",
        "b/A/1.png",
        "b/A b/1.png",
        "b/A/c/1.png",
        "a/x.webp",
        "Z/1.bmp",
        "a/.git/1.png",
    ]);
    let Listing { classes, train, test, passed } = listed(&root, &ImageOptions::default());
    assert_eq!(classes, ["Z", "a", "b"]);
    let expected = [
        ("Z/1.bmp", 0),
        ("a/x.webp", 1),
        ("b/10.jpeg", 2),
        ("b/2.PNG", 2),
        ("b/A/1.png", 2),
        ("b/A b/1.png", 2),
        ("b/A/c/1.png", 2),
    ];
    assert_eq!(paths(&train), expected);
    assert!(test.is_empty() && passed.count(Why::Hidden) == 1);
}

#[test]
fn splits_share_their_classes() {
    let root = folder(&[
        "train/a/1.png",
        "train/b/1.png",
        "test/b/2.png",
        "test/c/3.png",
        "val/d/4.png",
        "notes.txt",
        "train/1.png",
        "cover.jpg",
        ".hidden/a/1.png",
    ]);
    let all = listed(&root, &ImageOptions::default());
    assert_eq!(all.classes, ["a", "b", "c"]);
    assert_eq!(paths(&all.train), [("train/a/1.png", 0), ("train/b/1.png", 1)]);
    assert_eq!(paths(&all.test), [("test/b/2.png", 1), ("test/c/3.png", 2)]);
    let passed =
        [Why::Hidden, Why::Foreign, Why::Stray, Why::Beside].map(|why| all.passed.count(why));
    assert_eq!(passed, [1, 1, 2, 1]);
    fs::remove_dir_all(root.path().join("test")).unwrap();
    let with_val = listed(&root, &ImageOptions::default());
    assert_eq!(paths(&with_val.test), [("val/d/4.png", 2)]);
    let untested =
        listed(&root, &ImageOptions { test_samples: Some(0), ..ImageOptions::default() });
    assert_eq!((untested.classes.len(), untested.test.len()), (3, 0));
    fs::remove_dir_all(root.path().join("val")).unwrap();
    assert!(listed(&root, &ImageOptions::default()).test.is_empty());
}

#[test]
fn a_class_may_be_called_train() {
    let root = folder(&["train/1.png", "plane/1.png", "test/1.png"]);
    let listing = listed(&root, &ImageOptions::default());
    assert_eq!(listing.classes, ["plane", "test", "train"]);
}

#[test]
fn what_is_no_data_set_is_refused() {
    for (files, words) in [
        (&["a/1.png"][..], "one class alone, `a`"),
        (&["1.png"], "holds no class"),
        (&[], "holds no class"),
        (&["a/1.png", "b/1.txt", "c/x/1.gif"], "2 of the classes"),
        (&["train/a/1.png", "train/b/1.png", "test/a/1.txt"], "1 of the classes"),
        (&["test/a/1.png", "test/b/1.png"], "none called `train`"),
        (&["val/a/1.png", "val/b/1.png"], "`val` but none called `train`"),
    ] {
        let message = refused(&folder(files));
        assert!(message.contains(words), "{words}: {message}");
    }
    let many: Vec<String> = (0..1001).map(|class| format!("{class}/1.png")).collect();
    let message = refused(&folder(&many.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(message.contains("holds 1001 classes: at most 1000"), "{message}");
    let nowhere = list(Path::new("/nowhere"), &ImageOptions::default()).unwrap_err().to_string();
    assert!(nowhere.starts_with("cannot look into /nowhere: No such file"), "{nowhere}");
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let root = folder(&["a/1.png", "b/1.png", "elsewhere.png"]);
    let at = |path: &str| root.path().join(path);
    symlink(at("a"), at("c")).unwrap();
    symlink(at("a"), at("b/more")).unwrap();
    symlink(at("elsewhere.png"), at("b/2.png")).unwrap();
    symlink(at("nowhere.png"), at("b/3.png")).unwrap();
    let listing = listed(&root, &ImageOptions::default());
    let found: Vec<&str> = paths(&listing.train).into_iter().map(|(path, _)| path).collect();
    assert_eq!(found, ["a/1.png", "b/1.png", "b/2.png", "b/3.png", "b/more/1.png", "c/1.png"]);
    symlink(root.path(), at("b/circle")).unwrap();
    let message = refused(&root);
    assert!(message.contains("b/circle/b leads back to"), "{message}");
    assert!(looks_like(root.path()));
}

#[test]
fn a_class_s_name_is_text() {
    use std::os::unix::ffi::OsStrExt;
    let root = folder(&["a/1.png"]);
    fs::create_dir(root.path().join(std::ffi::OsStr::from_bytes(b"caf\xE9"))).unwrap();
    assert!(refused(&root).contains("not UTF-8"));
}

#[test]
fn the_order_of_creation_does_not_matter_and_new_files_move_no_other() {
    let mut names: Vec<String> =
        (0..200).map(|index| format!("{}/{}.png", index % 2, index * 7919 % 1000)).collect();
    let options = ImageOptions { test_fraction: 0.3, ..ImageOptions::default() };
    let list = |names: &[String]| {
        let root = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let Listing { train, test, .. } = listed(&root, &options);
        let own = |sources: &[Source]| {
            paths(sources).into_iter().map(|(path, _)| path.to_owned()).collect::<Vec<_>>()
        };
        (own(&train), own(&test))
    };
    let (train, test) = list(&names);
    assert!((40..=80).contains(&test.len()) && train.len() + test.len() == 200, "{}", test.len());
    names.reverse();
    assert_eq!(list(&names), (train.clone(), test.clone()));
    names.extend((0..50).map(|index| format!("1/new{index}.png")));
    let (more_train, more_test) = list(&names);
    assert!(train.iter().all(|name| more_train.contains(name)));
    assert!(test.iter().all(|name| more_test.contains(name)) && more_test.len() > test.len());
}

#[test]
fn the_first_so_many() {
    let root = folder(&["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/2.png"]);
    let options =
        ImageOptions { train_samples: Some(1), test_samples: Some(9), ..ImageOptions::default() };
    let listing = listed(&root, &options);
    assert_eq!((paths(&listing.train), listing.test.len()), (vec![("train/a/1.png", 0)], 2));
}

#[test]
fn nothing_left_to_train_on() {
    let root = folder(&["a/1.png", "b/1.png"]);
    let options = ImageOptions { test_fraction: 0.9999999, ..ImageOptions::default() };
    let message = list(root.path(), &options).unwrap_err().to_string();
    assert!(message.contains("none of the 2 images") && message.contains("smaller"), "{message}");
}

#[test]
fn what_looks_like_one() {
    for (files, expected) in [
        (&["a/1.png", "b/1.png"][..], true),
        (&["train/a/x/1.JPG"], true),
        (&["train-images-idx3-ubyte.gz", "raw/t10k.gz"], false),
        (&[".cache/1.png", "1.png"], false),
        (&[], false),
    ] {
        assert_eq!(looks_like(folder(files).path()), expected, "{files:?}");
    }
    assert!(!looks_like(Path::new("/nowhere")));
}
