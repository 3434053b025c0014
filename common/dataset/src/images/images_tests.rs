//! Tests of [`super`], from files to samples.

use std::fs;
use std::sync::{Arc, Mutex};

use common::labels;
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

fn options() -> ImageOptions {
    ImageOptions::default()
}

/// A picture of one level.
fn grey(root: &TempDir, path: &str, [height, width]: [u32; 2], level: u8) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(width, height, image::Luma([level])).save(path).unwrap();
}

/// Two classes of two training images each and one test image each, 2 × 3 pixels, levels 10 to 15.
fn six() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let paths = [
        "train/a/1.png",
        "train/a/2.png",
        "train/b/1.png",
        "train/b/2.png",
        "test/a/1.png",
        "test/b/1.png",
    ];
    for (level, path) in (10..).zip(paths) {
        grey(&root, path, [2, 3], level);
    }
    root
}

fn loaded(root: &TempDir, options: &ImageOptions) -> Dataset {
    load(root.path(), "pictures".to_owned(), options).unwrap()
}

fn refused(root: &TempDir, options: &ImageOptions) -> String {
    let error = load(root.path(), "pictures".to_owned(), options).unwrap_err();
    common::causes::in_words(&error)
}

fn pixels(samples: &crate::Samples) -> Vec<u8> {
    let mut pixels = Vec::new();
    (0..samples.len()).for_each(|index| samples.read_image(index, &mut pixels).unwrap());
    pixels
}

/// The files of decoded images.
fn cached(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()));
    entries.map(Iterator::collect).unwrap_or_default()
}

#[test]
fn a_folder_becomes_a_data_set() {
    let dataset = loaded(&six(), &options());
    assert_eq!((dataset.name.as_str(), dataset.synthetic), ("pictures", false));
    let shape = dataset.shape;
    assert_eq!((shape.channels, shape.height, shape.width, shape.classes), (1, 2, 3, 2));
    assert_eq!(dataset.class_names[..], ["a", "b"]);
    let level = |level: u8| vec![level; 6];
    assert_eq!(pixels(&dataset.train), [10, 11, 12, 13].map(level).concat());
    assert_eq!(pixels(&dataset.test), [14, 15].map(level).concat());
    assert_eq!((dataset.train.labels(), dataset.test.labels()), (&[0, 0, 1, 1][..], &[0, 1][..]));
    let facts = dataset.facts().unwrap();
    assert_eq!(facts.measured.mean, [11.5 / 255.0]);
    assert!((facts.measured.deviation[0] - 1.25_f64.sqrt() / 255.0).abs() < 1e-12);
    let mut hash = Sha256::new();
    for samples in [&dataset.train, &dataset.test] {
        hash.update(pixels(samples));
        hash.update(labels::to_bytes(samples.labels(), 2));
    }
    assert_eq!(facts.sha256, common::hexadecimal(&hash.finalize()));
}

#[test]
fn colours_and_sizes_as_asked_for() {
    let root = six();
    let size: ImageSize = "4x5".parse().unwrap();
    let options = ImageOptions {
        size: Some(size),
        mode: Some(ImageMode::Rgb),
        resize: Resize::Pad,
        ..options()
    };
    let dataset = loaded(&root, &options);
    assert_eq!((dataset.shape.channels, dataset.shape.height, dataset.shape.width), (3, 4, 5));
    // 2 × 3 becomes 3 × 5, and a black row below.
    assert_eq!(pixels(&dataset.train)[..60], [vec![10; 45], vec![0; 15]].concat());
}

#[test]
fn grey_if_all_are_grey() {
    let root = six();
    let colour = RgbImage::from_pixel(3, 2, image::Rgb([1, 2, 3]));
    colour.save(root.path().join("test/b/0.png")).unwrap();
    let dataset = loaded(&root, &options());
    assert_eq!(dataset.shape.channels, 3);
    assert_eq!(pixels(&dataset.test)[18..24], [1, 2, 3, 1, 2, 3]);
    let forced = ImageOptions { mode: Some(ImageMode::Grey), ..options() };
    assert_eq!(loaded(&root, &forced).shape.channels, 1);
}

