//! Tests of [`super`], on an archive that `tests/data/make.py` wrote.

use std::io::Read;

use super::*;
use crate::formats::test_files::{data, folder_of, folder_with, pixels};

const ZIP: &str = "gzip.zip";

fn archive() -> Place {
    place(&data(ZIP), None).unwrap().expect("holds EMNIST")
}

/// The archive unpacked, without folders.
fn unpacked() -> tempfile::TempDir {
    let folder = folder_with(&[]);
    let mut archive = Archive::open(&data(ZIP)).unwrap();
    for name in archive.names() {
        let content = archive
            .read(&name, 1 << 20, |content| {
                // Content unpacks what is compressed; the files keep the name.
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
                Ok(bytes)
            })
            .unwrap();
        std::fs::write(folder.path().join(name.trim_start_matches("gzip/")), content).unwrap();
    }
    folder
}

#[test]
fn images_are_turned_upright_and_letters_counted_from_0() {
    let folder = unpacked();
    for mut place in [archive(), place(folder.path(), None).unwrap().unwrap()] {
        assert_eq!(divisions(&place), [Division::Digits, Division::Letters]);
        for division in divisions(&place) {
            let splits = read(&mut place, division, &Reading::default()).unwrap();
            let test = splits.test.unwrap();
            assert_eq!(splits.train.images.size(), [1, 4, 5]);
            assert_eq!(
                (splits.train.images.pixels, splits.train.labels),
                (pixels(60), vec![3, 0, 1])
            );
            assert_eq!((test.images.pixels, test.labels), (pixels(40), vec![1, 2]));
            // The digits' mapping is missing, the letters' is there: both give what is known.
            assert_eq!(splits.names, ClassNames::Fixed(division.class_names()), "{division:?}");
        }
    }
}

#[test]
fn archives_and_folders_are_found_where_people_keep_them() {
    let beside = folder_of(&[(ZIP, "emnist.zip")]);
    assert!(matches!(place(beside.path(), None), Ok(Some(Place::Archive(_)))));
    let folder = unpacked();
    let parent = folder_with(&[]);
    std::fs::rename(folder.path(), parent.path().join("raw")).unwrap();
    assert!(matches!(place(parent.path(), None), Ok(Some(Place::Folder(_)))));
    assert!(place(&data("k49-train-imgs.npz"), None).unwrap().is_none());
    assert!(place(folder_with(&[]).path(), None).unwrap().is_none());
}

#[test]
fn the_place_is_one_that_holds_what_is_wanted() {
    let folder = unpacked();
    std::fs::copy(data(ZIP), folder.path().join(ZIP)).unwrap();
    std::fs::remove_file(folder.path().join("emnist-digits-train-images-idx3-ubyte.gz")).unwrap();
    let of = |division| place(folder.path(), Some(division));
    assert!(matches!(of(Division::Letters), Ok(Some(Place::Folder(_)))));
    assert!(matches!(of(Division::Digits), Ok(Some(Place::Archive(_)))));
    assert!(matches!(of(Division::Balanced), Ok(None)));
}

#[test]
fn every_division_has_its_classes() {
    let counts = Division::ALL.map(|division| division.class_names().len());
    assert_eq!(counts, [47, 62, 47, 10, 26, 10]);
    assert_eq!(Division::ByMerge.class_names()[36..39], ["a", "b", "d"]);
    assert_eq!(Division::Letters.class_names()[25], "Z/z");
    for division in Division::ALL {
        assert_eq!(Division::of_name(division.name()), Some(division));
    }
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let check = |change: &dyn Fn(&Path), words: &str| {
        let folder = unpacked();
        change(folder.path());
        let mut place = place(folder.path(), None).unwrap().unwrap();
        let message = read(&mut place, Division::Letters, &Reading::default()).unwrap_err();
        assert!(message.to_string().contains(words), "{message}");
    };
    let write = |name: &'static str, bytes: Vec<u8>| {
        move |folder: &Path| std::fs::write(folder.join(name), &bytes).unwrap()
    };
    let labels = "emnist-letters-train-labels-idx1-ubyte.gz";
    check(
        &|folder| std::fs::remove_file(folder.join(labels)).unwrap(),
        "holds no emnist-letters-train-labels-idx1-ubyte;",
    );
    let encoded = |labels: &[u8]| crate::formats::idx::encode_labels(labels);
    check(
        &write(labels, encoded(&[1, 0, 2])),
        "label 1 (counted from 0) is 0, but this data set's run from 1 to 26",
    );
    check(&write(labels, encoded(&[1, 27, 2])), "is 27");
    check(&write(labels, encoded(&[1, 2])), "holds 3 images but");
    check(
        &write("emnist-letters-mapping.txt", b"1 65 97\n".to_vec()),
        "names 1 classes, but there are 26",
    );
}

/// The archive with another unpacked size claimed for its first member.
fn claiming(size: u32) -> tempfile::TempDir {
    let mut bytes = std::fs::read(data(ZIP)).unwrap();
    let start = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[start + 24..start + 28].copy_from_slice(&size.to_le_bytes());
    folder_with(&[(ZIP, &bytes)])
}

#[test]
fn a_member_gives_no_more_than_it_claims_and_claims_no_more_than_the_limit() {
    let message = |folder: &tempfile::TempDir| {
        let mut place = place(folder.path(), None).unwrap().unwrap();
        let reading = Reading { limit: 1 << 20, ..Reading::default() };
        read(&mut place, Division::Letters, &reading).unwrap_err().to_string()
    };
    let much = message(&claiming(u32::MAX - 1));
    assert!(much.contains("more than 1048576 bytes"), "{much}");
    let little = message(&claiming(20));
    assert!(
        little.contains("its zip stream is damaged") || little.contains("gzip stream is damaged"),
        "{little}"
    );
    let mut cut = std::fs::read(data(ZIP)).unwrap();
    cut.truncate(cut.len() - 30);
    let message = place(folder_with(&[(ZIP, &cut)]).path(), None).unwrap_err().to_string();
    assert!(message.contains("zip archive, but cut off or damaged"), "{message}");
}
