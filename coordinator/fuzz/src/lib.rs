//! Whatever comes from a file or from the network must be read or refused, never end the program. `make fuzz`.
//!
//! One target for each reader, in `targets/`; what is worth starting from, and every finding, in `corpus/`.
//!
//! - this file: files, settings, and how the fuzzer's bytes are cut;
//! - [`calls`]: calls as bytes, the methods as the `.proto` file lists them;
//! - [`run`]: a coordinator's run to call, in time that costs none;
//! - [`made`]: messages that the fuzzer's bytes choose;
//! - [`archive`]: safetensors files from tensors that may not belong there.

pub mod archive;
pub mod calls;
pub mod made;
pub mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use common::config::Config;
use common::launcher::Launcher;
use coordinator::commands::args::{self, Command, Environment};
use tempfile::{Builder, TempDir};

/// Beginning of the names of folders; the number of the process that made one follows.
const PREFIX: &str = "concentric-fuzz-";

/// Where folders are made: in memory where that can be, as durability takes most of the time else.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    clean(&place);
    place
});

/// A folder that is gone when it is dropped.
pub fn folder() -> TempDir {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    Builder::new().prefix(&prefix).tempdir_in(&*PLACE).expect("a folder can be made")
}

/// Removes what is left of targets that found something.
fn clean(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let process = number.and_then(|number| number.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Gives `read` a file with this content; readers that take a path say what they look like by the file's name.
pub fn with_file<T>(name: &str, content: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let folder = folder();
    let path = folder.path().join(name);
    fs::write(&path, content).expect("the file can be written");
    read(&path)
}

/// The settings that these flags give a run.
pub fn config(flags: &[&str]) -> Config {
    let environment = Environment { launcher: Launcher::default(), mnist_dir: None, cores: 2 };
    match args::parse(["coordinator"].iter().chain(flags).map(Into::into), &environment) {
        Ok(Command::Run(plan)) => plan.config,
        other => panic!("these are the settings of a run: {other:?}"),
    }
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

/// Choices that the fuzzer's bytes make, one byte each; the first of all where there are no more.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'d>(pub &'d [u8]);

impl<'d> Choices<'d> {
    /// Whether there are bytes left.
    pub fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// The next byte as a number, smaller than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Bytes, their number before them.
    pub fn bytes(&mut self) -> &'d [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}
