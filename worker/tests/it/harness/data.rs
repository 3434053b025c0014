//! Samples for a run: IDX files of a test's own, or MNIST.

use std::path::Path;

/// Folder that holds MNIST, where there is one.
pub const MNIST_DIR: &str = "CONCENTRIC_MNIST_DIR";

/// Labels and 28×28 grey images.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// `[n]`
    pub labels: Vec<u8>,
    /// `[n, 28, 28]`
    pub pixels: Vec<u8>,
}

impl Samples {
    /// Writes both as IDX files into `folder`; what `--dataset` takes.
    pub fn write(&self, folder: &Path) -> String {
        let count = (self.labels.len() as u32).to_be_bytes();
        let side = 28_u32.to_be_bytes();
        let images = [&[0, 0, 8, 3][..], &count, &side, &side, &self.pixels].concat();
        let labels = [&[0, 0, 8, 1][..], &count, &self.labels].concat();
        let paths = ["images.idx", "labels.idx"].map(|name| folder.join(name));
        std::fs::write(&paths[0], images).unwrap();
        std::fs::write(&paths[1], labels).unwrap();
        paths.map(|path| path.display().to_string()).join(",")
    }

    /// The same samples, the first `count` in the order of their labels.
    pub fn sorted_by_label(&self, count: usize) -> Self {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order[..count].sort_by_key(|index| self.labels[*index]);
        let image = |index: &usize| &self.pixels[784 * index..784 * (index + 1)];
        Self {
            labels: order.iter().map(|index| self.labels[*index]).collect(),
            pixels: order.iter().flat_map(image).copied().collect(),
        }
    }
}

/// `--dataset` of tests that are about real digits.
pub fn mnist() -> &'static str {
    if std::env::var_os(MNIST_DIR).is_some() {
        return "mnist";
    }
    eprintln!("{MNIST_DIR} is not set: SYNTHETIC DIGITS in place of MNIST");
    "synthetic"
}
