//! Whatever comes from a file or from the network must be read or refused, never end the program. `make fuzz`.
//!
//! One target for each reader, in `targets/`; what is worth starting from, and every finding, in `corpus/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Gives `read` a file with this content; readers that take a path say what they look like by the file's name.
pub fn with_file<T>(name: &str, content: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for one file can be made");
        folder
    });
    let path = FOLDER.join(name);
    fs::write(&path, content).expect("the file can be written");
    read(&path)
}

/// Cuts what the fuzzer gives into pieces: two bytes of length before each, little-endian.
pub fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        data = rest;
        Some(piece)
    })
}
