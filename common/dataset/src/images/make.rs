//! Decodes all images of a folder into one file.
//!
//! Called by [`super::load`] where they have not been decoded yet. Images are written as they come, in order; what waits for
//! its turn takes [`WAITING`] bytes at most.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use common::{hexadecimal, labels};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::cache::Folder;
use super::decode;
use super::error::{Broken, ImagesError, NAMED};
use super::fit::fit;
use super::header::Header;
use super::in_order::{in_order, threads};
use super::layout::Listing;
use super::survey::Form;
use super::walk::Source;
use super::{ImageOptions, progress};
use crate::sums::Sums;

/// Bytes of images that are decoded and not yet written.
const WAITING: usize = 64 << 20;
/// Bytes of a header beside class names and labels.
const REST_OF_HEADER: usize = 1 << 16;
/// Images start at a multiple of it, as pages of memory do.
const PAGE: usize = 4096;

/// What is to be decoded, and how.
pub(super) struct Order<'a> {
    /// Where the images are.
    pub folder: &'a Path,
    /// Which there are.
    pub listing: &'a Listing,
    /// What samples are like.
    pub form: Form,
    /// How the file is called.
    pub key: &'a str,
    /// As given.
    pub options: &'a ImageOptions,
}

impl Order<'_> {
    /// Numbers of a sample.
    fn numbers(&self) -> usize {
        self.form.size.height() * self.form.size.width() * self.form.channels()
    }

    /// Where images start: no image can be left out so that the header becomes longer than that.
    fn start(&self) -> usize {
        let names = serde_json::to_vec(&self.listing.classes).expect("text becomes JSON").len();
        let samples = self.listing.train.len() + self.listing.test.len();
        (names + samples * 2 + REST_OF_HEADER).next_multiple_of(PAGE)
    }

    /// About how many bytes the file will have.
    fn bytes(&self) -> u64 {
        let samples = self.listing.train.len() + self.listing.test.len();
        (self.start() + samples * self.numbers()) as u64
    }

    /// An image as a sample, or what is wrong with it.
    fn sample(&self, source: &Source) -> Result<Vec<u8>, Broken> {
        let picture = decode::decode(&source.path, self.form.mode, &self.options.limits);
        let broken = |reason| Broken { path: source.path.clone(), reason };
        picture.map(|it| fit(it, self.form.size, self.options.resize).pixels).map_err(broken)
    }
}

/// Decodes the images into a file of that folder, which appears under its name when it is whole.
///
/// # Errors
/// Images are broken, or the file cannot be written.
pub(super) fn make(order: &Order, cache: &Folder) -> Result<(Header, std::fs::File), ImagesError> {
    let failed = |source| ImagesError::Cache {
        folder: cache.path().to_owned(),
        bytes: order.bytes(),
        source,
    };
    let mut partial = cache.partial().map_err(failed)?;
    let header = write(order, &mut partial, failed)?;
    let file = cache.keep(partial, order.key).map_err(failed)?;
    Ok((header, file))
}

fn write(
    order: &Order,
    partial: &mut NamedTempFile,
    failed: impl Fn(std::io::Error) -> ImagesError,
) -> Result<Header, ImagesError> {
    let Listing { train, test, .. } = order.listing;
    let sources: Vec<&Source> = train.iter().chain(test).collect();
    let room = (WAITING / threads() / order.numbers()).clamp(1, 256);
    let bar = progress(sources.len(), "decoded");
    partial.seek(SeekFrom::Start(order.start() as u64)).map_err(&failed)?;
    let mut made = Made::new(order, BufWriter::with_capacity(1 << 20, partial.as_file_mut()));
    let sample = |index: usize| order.sample(sources[index]);
    in_order(sources.len(), threads(), room, sample, |index, sample| {
        bar.inc(1);
        made.add(sources[index], index < train.len(), sample).map_err(&failed)
    })?;
    bar.finish_and_clear();
    made.check()?;
    let header = made.finish().map_err(&failed)?;
    partial.rewind().map_err(&failed)?;
    partial.write_all(&header.to_bytes()).map_err(&failed)?;
    Ok(header)
}

/// What has been made so far.
struct Made<'a, W: Write> {
    order: &'a Order<'a>,
    to: W,
    hash: Sha256,
    sums: Sums,
    /// Of training and test samples.
    labels: [Vec<u16>; 2],
    /// The first of them.
    broken: Vec<Broken>,
    broken_count: usize,
}

impl<'a, W: Write> Made<'a, W> {
    fn new(order: &'a Order<'a>, to: W) -> Self {
        let (hash, sums) = (Sha256::new(), Sums::new(order.form.channels()));
        Self { order, to, hash, sums, labels: [vec![], vec![]], broken: vec![], broken_count: 0 }
    }

    /// Writes an image. After one that is broken nothing need be written, unless it may be left out.
    fn add(
        &mut self,
        source: &Source,
        is_training: bool,
        sample: Result<Vec<u8>, Broken>,
    ) -> std::io::Result<()> {
        let pixels = match sample {
            Ok(_) if self.broken_count > 0 && !self.order.options.skip_broken => return Ok(()),
            Ok(pixels) => pixels,
            Err(broken) => {
                self.broken_count += 1;
                if self.broken.len() < NAMED {
                    self.broken.push(broken);
                }
                return Ok(());
            }
        };
        if is_training {
            self.sums.add(&pixels);
        } else if self.labels[1].is_empty() {
            self.hash_labels(0);
        }
        self.hash.update(&pixels);
        self.labels[usize::from(!is_training)].push(source.label);
        self.to.write_all(&pixels)
    }

    fn hash_labels(&mut self, part: usize) {
        let classes = self.order.listing.classes.len();
        self.hash.update(labels::to_bytes(&self.labels[part], classes));
    }

    /// Refuses what is broken.
    fn check(&self) -> Result<(), ImagesError> {
        let Order { folder, listing, options, .. } = self.order;
        let (folder, first) = (folder.to_path_buf(), self.broken.clone());
        let (train, count) = (listing.train.len(), self.broken_count);
        if count > 0 && !options.skip_broken {
            return Err(ImagesError::Broken {
                folder,
                first,
                count,
                all: train + listing.test.len(),
            });
        }
        if self.labels[0].is_empty() {
            return Err(ImagesError::NoneLeft { folder, first, all: train });
        }
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<Header> {
        self.to.flush()?;
        if self.labels[1].is_empty() {
            self.hash_labels(0);
        }
        self.hash_labels(1);
        let measured = self.sums.measured();
        let Form { size, .. } = self.order.form;
        let words = |Broken { path, reason }: &Broken| format!("{}: {reason}", path.display());
        let mut header = Header {
            key: self.order.key.to_owned(),
            image: [self.order.form.channels(), size.height(), size.width()],
            class_names: self.order.listing.classes.clone(),
            start: self.order.start() as u64,
            train: self.labels[0].len(),
            test: self.labels[1].len(),
            sha256: hexadecimal(&self.hash.finalize()),
            mean: measured.mean,
            deviation: measured.deviation,
            left_out: self.broken_count,
            left_out_first: self.broken.iter().map(words).collect(),
            labels: self.labels.concat(),
        };
        // Their paths may be of any length.
        while header.to_bytes().len() > header.start as usize
            && header.left_out_first.pop().is_some()
        {}
        Ok(header)
    }
}
