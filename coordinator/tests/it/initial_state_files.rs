//! `--init-from`: whatever is no file of tensors, or a damaged one, is told by what it is and what to do.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::files::{archive, model};
use crate::initial_state::{fixture, load_file};

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Each content is refused under every name with these words.
fn check(folder: &TempDir, content: &[u8], words: &str) {
    for name in ["net.pth", "net.safetensors", "net"] {
        let message = load_file(&write(folder, name, content), &[]).unwrap_err();
        let start = format!("{} ", folder.path().join(name).display());
        assert!(message.starts_with(&start) && message.contains(words), "{words}: {message}");
    }
}

#[test]
fn the_name_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let zip = std::fs::read(fixture(&folder, "ordinary")).unwrap();
    let stream = std::fs::read(fixture(&folder, "legacy")).unwrap();
    for content in [zip, stream, archive(&model(), None)] {
        for name in ["net.safetensors", "net.pt", "net.bin"] {
            load_file(&write(&folder, name, &content), &[]).unwrap();
        }
    }
}

#[test]
fn what_is_cut_off_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let zip = std::fs::read(fixture(&folder, "ordinary")).unwrap();
    let stream = std::fs::read(fixture(&folder, "legacy")).unwrap();
    let tensors = archive(&model(), None);
    for length in [5, 1000, zip.len() / 2, zip.len() - 1] {
        check(&folder, &zip[..length], "zip archive, as torch.save writes it, but cut off");
    }
    for length in [100, 1000, stream.len() / 2, stream.len() - 1] {
        check(&folder, &stream[..length], "a file of torch.save that is cut off");
    }
    for length in [20, 1000, tensors.len() / 2, tensors.len() - 1] {
        check(&folder, &tensors[..length], "a safetensors file that is cut off");
    }
}

#[test]
fn bytes_after_the_end_are_said() {
    let folder = tempfile::tempdir().unwrap();
    // PyTorch loads its own files so.
    for name in ["ordinary", "legacy"] {
        let mut content = std::fs::read(fixture(&folder, name)).unwrap();
        content.extend([0; 512]);
        let notes = load_file(&write(&folder, "net", &content), &[]).unwrap().taken.notes;
        assert_eq!(notes, ["the 512 bytes after the file's end are not looked at"], "{name}");
    }
    let content = [&archive(&model(), None)[..], &[0; 512]].concat();
    check(&folder, &content, "a safetensors file with 512 bytes after its end");
}

#[test]
fn a_storage_that_was_damaged_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut content = std::fs::read(fixture(&folder, "ordinary")).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    let message = load_file(&write(&folder, "net", &content), &[]).unwrap_err();
    assert!(message.contains("net: conv_layer."), "{message}");
    assert!(message.contains("in the archive is damaged"), "{message}");
}

#[test]
fn what_was_given_by_mistake_is_said() {
    let folder = tempfile::tempdir().unwrap();
    check(&folder, b"", "is empty");
    check(&folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull");
    check(&folder, b"<!DOCTYPE html><html>", "is a web page");
    check(&folder, b"hello", "neither a safetensors file nor a PyTorch state dict (save one with");
    check(&folder, b"\x80\x02}q\x00.", "is a Python pickle that torch.save did not write");
    check(&folder, b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "is an empty zip archive");
    let mut tar = b"sys_info".to_vec();
    tar.resize(512, 0);
    tar[257..262].copy_from_slice(b"ustar");
    check(&folder, &tar, "was written by PyTorch before 0.1.10");
    let script = std::fs::read(fixture(&folder, "scripted")).unwrap();
    check(&folder, &script, "is a TorchScript archive: load it with torch.jit.load");
    // An archive within an archive, whose end must not be taken for the outer one's.
    let exported = std::fs::read(fixture(&folder, "exported")).unwrap();
    check(&folder, &exported, "is a program that torch.export saved");
    let message = load_file(Path::new("/nowhere.pth"), &[]).unwrap_err();
    assert!(message.contains("cannot read /nowhere.pth"), "{message}");
    let message = load_file(Path::new("/dev/null"), &[]).unwrap_err();
    assert!(message.contains("is no plain file"), "{message}");
}

#[test]
fn a_folder_is_said_with_the_file_to_give() {
    let check = |names: &[&str], words: &str| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let message = load_file(folder.path(), &[]).unwrap_err();
        assert!(message.contains("is a folder") && message.contains(words), "{words}: {message}");
    };
    check(&[], "give a file");
    check(&["b.pth", "a.safetensors", "x.txt"], "such as a.safetensors, b.pth");
    check(
        &["checkpoints/last.safetensors", "config.toml"],
        "give its checkpoints/last.safetensors",
    );
    check(&["archive/data.pkl", "data.pkl"], "torch.save that was unpacked");
    check(&[".metadata", "__0_0.distcp"], "dcp_to_torch");
}
