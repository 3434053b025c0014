//! Tests of [`super`]: headers as NumPy writes them, and others.

use super::*;
use crate::formats::test_files::{compress, data, pixels};
use crate::formats::{Reading, pair, read_images, read_labels};

/// What `tests/data/make.py` wrote.
#[test]
fn files_of_numpy_are_read() {
    let reading = Reading::default();
    for name in ["version1.npy", "version2.npy", "version3.npy", "wide.npy"] {
        let images = pair::read_images(&data(name), &reading).unwrap();
        assert_eq!((images.size(), images.pixels), ([1, 4, 5], pixels(60)), "{name}");
    }
    let images = pair::read_images(&data("planes.npy"), &reading).unwrap();
    assert_eq!((images.size(), images.pixels), ([3, 4, 5], pixels(180)));
    let rows = Reading { image_size: Some((4, 5)), ..reading };
    assert_eq!(pair::read_images(&data("rows.npy"), &rows).unwrap().pixels, pixels(60));
    for name in ["labels-i8.npy", "labels-big.npy", "labels-column.npy"] {
        assert_eq!(pair::read_labels(&data(name), &reading).unwrap(), [2, 0, 1], "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_named_as_what_it_is() {
    let images = |name: &str, words: &str| {
        let error = pair::read_images(&data(name), &Reading::default()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    };
    images("fortran.npy", "Fortran's order");
    images("scaled.npy", "from 0 to 1; multiply them by 255");
    images("table.npy", "table of several columns");
    images("labels-i8.npy", "holds labels where images");
    images("rows.npy", "--image-size HEIGHTxWIDTH");
    let error = pair::read_labels(&data("labels-one-hot.npy"), &Reading::default()).unwrap_err();
    assert!(error.to_string().contains("of 2 dimensions [3, 3]; integers [n]"), "{error}");
}

/// A file of version 1 with this header.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&MAGIC[..], &[1, 0], &length, header.as_bytes(), data].concat()
}

#[test]
fn headers_are_read_strictly() {
    let good = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }  \n";
    assert_eq!(
        read_labels(&with_header(good, &[2, 0, 1])[..], &Reading::default()).unwrap(),
        [2, 0, 1]
    );
    let terse = r#"{"shape":(3L),"fortran_order":True,"descr":"|i1"}"#;
    assert_eq!(
        read_labels(&with_header(terse, &[2, 0, 1])[..], &Reading::default()).unwrap(),
        [2, 0, 1]
    );
    let check = |header: &str, words: &str| {
        let file = with_header(header, &[2, 0, 1]);
        for file in [&file[..], &compress(&file)] {
            let message = read_labels(file, &Reading::default()).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    };
    check(&good.replace("|u1", "|O"), "type '|O'");
    check(&good.replace("|u1", "|u2"), "type '|u2'");
    check(&good.replace("|u1", "<f2"), "type '<f2'");
    check(&good.replace("|u1", ""), "type ''");
    check(&good.replace("(3,)", "(-3,)"), "has the dimension ``");
    check(&good.replace("(3,)", "(99999999999999999999,)"), "has the dimension `999");
    check(&good.replace("(3,)", "(0,)"), "holds no labels");
    check(&good.replace("(3,)", "()"), "of 0 dimensions");
    check(&good.replace("(3,)", "(4294967296,)"), "4294967375 bytes expected, 82 found");
    check(&good.replace("False", "0"), "`0` where True or False");
    check(&good.replace("'shape'", "'form'"), "unknown key 'form'");
    check(&good.replace("'shape': (3,), ", ""), "lacks its type");
    check(&good.replace('\n', "x"), "goes on after its end");
    check(&good.replace('}', ""), "has `` where `\'` is expected");
    check("", "has `` where `{`");
    check("{'descr", "string without an end");
}

#[test]
fn damaged_and_absurd_files_are_refused() {
    let file = encode(&[3, 4, 5], &pixels(60));
    let check = |file: &[u8], words: &str| {
        let message = read_images(file, &Reading::default()).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    assert_eq!(read_images(&file[..], &Reading::default()).unwrap().pixels, pixels(60));
    check(&file[..7], "8 bytes expected, 7 found");
    check(&file[..9], "10 bytes expected, 9 found");
    check(&file[..40], "is cut off");
    check(&file[..file.len() - 1], "is cut off");
    check(&[&file[..], &[0]].concat(), "goes on after");
    check(&[&MAGIC[..], &[4, 0], &[0; 20]].concat(), "version 4.0");
    check(&[&MAGIC[..], &[2, 0], &[0xff; 4]].concat(), "claims to have 4294967295 bytes");
    check(&[&MAGIC[..], &[1, 0, 1, 0, 0xff]].concat(), "is no text");
}
