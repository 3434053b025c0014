//! What a file is that was given in place of another, from its first bytes.
//!
//! Readers of outside files ask before they say only that the format is not theirs. Knows names and advice, reads nothing.

/// How many bytes [`recognise`] wants to see, where the file has as many.
pub const START: usize = 512;

/// What a file that starts with these bytes is, and what to do then; nothing where it is not known.
pub fn recognise(start: &[u8]) -> Option<&'static str> {
    if start.is_empty() {
        return Some("is empty; fetch or write it again");
    }
    let text = start.trim_ascii_start();
    let is = |magic: &[u8]| start.starts_with(magic);
    if text.starts_with(b"<") {
        return Some("is a web page or XML, as servers send in place of a file; fetch it again");
    }
    Some(match () {
        () if is(b"version https://git-lfs") => {
            "is a Git LFS pointer, not the file itself; fetch that with `git lfs pull`"
        }
        () if is(b"PK\x03\x04") || is(b"PK\x05\x06") => {
            "is a zip archive; unpack it and give the file in it"
        }
        () if is(b"\x1f\x8b") => "is compressed with gzip; unpack it with `gunzip`",
        () if is(b"BZh") => "is compressed with bzip2; unpack it with `bunzip2`",
        () if is(b"\xfd7zXZ\0") => "is compressed with xz; unpack it with `unxz`",
        () if is(b"\x28\xb5\x2f\xfd") => "is compressed with zstd; unpack it with `unzstd`",
        () if is(b"7z\xbc\xaf\x27\x1c") => "is a 7z archive; unpack it and give the file in it",
        () if start.get(257..262) == Some(b"ustar") => {
            "is a tar archive; unpack it and give the file in it"
        }
        () if is(b"\x89HDF") => "is an HDF5 file, as Keras writes it",
        () if is(b"\x93NUMPY") => "is a NumPy array",
        () if is(b"\x89PNG") || is(b"\xff\xd8\xff") || is(b"GIF8") => "is a picture",
        () if is(b"PAR1") => "is a Parquet table",
        () if is(b"{") || is(b"[") => "is JSON",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_by_mistake_is_known() {
        let check = |start: &[u8], words: &str| {
            let known = recognise(start).unwrap_or_else(|| panic!("{words}"));
            assert!(known.contains(words), "{known}");
        };
        check(b"", "is empty");
        check(b"\n  <!DOCTYPE html><html>", "web page");
        check(b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull");
        check(b"PK\x03\x04\0\0", "zip");
        check(b"\x1f\x8b\x08", "gunzip");
        check(&[&[b'a'; 257][..], b"ustar\0"].concat(), "tar");
        assert_eq!(recognise(&[0, 0, 8, 3, 0, 0, 0, 1]), None);
        assert_eq!(recognise(b"\x80\x02}q\0."), None);
    }
}