#[test]
fn other_sizes_need_a_size() {
    let root = six();
    grey(&root, "train/b/1.png", [4, 3], 1);
    let message = refused(&root, &options());
    let words = ["train/b/1.png has 4 × 3 pixels", "train/a/1.png has 2 × 3", "--image-size 32"];
    words.iter().for_each(|words| assert!(message.contains(words), "{message}"));
    loaded(&root, &ImageOptions { size: Some("2x3".parse().unwrap()), ..options() });
    let large = tempfile::tempdir().unwrap();
    ["a/1.png", "b/1.png"].iter().for_each(|path| grey(&large, path, [1, 1025], 1));
    let message = refused(&large, &options());
    assert!(message.contains("1 × 1025 pixels") && message.contains("--image-size"), "{message}");
}

#[test]
fn the_second_start_decodes_nothing() {
    let root = six();
    let first = loaded(&root, &options());
    let cache = cached(&root.path().join(".concentric-cache"));
    assert_eq!(cache.len(), 1, "{cache:?}");
    // Nobody looks into the pictures again: these have the same names, sizes and times, but are none.
    for path in ["train/a/1.png", "test/b/1.png"] {
        let path = root.path().join(path);
        let metadata = fs::metadata(&path).unwrap();
        fs::write(&path, vec![0; metadata.len() as usize]).unwrap();
        File::open(&path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
    }
    let second = loaded(&root, &options());
    assert_eq!((&second, second.facts()), (&first, first.facts()));
    assert_eq!(cached(&root.path().join(".concentric-cache")), cache);
}

#[test]
fn what_has_changed_is_decoded_anew() {
    let root = six();
    let folder = root.path().join(".concentric-cache");
    loaded(&root, &options());
    let mut seen = vec![cached(&folder)];
    let mut is_new = |what: &str| {
        let now = cached(&folder);
        assert!(now.len() == 1 && !seen.contains(&now), "{what}: {now:?}");
        seen.push(now);
    };
    grey(&root, "train/a/3.png", [2, 3], 99);
    assert_eq!(loaded(&root, &options()).train.len(), 5);
    is_new("a file more");
    let touched = File::open(root.path().join("train/a/3.png")).unwrap();
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    loaded(&root, &options());
    is_new("another time");
    loaded(&root, &ImageOptions { mode: Some(ImageMode::Rgb), ..options() });
    is_new("other colours");
    assert_eq!(loaded(&root, &ImageOptions { train_samples: Some(2), ..options() }).train.len(), 2);
    is_new("fewer");
    fs::rename(root.path().join("test/a"), root.path().join("test/c")).unwrap();
    loaded(&root, &options());
    is_new("another class");
}

#[test]
fn a_damaged_cache_is_decoded_anew() {
    let root = six();
    let expected = loaded(&six(), &options());
    loaded(&root, &options());
    let path = cached(&root.path().join(".concentric-cache")).remove(0);
    let whole = fs::read(&path).unwrap();
    for damaged in [
        &whole[..whole.len() - 1],
        &whole[..100],
        b"",
        &[&whole[..60], &[7], &whole[61..]].concat(),
    ] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(loaded(&root, &options()), expected);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn where_it_is_kept() {
    let (root, elsewhere) = (six(), tempfile::tempdir().unwrap());
    let own = root.path().join(".concentric-cache");
    let given = ImageOptions { cache: Some(elsewhere.path().join("given")), ..options() };
    loaded(&root, &given);
    assert!(!own.exists());
    assert_eq!(cached(&elsewhere.path().join("given")).len(), 1);
    // A file in the way, as nothing is forbidden to an administrator.
    fs::write(&own, "").unwrap();
    let data_dir = elsewhere.path().join("data");
    let options = ImageOptions { data_dir: data_dir.clone(), ..options() };
    let first = loaded(&root, &options);
    assert_eq!(cached(&data_dir.join("image-cache")).len(), 1);
    fs::remove_file(root.path().join("train/a/1.png")).unwrap();
    assert_eq!(loaded(&root, &options).train.len(), first.train.len() - 1);
    fs::remove_dir_all(&data_dir).unwrap();
    fs::write(&data_dir, "").unwrap();
    let message = refused(&root, &options);
    assert!(message.contains("cannot write the decoded images"), "{message}");
    assert!(message.contains("--image-cache") && message.contains("image-cache/"), "{message}");
    assert_eq!(message.matches("Not a directory").count(), 1, "{message}");
}

#[test]
fn every_broken_image_is_named() {
    let root = six();
    let write = |path: &str, bytes: &[u8]| fs::write(root.path().join(path), bytes).unwrap();
    write("train/a/1.png", b"a letter, not a picture");
    write("test/a/1.png", b"");
    std::os::unix::fs::symlink("/nowhere", root.path().join("train/b/9.jpg")).unwrap();
    let message = refused(&root, &options());
    for words in [
        "3 of 7 images in ",
        "train/a/1.png: it is neither PNG nor JPEG",
        "test/a/1.png: the file is empty",
        "train/b/9.jpg: No such file",
        "--skip-broken",
    ] {
        assert_eq!(message.matches(words).count(), 1, "{words}: {message}");
    }
    assert!(cached(&root.path().join(".concentric-cache")).is_empty());
    let skipping = ImageOptions { skip_broken: true, ..options() };
    // Found decoded the second time, and said again.
    for _ in 0..2 {
        let said = log_of(|| {
            let dataset = loaded(&root, &skipping);
            assert_eq!(dataset.train.labels(), [0, 1, 1]);
            assert_eq!(pixels(&dataset.train)[..7], [11, 11, 11, 11, 11, 11, 12]);
            assert_eq!(dataset.test.labels(), [1]);
            assert_eq!(dataset.facts().unwrap().measured.mean, [12.0 / 255.0]);
        });
        let line = said.lines().find(|line| line.contains("are left out")).unwrap();
        assert!(line.contains("count=3") && line.contains("1.png: it is neither"), "{line}");
        assert!(said.contains("no image of these classes is tested with"), "{said}");
    }
    for path in ["train/a/2.png", "train/b/1.png", "train/b/2.png"] {
        write(path, b"broken");
    }
    let message = refused(&root, &skipping);
    assert!(message.contains("none of the 5 images to train on"), "{message}");
}

#[test]
fn of_many_broken_images_ten_are_named() {
    let root = tempfile::tempdir().unwrap();
    ["a", "b"].iter().for_each(|class| fs::create_dir(root.path().join(class)).unwrap());
    (10..35).for_each(|index| fs::write(root.path().join(format!("a/{index}.png")), "x").unwrap());
    grey(&root, "b/1.png", [2, 2], 1);
    let message = refused(&root, &options());
    assert!(message.contains("25 of 26 images") && message.contains("and 15 more"), "{message}");
    assert!(message.contains("a/19.png") && !message.contains("a/20.png"), "{message}");
}

#[test]
fn what_is_passed_over_is_said_once_for_each_kind() {
    let root = six();
    for path in ["train/a/.x.png", "train/a/notes.txt", "train/b/Thumbs.db", "train/5.png"] {
        fs::write(root.path().join(path), "").unwrap();
    }
    grey(&root, "val/a/1.png", [2, 3], 1);
    grey(&root, "train/c/1.png", [2, 3], 1);
    let said = log_of(|| drop(loaded(&root, &options())));
    for (words, names) in [
        ("hidden files", "train/a/.x.png"),
        ("what is no image", "train/a/notes.txt, train/b/Thumbs.db"),
        ("lie in no class's folder", "train/5.png"),
        ("folders beside", "val"),
        ("`val` is passed over", ""),
        ("no image of these classes is tested with", "classes=\"c\""),
    ] {
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(words)).collect();
        assert!(lines.len() == 1 && lines[0].contains(names), "{words}: {said}");
    }
}

#[test]
fn a_share_is_below_one() {
    for share in [1.0, -0.1, f64::NAN] {
        let message = refused(&six(), &ImageOptions { test_fraction: share, ..options() });
        assert!(message.contains("--test-fraction") && message.contains("below 1"), "{message}");
    }
}

#[test]
fn two_at_once_do_not_meet() {
    let root = six();
    let expected = loaded(&six(), &options());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(loaded(&root, &options()), expected));
        }
    });
    assert_eq!(cached(&root.path().join(".concentric-cache")).len(), 1);
}

/// What is logged meanwhile on this thread.
fn log_of(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}
