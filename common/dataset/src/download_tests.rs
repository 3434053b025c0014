//! Tests of [`super`] against mirrors on this machine.

use super::*;
use crate::test_server::{Mirror, nobody, ok, status};

const BODY: &[u8] = b"hello";
/// Published digests of "hello".
const SHA256: Checksum =
    Checksum::ContentSha256("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
const MD5: Checksum = Checksum::ArchiveMd5("5d41402abc4b2a76b9719d911017c592");
const HASTY: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(5),
    attempts: 3,
    pause: Duration::from_millis(1),
};

/// Downloads from these mirrors into a new folder; gives the outcome and what then lies in the folder.
fn fetch(mirrors: &[&str], checksum: Checksum) -> (Result<Vec<u8>, DownloadError>, Vec<String>) {
    let parent = tempfile::tempdir().expect("temporary folder");
    let folder = parent.path().join("made/on/demand");
    let mirrors: Vec<String> = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    let request = Request {
        mirrors: &mirrors,
        file: "file.gz",
        checksum,
        largest: 1000,
        folder: &folder,
        patience: HASTY,
    };
    let outcome = download(&request).map(|path| std::fs::read(path).expect("is there"));
    let names = std::fs::read_dir(&folder).expect("was made");
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    (outcome, names)
}

fn only_failure(outcome: Result<Vec<u8>, DownloadError>) -> Failure {
    match outcome {
        Err(DownloadError::Mirrors { mut failures, .. }) if failures.len() == 1 => {
            failures.remove(0).1
        }
        other => panic!("one mirror should have failed: {other:?}"),
    }
}

#[test]
fn a_right_file_appears_under_its_name() {
    let mirror = Mirror::start(|_, name| {
        assert_eq!(name, "file.gz");
        ok(BODY)
    });
    for checksum in [SHA256, MD5] {
        let (outcome, names) = fetch(&[&mirror.address], checksum);
        assert_eq!((outcome.unwrap(), names), (BODY.to_vec(), vec!["file.gz".to_owned()]));
    }
    assert_eq!(mirror.requests(), 2);
}

#[test]
fn the_content_is_checked_uncompressed_and_kept_as_served() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(BODY).unwrap();
    let archive = encoder.finish().unwrap();
    let served = archive.clone();
    // A server that marks the archive as an encoding must not make it arrive unpacked.
    let mirror = Mirror::start(move |_, _| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            served.len()
        );
        [head.as_bytes(), &served].concat()
    });
    assert_eq!(fetch(&[&mirror.address], SHA256).0.unwrap(), archive);
    let cut = Mirror::start(move |_, _| ok(&archive[..archive.len() - 3]));
    let (outcome, names) = fetch(&[&cut.address], SHA256);
    assert!(matches!(only_failure(outcome), Failure::Damaged(_)));
    assert!(names.is_empty());
}

#[test]
fn a_wrong_checksum_removes_the_file_and_the_next_mirror_is_tried() {
    let (wrong, right) = (Mirror::start(|_, _| ok(b"hullo")), Mirror::start(|_, _| ok(BODY)));
    for checksum in [SHA256, MD5] {
        let (outcome, names) = fetch(&[&wrong.address], checksum);
        assert!(matches!(only_failure(outcome), Failure::Checksum { .. }));
        assert!(names.is_empty(), "left behind: {names:?}");
    }
    assert_eq!(wrong.requests(), 2, "the same bytes again would be no use");
    assert_eq!(fetch(&[&wrong.address, &right.address], SHA256).0.unwrap(), BODY);
}

#[test]
fn a_transfer_that_breaks_off_is_tried_again_and_leaves_nothing() {
    let cut = |body: &[u8]| ok(body)[..ok(body).len() - 2].to_vec();
    let mirror = Mirror::start(move |_, _| cut(BODY));
    let (outcome, names) = fetch(&[&mirror.address], SHA256);
    assert!(matches!(only_failure(outcome), Failure::Transfer { received: 3, .. }));
    assert_eq!((mirror.requests(), names.len()), (3, 0));
    let recovering =
        Mirror::start(move |request, _| if request == 0 { cut(BODY) } else { ok(BODY) });
    assert_eq!(fetch(&[&recovering.address], SHA256).0.unwrap(), BODY);
}

#[test]
fn a_busy_mirror_is_asked_again_one_without_the_file_is_not() {
    let busy = Mirror::start(|request, _| match request {
        0 | 1 => status("503 Service Unavailable", b""),
        _ => ok(BODY),
    });
    assert_eq!(fetch(&[&busy.address], SHA256).0.unwrap(), BODY);
    assert_eq!(busy.requests(), 3);
    let without = Mirror::start(|_, _| status("404 Not Found", b"hello"));
    assert!(matches!(only_failure(fetch(&[&without.address], SHA256).0), Failure::Request(_)));
    assert_eq!(without.requests(), 1);
}

#[test]
fn when_all_fail_each_is_named_with_its_reason() {
    let without = Mirror::start(|_, _| status("404 Not Found", b""));
    let nobody = nobody();
    let (outcome, names) = fetch(&[&nobody, &without.address], SHA256);
    let message = outcome.unwrap_err().to_string();
    for words in [&nobody, &without.address, "404", "refused", "--dataset synthetic", "--data-dir"]
    {
        assert!(message.contains(words), "{words} is not in: {message}");
    }
    assert!(names.is_empty());
}

#[test]
fn a_silent_mirror_is_given_up() {
    let mirror = Mirror::start(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        Vec::new()
    });
    let folder = tempfile::tempdir().expect("temporary folder");
    let started = std::time::Instant::now();
    let outcome = download(&Request {
        mirrors: &[mirror.address],
        file: "file.gz",
        checksum: SHA256,
        largest: 1000,
        folder: folder.path(),
        patience: Patience { attempt: Duration::from_millis(300), attempts: 1, ..HASTY },
    });
    assert!(outcome.is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_folder_that_cannot_be_written_is_no_mirrors_fault() {
    let mirror = Mirror::start(|_, _| ok(BODY));
    let file = NamedTempFile::new().expect("temporary file");
    let outcome = download(&Request {
        mirrors: std::slice::from_ref(&mirror.address),
        file: "file.gz",
        checksum: SHA256,
        largest: 1000,
        folder: &file.path().join("below-a-file"),
        patience: HASTY,
    });
    assert!(matches!(outcome, Err(DownloadError::Folder { .. })));
    assert_eq!(mirror.requests(), 0);
}

#[test]
fn what_is_longer_than_it_can_be_is_not_taken() {
    let mirror = Mirror::start(|_, _| ok(&[b'x'; 1001]));
    let (outcome, names) = fetch(&[&mirror.address], SHA256);
    assert!(matches!(only_failure(outcome), Failure::TooLarge(1000)));
    assert_eq!((mirror.requests(), names.len()), (1, 0));
}
